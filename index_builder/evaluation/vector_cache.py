"""Vectors by content and encoder, kept between evaluations, so that a second run encodes only what is new."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from lineside.errors import DataError

Rows = NDArray[np.float32]
ReportProgress = Callable[[int, int], None]

_BLOCK = 512  # texts encoded and stored at a time: what an interruption costs
_KEYS_PER_QUERY = 500


class VectorCache:
    """A file of vectors of one encoder; several processes may use it at once. It may be deleted at any time."""

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        """Opens or creates `folder/<fingerprint>.sqlite`.

        Raises:
            DataError: the file cannot be opened or is not a cache.
        """
        self.dimension = dimension
        name = hashlib.sha256(f"{fingerprint}|{dimension}".encode()).hexdigest()[:24]
        self._path = folder / f"{name}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=60, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def rows(
        self,
        items: Sequence[bytes],
        encode: Callable[[Sequence[int]], Rows],
        progress: ReportProgress = lambda done, total: None,
    ) -> Rows:
        """Vectors (n, d) float32 of the items; `encode` gets the places of distinct items that are not known yet.

        `progress` counts the distinct items to be encoded.

        Raises:
            DataError: the cache cannot be read or written.
        """
        keys = [hashlib.blake2b(item, digest_size=16).digest() for item in items]
        first: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            first.setdefault(key, place)
        found = np.empty((len(items), self.dimension), np.float32)
        try:
            known = self._read(list(first), first, found)
            new = [place for key, place in first.items() if key not in known]
            for start in range(0, len(new), _BLOCK):
                places = new[start : start + _BLOCK]
                found[places] = encode(places)
                self._write([(keys[place], found[place].tobytes()) for place in places])
                progress(min(start + _BLOCK, len(new)), len(new))
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        found[:] = found[[first[key] for key in keys]] if len(first) < len(keys) else found
        return found

    def _read(self, keys: Sequence[bytes], first: dict[bytes, int], found: Rows) -> set[bytes]:
        known: set[bytes] = set()
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            with closing(
                self._connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
            ) as rows:
                for key, vector in rows:
                    if len(vector) == 4 * self.dimension:
                        found[first[key]] = np.frombuffer(vector, np.float32)
                        known.add(key)
        return known

    def _write(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", records)
        self._connection.execute("COMMIT")

    def _unusable(self, error: Exception) -> DataError:
        return DataError(
            f"the cache of vectors {self._path} cannot be used ({error}): delete it, or choose another folder"
        )

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> VectorCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
