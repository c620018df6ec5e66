"""What a model folder says about the vectors that come out of it, read without loading torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lineside.errors import ConfigurationError

# Files that decide which vectors come out of a model folder.
_DEFINING_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}
DEFAULT_MAX_TOKENS = 256


def model_directory(path: str | Path) -> Path:
    """The folder of a model, checked.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"no model at {folder}: expected a Hugging Face folder with config.json "
            "(run `make setup` for the demo's models, or set the path to your own)"
        )
    return folder


def fingerprint(folder: Path, *, role: str) -> str:
    """16 hex digits that change whenever the vectors of the model in `folder` may change.

    Engine, device and precision are left out on purpose: their vectors of one model agree and share an index.
    """
    digest = hashlib.sha256(role.encode())
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in _DEFINING_SUFFIXES:
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def text_fingerprint(path: str | Path, max_tokens: int = DEFAULT_MAX_TOKENS) -> str:
    """What `load_text_encoder` gives its encoder. Raises ConfigurationError."""
    return fingerprint(model_directory(path), role=f"text:mean:{max_tokens}")


def joint_fingerprint(path: str | Path) -> str:
    """What `load_joint_encoder` gives its encoder. Raises ConfigurationError."""
    return fingerprint(model_directory(path), role="joint")


def has_text_tower(path: str | Path) -> bool:
    """Whether a joint model encodes texts too: CLIP, SigLIP and dual encoders do, a backbone of images does not."""
    config = json.loads((model_directory(path) / "config.json").read_bytes())
    return "text_config" in config
