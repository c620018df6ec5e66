"""Opens encoders from a folder: an exported one without torch, a Hugging Face one with it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lineside.encoders.exported import is_exported, load_joint, load_text
from lineside.encoders.joint import JointEncoder
from lineside.encoders.settings import DEFAULT_MAX_TOKENS, Runtime
from lineside.encoders.text import TextEncoder
from lineside.errors import ConfigurationError

# By name: what imports this module must not need torch, and import-linter holds a gateway to that.
_PRETRAINED = "lineside.encoders.pretrained"


def load_text_encoder(
    path: str | Path, *, max_tokens: int = DEFAULT_MAX_TOKENS, runtime: Runtime = Runtime()
) -> TextEncoder:
    """Loads a sentence encoder from an exported folder or a Hugging Face one; nothing is fetched, no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`, or it cannot be run as `runtime` says.
        IntegrityError: an exported file is damaged.
    """
    if is_exported(path):
        return load_text(path, max_tokens=max_tokens, runtime=runtime)
    return _pretrained().load_text_encoder(path, max_tokens=max_tokens, runtime=runtime)


def load_joint_encoder(path: str | Path, *, runtime: Runtime = Runtime()) -> JointEncoder:
    """Loads a joint encoder from an exported folder or a Hugging Face one; nothing is fetched, no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`, or it cannot be run as `runtime` says.
        IntegrityError: an exported file is damaged.
    """
    if is_exported(path):
        return load_joint(path, runtime=runtime)
    return _pretrained().load_joint_encoder(path, runtime=runtime)


def _pretrained() -> Any:
    try:
        return import_module(_PRETRAINED)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"a Hugging Face folder needs {error.name}, which is not installed: install lineside[encoders], or name a "
            "folder made by `lineside encoders export`"
        ) from error
