"""What the catalogue stores: releases, which never change, and the one pointer that does."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lineside.errors import DataError

Model = TypeVar("Model", bound=BaseModel)

MAX_RECORD_BYTES = 16 << 20
HISTORY_MAX = 100


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardEntry(_Record):
    """One shard of a release."""

    family: str
    id: str = Field(pattern=r"^[0-9a-f]{40}$")


class Release(_Record):
    """What a release consists of."""

    number: int = Field(ge=1)
    created: datetime
    shards: tuple[ShardEntry, ...] = Field(min_length=1)
    fingerprints: dict[str, str] = Field(description="encoders and chunker that made the shards")
    note: str = ""
    base: int | None = Field(None, description="the release that was current when the publisher began")
    by: str = ""

    @property
    def families(self) -> dict[str, frozenset[str]]:
        """Ids of shards by family."""
        return families_of(self.shards)


def families_of(shards: Sequence[ShardEntry]) -> dict[str, frozenset[str]]:
    """Ids of shards by family."""
    found: dict[str, set[str]] = {}
    for shard in shards:
        found.setdefault(shard.family, set()).add(shard.id)
    return {family: frozenset(ids) for family, ids in found.items()}


class Activation(_Record):
    """A release became current."""

    release: int = Field(ge=1)
    at: datetime
    by: str = ""
    why: str = ""
    rollback: bool = False


class Removal(_Record):
    """Releases and shards that are being deleted: nobody may activate or publish them meanwhile."""

    since: datetime
    releases: tuple[int, ...]
    shards: tuple[str, ...]


class Pointer(_Record):
    """`current.json`: the only object of a catalogue that is ever replaced, always on condition of its etag.

    Moving `release` and marking a removal therefore exclude each other.
    """

    release: int = Field(ge=1)
    history: tuple[Activation, ...] = Field((), description=f"oldest first, the last {HISTORY_MAX}")
    highest: int = Field(0, ge=0, description="numbers up to here have been used, even if their releases were pruned")
    removing: Removal | None = None

    def active_before(self) -> list[int]:
        """Releases that were active before the current one, the latest first; a rollback takes itself back.

        After activating 1, 2, 3 and rolling back, it is [1]: rolling back again goes further back, not to 3.
        """
        stack: list[int] = []
        for activation in self.history:
            if activation.rollback and activation.release in stack:
                while stack[-1] != activation.release:
                    stack.pop()
            elif not stack or stack[-1] != activation.release:
                stack.append(activation.release)
        if stack and stack[-1] == self.release:
            stack.pop()
        return stack[::-1]


def parse(model: type[Model], content: bytes, where: str) -> Model:
    """Raises DataError where the content is not of the model."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{where} is damaged: {error}") from error


def publisher() -> str:
    """Who acts, for the record: user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
