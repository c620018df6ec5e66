"""`encoders.json`: what an exported folder holds, and the size and SHA-256 of each of its files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lineside.encoders.exported.pixels import Pixels
from lineside.errors import ConfigurationError, IntegrityError

MANIFEST: Final = "encoders.json"
_MANIFEST_BYTES_MAX: Final = 64 << 10

FileName = Literal[
    "text.xml", "text.bin", "text-tokenizer.json",
    "joint-text.xml", "joint-text.bin", "joint-tokenizer.json",
    "image.xml", "image.bin",
]  # fmt: skip
"""All names that there can be: no path ever comes from the file."""
BYTES_MAX: Final = {".xml": 64 << 20, ".json": 64 << 20, ".bin": 8 << 30}
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Dimension = Annotated[int, Field(ge=1, le=65_536)]
Tokens = Annotated[int, Field(ge=3, le=8_192)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedFile(_Record):
    """Bytes and SHA-256 (hex) of a file."""

    size: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class TextPart(_Record):
    """The sentence encoder: `text.xml` from token ids and mask to means of token states."""

    fingerprint: Fingerprint = Field(description="of the model that it was made from")
    dimension: Dimension
    max_tokens: Tokens
    pad_token: int = Field(ge=0)
    pooling: Literal["mean"] = "mean"


class JointTextPart(_Record):
    """The joint text tower: the second output of `text.xml` where the trunk is shared, else `joint-text.xml`."""

    shares_trunk: bool
    max_tokens: Tokens
    pad_token: int = Field(ge=0)
    full_length: bool = Field(description="every text is padded to max_tokens and nothing is masked (SigLIP)")
    masked: bool


class JointPart(_Record):
    """The joint encoder: `image.xml`, and a text tower if there is one."""

    fingerprint: Fingerprint = Field(description="of the model that it was made from")
    dimension: Dimension
    pixels: Pixels
    text: JointTextPart | None


class ExportManifest(_Record):
    """`encoders.json`."""

    format_version: Literal[1] = 1
    weights: Literal["float16"] = Field("float16", description="as stored; arithmetic is the loader's to choose")
    text: TextPart | None
    joint: JointPart | None
    files: dict[FileName, ExportedFile]

    @model_validator(mode="after")
    def _files_are_those_of_the_parts(self) -> ExportManifest:
        needed: set[str] = set()
        if self.text is not None:
            needed |= {"text.xml", "text.bin", "text-tokenizer.json"}
        if self.joint is not None:
            needed |= {"image.xml", "image.bin"}
            if self.joint.text is not None:
                needed.add("joint-tokenizer.json")
                if not self.joint.text.shares_trunk:
                    needed |= {"joint-text.xml", "joint-text.bin"}
                elif self.text is None:
                    raise ValueError("a shared trunk without the text encoder whose trunk it is")
        if needed != set(self.files) or not needed:
            raise ValueError(f"files {sorted(self.files)}, where {sorted(needed)} are needed")
        for name, file in self.files.items():
            if file.size > BYTES_MAX[Path(name).suffix]:
                raise ValueError(f"{name} of {file.size} bytes is over the limit of {BYTES_MAX[Path(name).suffix]}")
        return self


def is_exported(folder: str | Path) -> bool:
    """Whether this is a folder of exported encoders."""
    return (Path(folder) / MANIFEST).is_file()


def read_manifest(folder: str | Path) -> ExportManifest:
    """Raises ConfigurationError where there is none, IntegrityError where it is malformed or of another version."""
    path = Path(folder) / MANIFEST
    try:
        with path.open("rb") as stream:
            data = stream.read(_MANIFEST_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(
            f"no exported encoders at {folder}: {path} cannot be read ({error.strerror}); "
            "make them with `lineside encoders export`"
        ) from error
    if len(data) > _MANIFEST_BYTES_MAX:
        raise IntegrityError(f"{path} is longer than {_MANIFEST_BYTES_MAX} bytes: not a list of exported files")
    try:
        return ExportManifest.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise IntegrityError(
            f"{path}: {place}: {problem['msg']}; export the encoders again with this version of Lineside"
        ) from None


def read_file(folder: Path, manifest: ExportManifest, name: FileName) -> bytes:
    """A file's bytes, once: what was compared with its checksum is what is used, whatever happens to the file then.

    Raises:
        IntegrityError: it is missing, or not the one that was exported.
    """
    expected, path = manifest.files[name], folder / name
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size != expected.size:
                raise IntegrityError(f"{path} has not the size that it was exported with: copy the folder again")
            data = stream.read(expected.size + 1)
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read ({error.strerror}): copy the folder again") from error
    if len(data) != expected.size or hashlib.sha256(data).hexdigest() != expected.sha256:
        raise IntegrityError(f"{path} is not the file that was exported: copy the folder again")
    return data


def check_files(folder: str | Path, manifest: ExportManifest) -> None:
    """Raises IntegrityError where a file is missing or damaged."""
    for name in manifest.files:
        read_file(Path(folder), manifest, name)
