"""Encoders from Hugging Face folders. Everything that needs torch and transformers is in here."""

from lineside.encoders.pretrained.joint import PretrainedJointEncoder, load_joint_encoder
from lineside.encoders.pretrained.text import PretrainedTextEncoder, load_text_encoder

__all__ = ["PretrainedJointEncoder", "PretrainedTextEncoder", "load_joint_encoder", "load_text_encoder"]
