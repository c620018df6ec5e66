"""Writes the bucket that is open: a frame's image, then its record; spans to a log that is rewritten when it grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.sync.durable import TEMPORARY, sync_folder
from edge.window.bucket import FRAMES, IMAGES, SPAN, SPANS, Bucket, FrameRecord, Made
from edge.window.codes import Codes, VectorCodes
from edge.window.sealed_log import MAX_RECORD_BYTES, LogWriter

_SPANS_MIN_BYTES = 64 << 10
_SPANS_A_RECORD = MAX_RECORD_BYTES // SPAN.itemsize


class BucketWriter:
    """The one writer of a new bucket. Not thread-safe. After an OSError it must only be closed.

    Attributes:
        durable: whether files and their names are flushed to the disk, by `flush` and when the bucket is created.
    """

    def __init__(
        self, folder: Path, sequence: int, key: bytes, made: Made, codes: VectorCodes, *, durable: bool
    ) -> None:
        self._key, self._durable = key, durable
        self._spans: LogWriter | None = None
        self._spans_limit = 0
        self._number = 1
        name = folder / f"{sequence:016x}"
        paths = [Path(f"{name}{FRAMES}"), Path(f"{name}{IMAGES}")]
        try:
            self._frames = LogWriter(paths[0], key, b"frames", sequence)
            self._frames.append(made.packed())
            salt = self._frames.salt
            self._images = LogWriter(paths[1], key, b"images", sequence, salt)
            self._dirty: set[LogWriter] = {self._frames, self._images}
            if durable:
                self.flush(self.dirty())
                sync_folder(folder)
        except OSError:
            for path in paths:
                path.unlink(missing_ok=True)
            raise
        self.bucket = Bucket(folder, sequence, salt, made, codes)
        self._count_bytes()

    def add(self, time: int, camera: str, labels: tuple[str, ...], code: Codes, image: bytes) -> int:
        """Writes a frame; gives its row."""
        offset = self._images.append(image)
        record = FrameRecord(time, offset, len(image), camera, labels, code)
        self._frames.append(record.packed())
        number, self._number = self._number, self._number + 1
        self._dirty |= {self._images, self._frames}
        with self.bucket.lock:
            row = self.bucket.add(number, record)
        self._count_bytes()
        return row

    def extend(self, row: int, until: int, count: int) -> None:
        """Writes that a row lasts until then and stands for so many frames."""
        with self.bucket.lock:
            self.bucket.extend(row, until, count)
        if self._spans is None or self._spans.size > self._spans_limit:
            self._rewrite_spans()
        else:
            number = int(self.bucket.rows["number"][row])
            self._spans.append(np.array([(number, until, count)], SPAN).tobytes())
            self._dirty.add(self._spans)
        self._count_bytes()

    def dirty(self) -> tuple[LogWriter, ...]:
        """The files written since the last call."""
        files, self._dirty = tuple(self._dirty), set()
        return files

    @staticmethod
    def flush(files: tuple[LogWriter, ...]) -> None:
        for file in files:
            file.flush()

    def finish(self) -> None:
        """Nothing more is added: spans are written once more without what they said before, memory is given back."""
        if self._spans is not None:
            self._rewrite_spans()
        files = [file for file in (self._frames, self._images, self._spans) if file is not None]
        for file in files:
            if self._durable:
                file.flush()
            file.close(settled=True)
        with self.bucket.lock:
            self.bucket.shrink()
        self._count_bytes()

    def give_up(self) -> None:
        """After an OSError: whoever still waits for a flush is told that there was none."""
        for file in (self._frames, self._images, self._spans):
            if file is not None:
                file.close()

    def _rewrite_spans(self) -> None:
        """A new file, complete before it takes the old one's name."""
        bucket = self.bucket
        path = bucket.path(SPANS)
        written = path.with_name(f"{TEMPORARY}{path.name}")
        written.unlink(missing_ok=True)
        spans = LogWriter(written, self._key, b"spans", bucket.sequence, bucket.salt)
        rows = bucket.rows[bucket.rows["count"] > 1]
        packed = np.empty(len(rows), SPAN)
        for field in ("number", "until", "count"):
            packed[field] = rows[field]
        for start in range(0, len(packed), _SPANS_A_RECORD):
            spans.append(packed[start : start + _SPANS_A_RECORD].tobytes())
        if self._durable:
            spans.flush()
        written.replace(path)
        if self._durable:
            sync_folder(path.parent)
        if self._spans is not None:
            self._dirty.discard(self._spans)
            self._spans.close(settled=True)
        self._spans, self._spans_limit = spans, 2 * spans.size + _SPANS_MIN_BYTES

    def _count_bytes(self) -> None:
        spans = 0 if self._spans is None else self._spans.size
        self.bucket.disk_bytes = self._frames.size + self._images.size + spans
