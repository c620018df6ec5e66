"""Append-only files of sealed records: AES-256-GCM, a key for every file, a counter as nonce.

    header   magic (8) · sequence u64 · salt (32)
    record   size u32 · sealed (size bytes: ciphertext and tag)

The key is HKDF-SHA256 (RFC 5869) of the window's key with the salt, and with purpose, header and `context` as info; the
nonce of a record is its number in the file; the associated data are its number and its offset.

Why no (key, nonce) pair ever serves two messages: the salt is 32 random bytes, drawn by the one writer that creates
the file, so no two files have one key; a writer counts up, also over writes that failed; and no file is ever opened
again for writing (after a restart, or a failed write, a new one is begun). A record that was changed, moved within the
file or taken from another does not open. What is cut off at the end cannot be told from what a crash cut off.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lineside.errors import IntegrityError

MAGIC = b"LSWINDO1"
HEADER = struct.Struct("<8sQ32s")
SIZE = struct.Struct("<I")
TAG_BYTES = 16
MAX_RECORD_BYTES = 4 << 20
_NONCE = struct.Struct("<4xQ")
_PLACE = struct.Struct("<QQ")


def overhead(records: int) -> int:
    """Bytes that a file needs beside what its records hold."""
    return HEADER.size + records * (SIZE.size + TAG_BYTES)


class _Records:
    """Seals and opens the records of one file."""

    def __init__(self, key: bytes, purpose: bytes, header: bytes, context: bytes) -> None:
        _, self.sequence, self.salt = HEADER.unpack(header)
        info = b"lineside window 1\0" + purpose + b"\0" + header + context
        self._cipher = AESGCM(HKDF(SHA256(), 32, self.salt, info).derive(key))

    def seal(self, number: int, offset: int, plain: bytes) -> bytes:
        return self._cipher.encrypt(_NONCE.pack(number), plain, _PLACE.pack(number, offset))

    def open(self, number: int, offset: int, sealed: bytes) -> bytes | None:
        """None where these bytes are not that record."""
        try:
            return self._cipher.decrypt(_NONCE.pack(number), sealed, _PLACE.pack(number, offset))
        except InvalidTag:
            return None


class LogWriter:
    """Creates a file and appends to it, in one thread; another one may flush it."""

    def __init__(self, path: Path, key: bytes, purpose: bytes, sequence: int, context: bytes = b"") -> None:
        header = HEADER.pack(MAGIC, sequence, os.urandom(32))
        self._records = _Records(key, purpose, header, context)
        self.salt = self._records.salt
        self._file = path.open("xb", buffering=0)
        self._lock = threading.Lock()  # between flush and close
        self._needs_flush = True
        self._next = 0
        self.size = 0
        self._write(header)

    def append(self, plain: bytes) -> int:
        """Writes a record; gives its offset. After an OSError nothing more must be appended."""
        number, offset = self._next, self.size
        self._next += 1
        sealed = self._records.seal(number, offset, plain)
        self._write(SIZE.pack(len(sealed)) + sealed)
        return offset

    def flush(self) -> None:
        """To the disk. Nothing where the file was closed as settled; OSError where it was given up."""
        with self._lock:
            if not self._file.closed:
                os.fdatasync(self._file.fileno())
            elif self._needs_flush:
                raise OSError(errno.EIO, "the file was given up before it was flushed")

    def close(self, *, settled: bool = False) -> None:
        """`settled`: all of it is on the disk, or stands in another file that is."""
        with self._lock:
            self._file.close()
            self._needs_flush = not settled

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(data)


@dataclass(frozen=True, slots=True)
class LogRecord:
    number: int
    offset: int
    plain: bytes


class LogReader:
    """A file as far as it can be read.

    Attributes:
        damaged: records that do not open though a later one does; known when `records` has ended.
        torn: whether bytes are left at the end that are no record.
    """

    def __init__(self, data: bytes, key: bytes, purpose: bytes, context: bytes = b"") -> None:
        """Raises IntegrityError where the bytes do not begin as such a file does."""
        if len(data) < HEADER.size or not data.startswith(MAGIC):
            raise IntegrityError("not a file of the window")
        self._data = data
        self._records = _Records(key, purpose, data[: HEADER.size], context)
        self.sequence, self.salt = self._records.sequence, self._records.salt
        self.damaged = 0
        self.torn = False

    def records(self) -> Iterator[LogRecord]:
        """Every record that opens, in order. A damaged one is passed over where its size leads to a sound one."""
        data, number, offset, pending = self._data, 0, HEADER.size, 0
        self.damaged = 0
        while offset + SIZE.size <= len(data):
            (size,) = SIZE.unpack_from(data, offset)
            end = offset + SIZE.size + size
            if not TAG_BYTES <= size <= MAX_RECORD_BYTES + TAG_BYTES or end > len(data):
                break
            plain = self._records.open(number, offset, data[offset + SIZE.size : end])
            if plain is None:
                pending += 1
            else:
                self.damaged += pending
                pending = 0
                yield LogRecord(number, offset, plain)
            number, offset = number + 1, end
        self.torn = pending > 0 or offset < len(data)


def read_record(
    path: Path, key: bytes, purpose: bytes, context: bytes, *, number: int, offset: int, size: int
) -> bytes:
    """One record of `size` plain bytes.

    Raises:
        IntegrityError: it is not what was written there.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(HEADER.size)
        file.seek(offset)
        record = file.read(SIZE.size + size + TAG_BYTES)
    plain = None
    if len(header) == HEADER.size and len(record) == SIZE.size + size + TAG_BYTES:
        plain = _Records(key, purpose, header, context).open(number, offset, record[SIZE.size :])
    if plain is None:
        raise IntegrityError(f"record {number} of {path.name} is damaged")
    return plain
