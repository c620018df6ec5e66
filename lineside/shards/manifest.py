"""The manifest of a shard: what it holds, what made it, and a checksum of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lineside.errors import IntegrityError, ShardError

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
_MEASURED_TIMES = frozenset({"ms", "ms_p95"})
_SAFE_PATH = re.compile(r"[a-z0-9_]+(?:[./-][a-z0-9_]+)*")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Record):
    """Size in bytes and sha256 (hex) of one file of the shard."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class EffortPoint(_Record):
    """What a search effort brings and costs; times are one query on one thread of the building machine."""

    effort: int = Field(ge=0, description="lists probed of an inverted file, ef of a graph; 0: every row")
    rescored: int = Field(0, ge=0, description="rows whose finer codes are compared for a top 10; 0: no second look")
    recall: float = Field(ge=0, le=1)
    ms: float = Field(ge=0, description="median")
    ms_p95: float = Field(0, ge=0)


class EffortCurve(_Record):
    """Recall@10 against search effort, measured on held-out queries when the index was built.

    Points are in ascending order of expected cost and recall: each costs more than the one before and finds more.
    """

    index: str = Field(description="FAISS factory string")
    points: tuple[EffortPoint, ...] = Field(min_length=1)
    default_effort: int = Field(ge=0, description="effort of the cheapest point that reaches the recall bar")
    default_rescored: int = Field(0, ge=0, description="`rescored` of that point")

    @cached_property
    def default(self) -> EffortPoint:
        """The point that is used when nothing else is known: the cheapest that reaches the recall bar."""
        wanted = (self.default_effort, self.default_rescored)
        return next((p for p in self.points if (p.effort, p.rescored) == wanted), self.points[-1])

    def at_least(self, effort: int) -> EffortPoint:
        """The cheapest point with at least this effort; the last one where none has."""
        return next((p for p in self.points if p.effort >= effort), self.points[-1])

    def within(self, budget_ms: float, slowdown: float = 1.0) -> EffortPoint:
        """The point of best recall whose measured time, times `slowdown`, fits the budget; the first if none does."""
        fitting = [p for p in self.points if p.ms * slowdown <= budget_ms] or [self.points[0]]
        return max(fitting, key=lambda p: (p.recall, -p.ms))


class Manifest(_Record):
    """`manifest.json`. `id` covers everything but the measured milliseconds, which vary between machines.

    Fields may be added with defaults: the id is taken over what the file holds, so shards written before stay valid.
    """

    format_version: int
    id: str = Field(pattern=r"^[0-9a-f]{40}$")
    family: str
    counts: dict[str, int]
    fingerprints: dict[str, str] = Field(description="what made the vectors and passages: encoders, chunker")
    settings: dict[str, Any] = Field(description="settings that the shard was written with")
    dimensions: dict[str, int] = Field(description="text and joint vector sizes; 0 where there are no vectors")
    sentence_scale: float = Field(ge=0, description="a sentence vector is its int8 row times this")
    effort_curves: dict[str, EffortCurve]
    files: dict[str, FileEntry]

    @field_validator("files")
    @classmethod
    def _paths_stay_inside(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        for name in files:
            if not _SAFE_PATH.fullmatch(name):
                raise ValueError(f"unsafe file name in manifest: {name!r}")
        return files


def shard_id(core: Mapping[str, Any]) -> str:
    """Content address of a shard: 40 hex digits over the manifest without `id` and measured times."""
    content = {k: v for k, v in core.items() if k != "id"}
    content["effort_curves"] = {
        name: {
            **curve,
            "points": [{k: v for k, v in point.items() if k not in _MEASURED_TIMES} for point in curve["points"]],
        }
        for name, curve in core["effort_curves"].items()
    }
    return hashlib.sha256(_canonical(content)).hexdigest()[:40]


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Writes canonical JSON whose last line is the sha256 of the line before."""
    body = _canonical(manifest.model_dump(mode="json"))
    path.write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Reads and checks a manifest.

    Raises:
        IntegrityError: it is missing, damaged, or its id is not the address of its content.
        ShardError: its format is newer or older than this code reads.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"cannot read {path}: {error}") from error
    body, _, checksum = raw.partition(b"\n")
    if checksum != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise IntegrityError(f"{path} is damaged: its checksum does not match")
    try:
        content = json.loads(body)
        if content.get("format_version") != FORMAT_VERSION:
            raise ShardError(f"{path}: format {content.get('format_version')}, this version reads {FORMAT_VERSION}")
        manifest = Manifest.model_validate(content)
    except (ValueError, AttributeError, ValidationError) as error:
        raise ShardError(f"{path} is not a shard manifest: {error}") from error
    if shard_id(content) != manifest.id:
        raise IntegrityError(f"{path}: the id {manifest.id} is not the address of the content")
    return manifest


def file_sha256(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _canonical(content: Any) -> bytes:
    return json.dumps(
        content,
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    ).encode()
