"""Encoders: batches of texts and images in, float32 L2-normalised rows out.

Nothing here imports torch, transformers or OpenVINO before an encoder is loaded, so that settings and image checks
start in milliseconds, and a gateway runs where torch is not installed. What needs torch is in `pretrained`.
"""

from lineside.encoders.images import ImageInfo, ImageLimits, decode_base64, inspect_image, read_image
from lineside.encoders.joint import JointEncoder
from lineside.encoders.loading import load_joint_encoder, load_text_encoder
from lineside.encoders.question import QuestionEncoder
from lineside.encoders.settings import Dtype, Engine, Runtime
from lineside.encoders.text import TextEncoder

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
