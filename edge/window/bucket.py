"""A bucket: the frames of one stretch of time, which expire together. Three files on the disk, rows in memory.

    N.frames   record 0 says what made the vectors; every other is a frame: when, who, labels, code, place of its image
    N.images   the thumbnails, in the order of the frames
    N.spans    until when a frame lasts and how many it stands for, where that is more than one; the last word counts

All are logs of sealed records (edge.window.sealed_log), bound to the salt of `N.frames`.
"""

from __future__ import annotations

import json
import re
import struct
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.window.codes import Codes, VectorCodes
from edge.window.sealed_log import HEADER, SIZE, TAG_BYTES, LogReader, read_record
from edge.window.vector_blocks import VectorBlocks
from lineside.errors import ConfigurationError, DataError, IntegrityError, NotFound

FRAMES, IMAGES, SPANS = ".frames", ".images", ".spans"
NAME = re.compile(r"[0-9a-f]{16}")

ROW = np.dtype(
    [
        ("number", "<u4"),  # of its record in N.frames
        ("time", "<i8"),
        ("until", "<i8"),
        ("count", "<u4"),
        ("camera", "<u2"),
        ("labels", "<u4"),
        ("image_offset", "<i8"),
        ("image_size", "<u4"),
    ]
)
SPAN = np.dtype([("number", "<u4"), ("until", "<i8"), ("count", "<u4")])
RowArray = NDArray[np.void]

_FRAME = struct.Struct("<qqIHH")
_SMALLEST = 64
_NAME_BYTES = 120  # of memory beside its characters


