"""Encoders: batches of texts and images in, float32 L2-normalised rows out."""

from lineside.encoders.images import ImageInfo, ImageLimits, decode_base64, inspect_image, read_image
from lineside.encoders.joint import JointEncoder, load_joint_encoder
from lineside.encoders.question import QuestionEncoder
from lineside.encoders.runtime import Dtype, Engine, Runtime
from lineside.encoders.text import TextEncoder, load_text_encoder

__all__ = [
    "Dtype",
    "Engine",
    "ImageInfo",
    "ImageLimits",
    "JointEncoder",
    "QuestionEncoder",
    "Runtime",
    "TextEncoder",
    "decode_base64",
    "inspect_image",
    "load_joint_encoder",
    "load_text_encoder",
    "read_image",
]
