"""Encoders: batches of texts and images in, float32 L2-normalised rows out.

What needs torch is imported when it is first asked for, so that settings and image checks start in milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lineside.encoders.images import ImageInfo, ImageLimits, decode_base64, inspect_image, read_image
from lineside.encoders.settings import Dtype, Engine, Runtime

if TYPE_CHECKING:
    from lineside.encoders.joint import JointEncoder, load_joint_encoder
    from lineside.encoders.question import QuestionEncoder
    from lineside.encoders.text import TextEncoder, load_text_encoder

_LATER = {
    "JointEncoder": "joint",
    "QuestionEncoder": "question",
    "TextEncoder": "text",
    "load_joint_encoder": "joint",
    "load_text_encoder": "text",
}

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


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"lineside.encoders.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
