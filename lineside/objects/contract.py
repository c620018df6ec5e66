"""What an object store promises: whole objects under keys, and writes that happen only if nobody was faster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object. `etag` changes whenever its content does; what it is made of is the store's business."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How long an operation may try before `StoreUnavailable`.

    One attempt takes at most `request_s` (`connect_s` of it to connect); failed attempts are repeated up to `retries`
    times with exponential, jittered back-off, but no new one starts after `retry_s`.
    """

    connect_s: float = 5.0
    request_s: float = 30.0
    retries: int = 4
    retry_s: float = 20.0


class ObjectStore(Protocol):
    """Objects below one root. Keys are relative to it, with `/` between segments.

    Every method may raise:
        InvalidRequest: the key is absolute, or has a segment that is empty, `.` or `..`.
        StoreUnavailable: the store did not answer or refused the credentials, after bounded retries.
    """

    @property
    def url(self) -> str:
        """What `open_store` opens again."""
        ...

    def get(self, key: str, max_bytes: int | None = None) -> tuple[bytes, str]:
        """An object's data and etag.

        Raises:
            NotFound: there is no such object.
            TooLarge: it has more than `max_bytes`; they are not read.
        """
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of an object; None when it is not there."""
        ...

    def put(self, key: str, data: bytes) -> str:
        """Writes or overwrites; gives the etag."""
        ...

    def create(self, key: str, data: bytes) -> str:
        """Writes a new object; of two writers at once exactly one succeeds. Gives the etag.

        Raises:
            Conflict: it exists. After a lost reply it may be the caller's own: compare when that matters.
        """
        ...

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Overwrites the version that `etag` names, and no other. Gives the new etag.

        Raises:
            Conflict: it has changed meanwhile, or is gone.
        """
        ...

    def upload(self, key: str, path: Path) -> None:
        """Writes or overwrites an object from a file, in bounded memory."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Writes an object to a file, in bounded memory; `path` appears whole or not at all.

        Raises:
            NotFound: there is no such object.
            Conflict: it was overwritten while it was read.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, sorted by key."""
        ...

    def delete(self, key: str) -> None:
        """Removes an object; no error when there is none."""
        ...