@dataclass(frozen=True, slots=True)
class Made:
    """Which joint encoder's vectors a bucket holds; when its last frame arrives at the latest (µs since 1970)."""

    fingerprint: str
    dimension: int
    arrived: int

    def packed(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Made:
        """Of record 0, which was sealed with the window's key: what it is not, is another version's.

        Raises:
            DataError: it says other things than this version knows.
        """
        try:
            made = cls(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise DataError(str(error)) from error
        if not (isinstance(made.fingerprint, str) and type(made.dimension) is type(made.arrived) is int):
            raise DataError("its first record says other things")
        return made


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A frame as `N.frames` holds it."""

    time: int
    image_offset: int
    image_size: int
    camera: str
    labels: tuple[str, ...]
    code: Codes

    def packed(self) -> bytes:
        camera, labels = self.camera.encode(), "\0".join(self.labels).encode()
        head = _FRAME.pack(self.time, self.image_offset, self.image_size, len(camera), len(labels))
        return head + camera + labels + self.code.tobytes()

    @classmethod
    def unpacked(cls, data: bytes) -> FrameRecord:
        time, offset, size, camera_bytes, labels_bytes = _FRAME.unpack_from(data)
        camera_end = _FRAME.size + camera_bytes
        labels_end = camera_end + labels_bytes
        labels = data[camera_end:labels_end].decode()
        return cls(
            time=time,
            image_offset=offset,
            image_size=size,
            camera=data[_FRAME.size : camera_end].decode(),
            labels=tuple(labels.split("\0")) if labels else (),
            code=np.frombuffer(data, np.int8, offset=labels_end),
        )


class Bucket:
    """The frames of a bucket. Rows are appended by one thread; `lock` is held for that and for taking snapshots.

    Attributes:
        made: None where not even record 0 can be read: such a bucket has no rows.
        arrived: when its last frame arrived at the latest, by the gateway's clock: µs since 1970.
        vectors: None where they are of another encoder than the window's.
        disk_bytes: of all its files.
    """

    def __init__(self, folder: Path, sequence: int, salt: bytes, made: Made | None, codes: VectorCodes | None) -> None:
        self.folder, self.sequence, self.salt, self.made = folder, sequence, salt, made
        self.vectors = None if codes is None else VectorBlocks(codes)
        self.lock = threading.Lock()
        self.cameras: dict[str, int] = {}
        self.labels: dict[tuple[str, ...], int] = {}
        self._camera_names: list[str] = []
        self._label_names: list[tuple[str, ...]] = []
        self._rows: RowArray = np.empty(_SMALLEST, ROW)
        self._used = 0
        self._names_bytes = 0
        self.arrived = 0 if made is None else made.arrived
        self.frames = 0
        self.oldest, self.newest = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        self.disk_bytes = 0
        self.damaged = 0

    def __len__(self) -> int:
        return self._used

    def end(self, ahead: int) -> int:
        """When what it holds is over: a frame is not believed to be from more than `ahead` µs after its arrival."""
        return min(self.newest, self.arrived + ahead) if self._used else self.arrived

    @property
    def memory_bytes(self) -> int:
        vectors = 0 if self.vectors is None else self.vectors.memory_bytes
        return vectors + self._rows.nbytes + self._names_bytes

    @property
    def used_bytes(self) -> int:
        """Of memory, without what is set aside for rows to come."""
        dimension = 0 if self.vectors is None or self.made is None else self.made.dimension
        return self._used * (ROW.itemsize + dimension) + self._names_bytes

    @property
    def rows(self) -> RowArray:
        """The rows until now; `until` and `count` of a camera's last one may still grow."""
        return self._rows[: self._used]

    def add(self, number: int, record: FrameRecord) -> int:
        """A row; `lock` is held. Gives its place."""
        if self._used == len(self._rows):
            grown = np.empty(2 * self._used, ROW)
            grown[: self._used] = self._rows
            self._rows = grown
        row, (camera, labels) = self._used, self._names(record)
        self._rows[row] = (
            number, record.time, record.time, 1, camera, labels, record.image_offset, record.image_size,
        )  # fmt: skip
        if self.vectors is not None:
            self.vectors.append(record.code)
        self._used += 1
        self.frames += 1
        self.oldest, self.newest = min(self.oldest, record.time), max(self.newest, record.time)
        return row

    def extend(self, row: int, until: int, count: int) -> None:
        """`lock` is held."""
        self.frames += count - int(self._rows["count"][row])
        self._rows["until"][row], self._rows["count"][row] = until, count
        self.newest = max(self.newest, until)

    def shrink(self) -> None:
        """Gives back memory that is not used: nothing more is added. `lock` is held."""
        self._rows = self.rows.copy()
        if self.vectors is not None:
            self.vectors.seal()

    def camera(self, code: int) -> str:
        return self._camera_names[code]

    def labels_of(self, code: int) -> tuple[str, ...]:
        return self._label_names[code]

    def row_of(self, number: int) -> int:
        """The row of a record; raises NotFound."""
        with self.lock:
            rows = self.rows
        row = int(np.searchsorted(rows["number"], number))
        if row == len(rows) or rows["number"][row] != number:
            raise NotFound("no such frame in the window")
        return row

    def frame_id(self, row: int) -> str:
        return f"window:{self.sequence:016x}:{self.salt[:8].hex()}:{int(self._rows['number'][row])}"

    def path(self, ending: str) -> Path:
        return self.folder / f"{self.sequence:016x}{ending}"

    def image(self, row: int, key: bytes) -> bytes:
        """The thumbnail.

        Raises:
            IntegrityError: it is damaged.
            NotFound: the bucket has expired meanwhile.
        """
        found = self._rows[row]
        try:
            return read_record(
                self.path(IMAGES),
                key,
                b"images",
                self.salt,
                number=int(found["number"]) - 1,
                offset=int(found["image_offset"]),
                size=int(found["image_size"]),
            )
        except FileNotFoundError:
            raise NotFound("the frame has left the window") from None

    def holds_nothing(self) -> bool:
        """Whether no frame of it was ever acknowledged, as far as can be known: its writer was killed at the beginning.

        Without record 0 that is so where no image was written, which comes before its frame.
        """
        if self.made is None:
            return _size(self.path(IMAGES)) <= HEADER.size
        return not len(self) and not self.damaged

    def remove(self) -> None:
        """Deletes its files; `N.frames` first, without which the others are nothing."""
        for ending in (FRAMES, IMAGES, SPANS):
            self.path(ending).unlink(missing_ok=True)

    def _names(self, record: FrameRecord) -> tuple[int, int]:
        camera = self.cameras.get(record.camera)
        if camera is None:
            camera = self.cameras[record.camera] = len(self._camera_names)
            self._camera_names.append(record.camera)
            self._names_bytes += _NAME_BYTES + len(record.camera)
        labels = self.labels.get(record.labels)
        if labels is None:
            labels = self.labels[record.labels] = len(self._label_names)
            self._label_names.append(record.labels)
            self._names_bytes += sum(_NAME_BYTES + len(label) for label in ("", *record.labels))
        return camera, labels


def read_bucket(folder: Path, sequence: int, key: bytes, fingerprint: str, codes: VectorCodes) -> Bucket:
    """A bucket of the disk, as far as it can be read. Frames without their whole image were never acknowledged.

    Raises:
        ConfigurationError: it is of a format that this version does not know.
        OSError: the disk does not let it be read.
    """
    name = folder / f"{sequence:016x}"
    data = Path(f"{name}{FRAMES}").read_bytes()
    images = _size(Path(f"{name}{IMAGES}"))
    try:
        log = LogReader(data, key, b"frames")
    except IntegrityError:
        log = None
    records = iter(()) if log is None else log.records()
    first = next(records, None)
    if log is None or first is None or first.number or log.sequence != sequence:
        bucket = Bucket(folder, sequence, bytes(32), None, None)
        bucket.arrived = bucket.path(FRAMES).stat().st_mtime_ns // 1_000
    else:
        try:
            made = Made.unpacked(first.plain)
        except DataError as error:
            raise ConfigurationError(
                f"bucket {name.name} of the window in {folder} was written by another version of Lineside ({error}): "
                "go back to that version, or move the folder away to begin a new window"
            ) from error
        same = (made.fingerprint, made.dimension) == (fingerprint, codes.dimension)
        bucket = Bucket(folder, sequence, log.salt, made, codes if same else None)
        for record in records:
            frame = FrameRecord.unpacked(record.plain)
            if frame.image_offset + SIZE.size + frame.image_size + TAG_BYTES <= images:
                bucket.add(record.number, frame)
            else:
                bucket.damaged += 1
        bucket.damaged += log.damaged
        _read_spans(bucket, key)
        bucket.shrink()
    bucket.disk_bytes = len(data) + images + _size(bucket.path(SPANS))
    return bucket


def _read_spans(bucket: Bucket, key: bytes) -> None:
    """The last word about each row; where spans are damaged, a record lasts no longer than what is left says."""
    path = bucket.path(SPANS)
    if not path.exists():
        return
    try:
        log = LogReader(path.read_bytes(), key, b"spans", bucket.salt)
    except IntegrityError:
        bucket.damaged += 1
        return
    row_of = {int(number): row for row, number in enumerate(bucket.rows["number"])}
    for number, until, count in _spans(log):
        if number in row_of:
            bucket.extend(row_of[number], until, count)
    bucket.damaged += log.damaged


def _spans(log: LogReader) -> Iterator[tuple[int, int, int]]:
    for record in log.records():
        yield from np.frombuffer(record.plain, SPAN).tolist()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
