"""What a model folder says about the vectors that come out of it, read without loading torch."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from lineside.encoders.exported.manifest import is_exported, read_manifest
from lineside.encoders.settings import DEFAULT_MAX_TOKENS
from lineside.errors import ConfigurationError

# Files that decide which vectors come out of a model folder.
_DEFINING_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}


def hugging_face_folder(path: str | Path) -> Path:
    """The folder of a Hugging Face model, checked.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"no model at {folder}: expected a Hugging Face folder with config.json, or exported encoders "
            "(run `make setup` for the demo's models, or set the path to your own)"
        )
    return folder


def _fingerprint(folder: Path, *, role: str) -> str:
    """16 hex digits that change whenever the vectors of the model in `folder` may change.

    Engine, device and precision are left out on purpose: their vectors of one model agree and share an index.
    """
    digest = hashlib.sha256(role.encode())
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in _DEFINING_SUFFIXES:
            digest.update(file.relative_to(folder).as_posix().encode())
            is_now = file.stat()
            digest.update(_content_digest(file, is_now.st_ino, is_now.st_size, is_now.st_mtime_ns, is_now.st_ctime_ns))
    return digest.hexdigest()[:16]


@functools.lru_cache(maxsize=256)
def _content_digest(file: Path, *_as_it_is: int) -> bytes:
    """SHA-256, read once while the file stays as it is: a run asks for the fingerprint of gigabytes several times."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def text_fingerprint(path: str | Path, max_tokens: int = DEFAULT_MAX_TOKENS) -> str:
    """What `load_text_encoder` gives its encoder; exported encoders have that of the model they were made from.

    Raises:
        ConfigurationError: there is no text encoder at `path`.
    """
    if not is_exported(path):
        return _fingerprint(hugging_face_folder(path), role=f"text:mean:{max_tokens}")
    text = read_manifest(path).text
    if text is None:
        raise ConfigurationError(f"{path} holds no text encoder: export it with --text")
    return text.fingerprint


def joint_fingerprint(path: str | Path) -> str:
    """What `load_joint_encoder` gives its encoder; exported encoders have that of the model they were made from.

    Raises:
        ConfigurationError: there is no joint encoder at `path`.
    """
    if not is_exported(path):
        return _fingerprint(hugging_face_folder(path), role="joint")
    joint = read_manifest(path).joint
    if joint is None:
        raise ConfigurationError(f"{path} holds no joint encoder: export it with --joint")
    return joint.fingerprint


def has_text_tower(path: str | Path) -> bool:
    """Whether a joint model encodes texts too: CLIP, SigLIP and dual encoders do, a backbone of images does not."""
    if is_exported(path):
        joint = read_manifest(path).joint
        return joint is not None and joint.text is not None
    config = json.loads((hugging_face_folder(path) / "config.json").read_bytes())
    return "text_config" in config
