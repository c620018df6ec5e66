"""The piece index: which pieces a file consists of, and in which pack each lies. Signed as a TUF target."""

from __future__ import annotations

import base64
import re
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lineside.errors import IntegrityError

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PIECE_ID = re.compile(r"[A-Za-z0-9_-]{32}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
PACK_BYTES_MAX = 8 << 20


class Pack(NamedTuple):
    """An object that holds sealed pieces one after another, named by its SHA-256 (hex)."""

    sha256: str
    size: int


class Piece(NamedTuple):
    """A sealed piece: id (24 bytes, URL-safe base64), its pack's place in `PieceIndex.packs`, offset, sealed bytes."""

    id: str
    pack: int
    offset: int
    size: int

    @property
    def id_bytes(self) -> bytes:
        return base64.urlsafe_b64decode(self.id)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IndexedFile(_Record):
    """A file: bytes and SHA-256 of its plain text, and its pieces in order."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    pieces: tuple[Piece, ...]


class PieceIndex(_Record):
    """All files of a shard or a model. `epoch` 0 means: not encrypted, which only models are."""

    format_version: Literal[1] = 1
    kind: Literal["shard", "model"]
    name: str = Field(pattern=NAME, description="family of a shard, name of a model")
    content: str = Field(max_length=100, description="id of the shard; version of the model")
    epoch: int = Field(ge=0)
    packs: tuple[Pack, ...]
    files: dict[str, IndexedFile] = Field(min_length=1)

    @field_validator("packs")
    @classmethod
    def _packs_are_bounded(cls, packs: tuple[Pack, ...]) -> tuple[Pack, ...]:
        for pack in packs:
            if not _SHA256.fullmatch(pack.sha256) or not 0 < pack.size <= PACK_BYTES_MAX:
                raise ValueError(f"pack {pack.sha256[:64]!r} of {pack.size} bytes")
        if len({pack.sha256 for pack in packs}) != len(packs):
            raise ValueError("a pack is listed twice")
        return packs

    @model_validator(mode="after")
    def _pieces_lie_in_packs(self) -> PieceIndex:
        if (self.kind == "shard") != (self.epoch > 0):
            raise ValueError("shards are encrypted and models are not")
        for name, file in self.files.items():
            if not is_file_name(name):
                raise ValueError(f"unsafe file name {name[:200]!r}")
            for piece in file.pieces:
                inside = 0 <= piece.pack < len(self.packs) and piece.offset >= 0
                if not inside or piece.offset + piece.size > self.packs[piece.pack].size or piece.size < 1:
                    raise ValueError(f"a piece of {name} lies outside its pack")
                if not _PIECE_ID.fullmatch(piece.id):
                    raise ValueError(f"a piece of {name} has no proper id")
        return self


def is_file_name(name: str) -> bool:
    """Whether a file of a shard or a model may have this name: relative, nothing hidden, no way out of its folder."""
    return len(name) <= 200 and _FILE.fullmatch(name) is not None


def parse_index(data: bytes, *, kind: Literal["shard", "model"], name: str) -> PieceIndex:
    """Reads an index that has been verified to come from its signer.

    Raises:
        IntegrityError: it is malformed, or of another kind, family or model than it was asked for.
    """
    try:
        index = PieceIndex.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise IntegrityError(f"the piece index of {kind} {name} is malformed: {first['msg']}") from None
    if (index.kind, index.name) != (kind, name):
        raise IntegrityError(f"the piece index of {kind} {name} is that of {index.kind} {index.name}")
    return index
