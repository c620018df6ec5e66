"""The buckets of a window: one is open, the oldest go when they are too old, or all of them together too large."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from edge.window.bucket import Bucket, Made
from edge.window.bucket_writer import BucketWriter
from edge.window.clock import WindowClock
from edge.window.codes import VectorCodes
from edge.window.folder import WindowFolder
from edge.window.settings import WindowSettings

_log = structlog.get_logger()

_PARTS = 32  # a bucket takes at most this part of the bounds, so that dropping one frees little
_BUCKETS_MAX = 4_096
_US = 1_000_000
_HOUR_US = 3_600 * _US
_NEVER = 2**63 - 1


class BoundedBuckets:
    """Not thread-safe: the window's lock is held at every call. Times are µs since 1970.

    Attributes:
        all: oldest first; a new list at each change, so that readers may keep one.
        writer: of the open bucket, the last of all; None where none is open.
        bounded_by: "age" or "bytes", by what the last bucket went.
    """

    def __init__(
        self,
        folder: WindowFolder,
        settings: WindowSettings,
        key: bytes,
        fingerprint: str,
        codes: VectorCodes,
        clock: WindowClock,
        given_up: Callable[[OSError], None],
    ) -> None:
        """The buckets in a folder, as far as they are within the bounds.

        `given_up` is called when the open bucket was given up: what is not flushed of it may be missing.

        Raises:
            ConfigurationError: the folder was written under another key, or by another version.
            DataError: the disk cannot be read.
        """
        self._folder, self._key, self._fingerprint, self._codes = folder.path, key, fingerprint, codes
        self._clock, self._given_up = clock, given_up
        self._durable = settings.sync == "fsync"
        self._keep_us = int(settings.hours * _HOUR_US)
        self._max_disk = int(settings.max_disk_mib * 2**20)
        self._max_memory = int(settings.max_memory_mib * 2**20)
        self._ahead = int(settings.max_ahead_s * _US)
        self._bucket_us = int(settings.bucket_minutes * 60 * _US)
        self.writer: BucketWriter | None = None
        self.bounded_by = "age"
        self.all = folder.read(key, fingerprint, codes)
        self._next_sequence = 1 + max((b.sequence for b in self.all), default=0)
        self._begun = 0
        if self.all:
            clock.start_from(max(b.end(self._ahead) for b in self.all))
        self._seen = clock.believed_us()
        self._date_anew(self._seen)
        self.make_room(0)
        self.drop_expired()

    @property
    def clock_held(self) -> bool:
        """Whether the wall clock leapt ahead and is not believed yet."""
        return self._clock.held

    def cutoff(self) -> int:
        """The time before which nothing is kept."""
        return self._clock.believed_us() - self._keep_us

    def believed_until(self) -> int:
        """The time after which a frame is not believed."""
        return self._clock.wall_us() + self._ahead

    def begin(self) -> BucketWriter:
        """Opens a new bucket where none is open. Raises OSError where the disk does not let it be made."""
        self._begun = self._clock.believed_us()
        made = Made(self._fingerprint, self._codes.dimension, self._begun + self._bucket_us)
        sequence, self._next_sequence = self._next_sequence, self._next_sequence + 1
        self.writer = BucketWriter(self._folder, sequence, self._key, made, self._codes, durable=self._durable)
        self.all = [*self.all, self.writer.bucket]
        self._sum_up()
        return self.writer

    def end_open(self) -> None:
        """Nothing is added any more to the bucket that is open."""
        if self.writer is not None:
            try:
                self.writer.finish()
                self.writer = None
            except OSError as error:
                self.give_up(error)
            self._sum_up()

    def end_what_is_due(self) -> None:
        """Ends the open bucket where it has become old or large; drops what has expired."""
        if self.writer is not None:
            bucket = self.writer.bucket
            age_us = abs(self._clock.believed_us() - self._begun)  # a clock set back ends a bucket as well
            if (
                age_us >= self._bucket_us
                or bucket.disk_bytes >= self._max_disk // _PARTS
                or bucket.used_bytes >= self._max_memory // _PARTS
            ):
                self.end_open()
        self.drop_expired()

    def give_up(self, error: OSError) -> None:
        """The open bucket takes no more: what follows a record that may be missing would not be read again."""
        if self.writer is not None:
            _log.error("window write failed", error=str(error), bucket=self.writer.bucket.sequence)
            self.writer.give_up()
            self.writer = None
            self._sum_up()
        self._given_up(error)

    def take_written(self) -> Callable[[], None]:
        """What flushes what was written since the last call; that needs no lock."""
        if self.writer is None:
            return lambda: None
        files = self.writer.dirty()
        return lambda: BucketWriter.flush(files)

    def drop_expired(self) -> None:
        """Drops every bucket that is over."""
        now, cutoff = self._clock.believed_us(), self.cutoff()
        if now < self._seen:  # set back
            self._date_anew(now)
        self._seen = now
        if self._oldest_end >= cutoff:
            return
        old = [bucket for bucket in self.all if bucket.end(self._ahead) < cutoff]
        if old:
            self._drop(old, "age")
        self._sum_up()

    def make_room(self, coming: int) -> None:
        """Drops the oldest buckets until the bounds hold with so many bytes more, and with a bucket that doubles."""
        memory_bound = self._max_memory - 2 * (self._max_memory // _PARTS)
        growing = None if self.writer is None else self.writer.bucket
        disk = self._still_disk + coming + (growing.disk_bytes if growing else 0)
        memory = self._still_memory + (growing.memory_bytes if growing else 0)
        drop = 0
        while drop < len(self.all) and (
            disk > self._max_disk or memory > memory_bound or len(self.all) - drop >= _BUCKETS_MAX
        ):
            disk -= self.all[drop].disk_bytes
            memory -= self.all[drop].memory_bytes
            drop += 1
        if drop:
            self._drop(self.all[:drop], "bytes")

    def _drop(self, gone: list[Bucket], bounded_by: str) -> None:
        """Removes buckets: their files and their rows at once."""
        self.all = [bucket for bucket in self.all if bucket not in gone]
        self.bounded_by = bounded_by
        if self.writer is not None and self.writer.bucket in gone:
            self.end_open()
        for bucket in gone:
            try:
                bucket.remove()
            except OSError as error:
                _log.error("window bucket not removed", bucket=bucket.sequence, error=str(error))
        self._sum_up()

    def _date_anew(self, now: int) -> None:
        """Buckets that arrived in the future, by a clock that was wrong then or is now, count from now."""
        for bucket in self.all:
            if bucket.arrived > now + self._bucket_us + _US:
                bucket.arrived = now
        self._sum_up()

    def _sum_up(self) -> None:
        """Over the buckets that do not grow any more, so that adding does not look at each of them."""
        still = self.all if self.writer is None else self.all[:-1]
        self._still_disk = sum(b.disk_bytes for b in still)
        self._still_memory = sum(b.memory_bytes for b in still)
        self._oldest_end = min((b.end(self._ahead) for b in still), default=_NEVER)
        if self.writer is not None:  # it may be empty yet; what it gets can only make it end later
            self._oldest_end = min(self._oldest_end, self._begun)
