"""The rolling window: the latest frames of each camera, durable, sealed, bounded, searched by time and similarity."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from edge.window.bounded_buckets import BoundedBuckets
from edge.window.bucket import Bucket
from edge.window.cameras import Camera, Cameras
from edge.window.clock import WindowClock
from edge.window.codes import Vector, VectorCodes
from edge.window.folder import WindowFolder
from edge.window.frames import (
    Collapsed,
    FrameIn,
    Kept,
    WindowFrame,
    WindowStatus,
    check_names,
    microseconds,
    moment,
)
from edge.window.group_commit import CommitGroup, GroupCommit
from edge.window.sealed_log import overhead
from edge.window.settings import WindowSettings
from edge.window.window_search import listing, similar
from lineside.errors import InvalidRequest, NotFound, ShardError, TooLarge, Unavailable, UnsupportedImage
from lineside.shards.images import StoredImage, thumbnail

_ID = re.compile(r"window:([0-9a-f]{16}):([0-9a-f]{16}):(\d{1,10})")
_US = 1_000_000
_COUNT_MAX = 2**32 - 1
_NAMES_BYTES = 4_096  # of a frame's record at most, beside its code and image


def window_key(secret: bytes) -> bytes:
    """The window's key (32 bytes) from the gateway's secret, which other keys are derived from as well."""
    return HKDFExpand(SHA256(), 32, b"lineside gateway window 1").derive(secret)


class RollingWindow:
    """One writer process; any number of its threads add and read. `add` blocks until the frame is durable.

    Buckets follow one another by the time of arrival, so that all cameras share one pair of files and one flush; old
    ones are dropped whole. A bucket that was begun before a restart is never written to again.
    """

    def __init__(
        self,
        folder: WindowFolder,
        settings: WindowSettings,
        key: bytes,
        dimension: int,
        fingerprint: str,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._folder, self._key = folder, key
        self._codes = VectorCodes(dimension)
        clock = WindowClock(wall, monotonic, settings.clock_hold_s)
        self._changed = threading.Condition(threading.RLock())
        self._buckets = BoundedBuckets(
            folder, settings, key, fingerprint, self._codes, clock, lambda error: self._commit.fail(error)
        )
        self._commit = GroupCommit(
            self._buckets.take_written, self._buckets.give_up, self._changed, settings.commit_ms / 1000
        )
        self._cameras = Cameras(settings.max_cameras)
        self._closed = False

    @classmethod
    def open(
        cls, folder: Path, settings: WindowSettings, key: bytes, dimension: int, fingerprint: str
    ) -> RollingWindow:
        """The window in a folder, which is created when it is not there; what was cut off by a crash is passed over.

        Args:
            key: 32 bytes, from `window_key`.
            dimension, fingerprint: of the joint encoder. Frames of another one are kept, and found by time alone.

        Raises:
            ConfigurationError: another process writes to it, or it was written under another key.
            DataError: the disk cannot be read.
        """
        held = WindowFolder(folder)
        try:
            return cls(held, settings, key, dimension, fingerprint)
        except BaseException:
            held.close()
            raise

    def add(self, frame: FrameIn) -> Kept | Collapsed:
        """Keeps a frame, or extends the camera's last record where it shows the same. Blocks until that is durable.

        The image of a frame that is collapsed is not looked at.

        Raises:
            InvalidRequest: a name, vector or time that cannot be; older than the window, or too far in the future.
            TooLarge, UnsupportedImage: the image.
            Unavailable: the disk refused it, there are too many cameras, or the window is closed.
        """
        check_names(frame.camera, frame.labels)
        if len(frame.image) > self.settings.max_image_bytes:
            raise TooLarge(f"image: {len(frame.image):,} bytes; the window takes {self.settings.max_image_bytes:,}")
        moment_us = self._checked_time(frame.time)
        turned = self._codes.turned(frame.vector)
        camera = self._camera(frame.camera)
        with camera.lock:  # frames of a camera in their order; others meanwhile decode theirs
            outcome, group = self._extend(camera, frame, moment_us, turned) or self._keep(
                camera, frame, moment_us, turned, self._thumbnail(frame.image)
            )
        if self.settings.sync == "fsync":
            try:
                self._commit.wait(group)
            except OSError as error:
                raise _refused(error) from error
        return outcome

    def image(self, frame_id: str) -> StoredImage:
        """The thumbnail of a frame.

        Raises:
            NotFound: no such frame, or it has left the window.
            IntegrityError: its bytes were changed on the disk.
        """
        wanted = _ID.fullmatch(frame_id)
        buckets, cutoff = self._snapshot()
        for bucket in buckets if wanted else ():
            if wanted and bucket.sequence == int(wanted[1], 16) and bucket.salt[:8].hex() == wanted[2]:
                row = bucket.row_of(int(wanted[3]))
                if int(bucket.rows["until"][row]) >= cutoff:
                    return StoredImage(bucket.image(row, self._key), "image/webp")
        raise NotFound(f"no frame {frame_id} in the window")

    @staticmethod
    def is_frame_id(image_id: str) -> bool:
        """Whether an image's id is of a frame of the window: no other image's is."""
        return _ID.fullmatch(image_id) is not None

    def search(
        self,
        vector: Vector,
        *,
        cameras: Collection[str] | None = None,
        time_from: datetime | None = None,
        time_to: datetime | None = None,
        k: int = 8,
        duplicate_cosine: float | None = None,
    ) -> list[WindowFrame]:
        """The k records nearest to a vector (d,) of the joint space that lasted at some time in [from, to).

        `duplicate_cosine`: those as near as this to a better one of the same camera are folded into it.
        """
        buckets, cutoff = self._snapshot()
        span = _span(time_from, time_to, cutoff)
        return similar(buckets, self._codes.turned(vector), cameras, span, k, duplicate_cosine)

    def latest(
        self,
        *,
        cameras: Collection[str] | None = None,
        time_from: datetime | None = None,
        time_to: datetime | None = None,
        k: int = 8,
    ) -> list[WindowFrame]:
        """The k latest records that lasted at some time in [from, to), latest first, of any encoder."""
        buckets, cutoff = self._snapshot()
        return listing(buckets, cameras, _span(time_from, time_to, cutoff), k)

    def status(self) -> WindowStatus:
        """What is held now."""
        buckets, _ = self._snapshot()
        with self._changed:
            clock_held, bounded_by = self._buckets.clock_held, self._buckets.bounded_by
        filled = [bucket for bucket in buckets if len(bucket)]
        return WindowStatus(
            records=sum(len(b) for b in filled),
            frames=sum(b.frames for b in filled),
            cameras=len({name for b in filled for name in tuple(b.cameras)}),
            since=moment(min(b.oldest for b in filled)) if filled else None,
            until=moment(max(b.newest for b in filled)) if filled else None,
            bounded_by=bounded_by,
            disk_bytes=sum(b.disk_bytes for b in buckets),
            memory_bytes=sum(b.memory_bytes for b in buckets),
            buckets=len(buckets),
            unsearchable=sum(len(b) for b in filled if b.vectors is None),
            damaged=sum(b.damaged for b in buckets),
            unreadable_buckets=sum(b.made is None for b in buckets),
            clock_held=clock_held,
        )

    def close(self) -> None:
        """Ends the bucket and lets go of the folder."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._buckets.end_open()
                self._folder.close()

    def _snapshot(self) -> tuple[list[Bucket], int]:
        """The buckets and the time before which nothing is shown any more."""
        with self._changed:
            if not self._closed:
                self._buckets.drop_expired()
            return self._buckets.all, self._buckets.cutoff()

    def _checked_time(self, time: datetime) -> int:
        moment_us = microseconds(time)
        with self._changed:
            if moment_us > self._buckets.believed_until():
                raise InvalidRequest(f"time: {time} is in the future; set the clock of the camera or of the gateway")
            if moment_us < self._buckets.cutoff():
                raise InvalidRequest(f"time: {time} is older than the {self.settings.hours:g} h that the window keeps")
        return moment_us

    def _camera(self, name: str) -> Camera:
        with self._changed:
            writer = self._buckets.writer
            return self._cameras.of(name, None if writer is None else writer.bucket.sequence)

    def _extend(
        self, camera: Camera, frame: FrameIn, moment_us: int, turned: Vector
    ) -> tuple[Collapsed, CommitGroup] | None:
        """Where the camera shows what it showed; None where not."""
        with self._changed, self._writing():
            self._buckets.end_what_is_due()
            self._buckets.make_room(overhead(1))
            writer = self._buckets.writer
            if writer is None or camera.sequence != writer.bucket.sequence:
                return None
            row = writer.bucket.rows[camera.row]
            until, count = int(row["until"]), int(row["count"])
            gap_us = self.settings.collapse_gap_s * _US
            if not int(row["time"]) <= moment_us <= until + gap_us or count == _COUNT_MAX:
                return None
            if not camera.shows(turned, frame.labels, self.settings.collapse_cosine):
                return None
            writer.extend(camera.row, max(until, moment_us), count + 1)
            return Collapsed(writer.bucket.frame_id(camera.row), count + 1), self._commit.current

    def _thumbnail(self, image: bytes) -> bytes:
        try:
            return thumbnail(
                image,
                max_px=self.settings.thumbnail_px,
                quality=self.settings.thumbnail_quality,
                max_pixels=self.settings.max_pixels,
            )
        except ShardError as error:
            raise UnsupportedImage(f"image: {error}; send a PNG, JPEG or WebP") from error

    def _keep(
        self, camera: Camera, frame: FrameIn, moment_us: int, turned: Vector, image: bytes
    ) -> tuple[Kept, CommitGroup]:
        code = self._codes.encode(turned)
        with self._changed, self._writing():
            self._buckets.end_what_is_due()
            self._buckets.make_room(len(image) + code.nbytes + _NAMES_BYTES)
            writer = self._buckets.writer or self._buckets.begin()
            camera.row = writer.add(moment_us, frame.camera, frame.labels, code, image)
            camera.sequence, camera.turned, camera.labels = writer.bucket.sequence, turned, frame.labels
            return Kept(writer.bucket.frame_id(camera.row)), self._commit.current

    def _writing(self) -> _Writing:
        if self._closed:
            raise Unavailable("the window is closed")
        return _Writing(self._buckets.give_up)


class _Writing:
    """Turns an OSError into the end of the bucket and an error for the caller."""

    def __init__(self, failed: Callable[[OSError], None]) -> None:
        self._failed = failed

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            self._failed(error)
            raise _refused(error) from error


def _refused(error: OSError) -> Unavailable:
    return Unavailable(f"the window cannot be written to: {error.strerror or error}; look at the gateway's disk", 5)


def _span(time_from: datetime | None, time_to: datetime | None, cutoff: int) -> tuple[int, int]:
    """[from, to) in µs; nothing before the cutoff."""
    first = cutoff if time_from is None else max(microseconds(time_from), cutoff)
    return first, 2**63 - 1 if time_to is None else microseconds(time_to)
