"""What goes into the rolling window and what comes out of it: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from lineside.errors import InvalidRequest

Vector = NDArray[np.float32]

MAX_NAME_BYTES = 200
MAX_LABELS = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class FrameIn:
    """A camera's frame: `time` (UTC when it has no zone), encoded `image`, joint `vector` (d,) float32, any length."""

    camera: str
    time: datetime
    image: bytes
    vector: Vector
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """The frame is a new record."""

    id: str


@dataclass(frozen=True, slots=True)
class Collapsed:
    """The frame shows what the record `id` shows, which now lasts until this frame's time, and stands for `count`."""

    id: str
    count: int


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """A record: what a camera showed from `time` to `until` in `count` frames.

    `similarity`: cosine to the vector that was searched for, None in a listing by time.
    """

    id: str
    camera: str
    time: datetime
    until: datetime
    count: int
    labels: tuple[str, ...]
    similarity: float | None = None
    duplicates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """What the window holds.

    `since` to `until`: the span really held; `bounded_by` says whether age or bytes made the oldest frames go last.
    `unsearchable`: records made by another encoder, found by time only. `damaged`: records that do not open any more,
    `unreadable_buckets`: buckets of which nothing does. `clock_held`: the clock leapt ahead and is not believed yet.
    """

    records: int
    frames: int
    cameras: int
    since: datetime | None
    until: datetime | None
    bounded_by: str
    disk_bytes: int
    memory_bytes: int
    buckets: int
    unsearchable: int
    damaged: int
    unreadable_buckets: int
    clock_held: bool


def microseconds(time: datetime) -> int:
    """Since 1970, exactly; a time without a zone is UTC."""
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def check_names(camera: str, labels: tuple[str, ...]) -> None:
    """Raises InvalidRequest where a name is empty, long or not printable, or labels are too many."""
    if len(labels) > MAX_LABELS:
        raise InvalidRequest(f"labels: {len(labels)} are too many; {MAX_LABELS} at most")
    for field, name in (("camera", camera), *(("labels", label) for label in labels)):
        if not name.strip() or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
            raise InvalidRequest(f"{field}: give a printable name of 1 to {MAX_NAME_BYTES} bytes, not {name[:40]!r}")
