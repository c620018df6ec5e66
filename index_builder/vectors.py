"""The vector store: what was encoded once stays encoded, by content and by the encoder's fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from index_builder.digests import SIZE, digest
from index_builder.segments import Segments
from lineside.errors import DataError, ShardError
from lineside.objects import ObjectStore

Rows = NDArray[np.float32]

PAD_MULTIPLE = 16
"""Tokens are padded in these steps, so that a text's vector has the same bits in whatever batch it is encoded."""
PROBE = digest("probe")
"""Key of the vector that every space has: it tells the dimension where a source holds nothing else."""
_PREFIX = "work/vectors"
_MERGED_BYTES = 64 * 2**20


def text_space(fingerprint: str) -> str:
    """Vectors of texts, by a text encoder."""
    return f"text-{fingerprint}-{PAD_MULTIPLE}"


def joint_text_space(fingerprint: str) -> str:
    """Vectors of texts, by a joint encoder."""
    return f"joint-text-{fingerprint}-{PAD_MULTIPLE}"


def joint_image_space(fingerprint: str) -> str:
    """Vectors of images, by a joint encoder."""
    return f"joint-image-{fingerprint}"


class VectorSpace:
    """The vectors of one space. An image that cannot be encoded has a row of zeros, so that it is not tried again."""

    def __init__(self, store: ObjectStore, space: str, scratch: Path) -> None:
        self.segments = Segments(store, f"{_PREFIX}/{space}", scratch)
        self._names: list[str] = []
        self._keys: pa.ChunkedArray = pa.chunked_array([], pa.binary(SIZE))
        self._tables: list[pa.Table] = []

    def refresh(self) -> None:
        """Sees what has been written since."""
        names = self.segments.names()
        if names == self._names:
            return
        self.segments.forget_all_but(names)
        found = self.segments.tables(names)
        self._names, self._tables = list(found), list(found.values())
        keys = [chunk for table in self._tables for chunk in table.column("key").chunks]
        self._keys = pa.chunked_array(keys, pa.binary(SIZE))

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def names(self) -> list[str]:
        return list(self._names)

    def unknown(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of the keys that have no vector."""
        if not keys:
            return []
        known = pc.is_in(pa.array(keys, pa.binary(SIZE)), value_set=self._keys.combine_chunks())
        return [key for key, has in zip(keys, known.to_pylist(), strict=True) if not has]

    def write(self, keys: Sequence[bytes], rows: Rows) -> str:
        """Stores `(n, d)` vectors of `n` keys."""
        return self.segments.write(_table(keys, rows))

    def lookup(self, keys: Sequence[bytes]) -> Rows:
        """`n` keys → `(n, d) float32`.

        Raises:
            ShardError: one is not there.
            DataError: the space is empty.
        """
        if not self._tables:
            raise DataError(f"{self.segments.prefix} is empty")
        dimension = self._tables[0].schema.field("vector").type.list_size
        rows = np.empty((len(keys), dimension), np.float32)
        if not keys:
            return rows
        places = pc.index_in(pa.array(keys, pa.binary(SIZE)), value_set=self._keys.combine_chunks())
        if places.null_count:
            raise ShardError(f"{places.null_count} vectors are missing in {self.segments.prefix}: run again")
        wanted = places.to_numpy(zero_copy_only=False)
        first = 0
        for table in self._tables:
            inside = (wanted >= first) & (wanted < first + len(table))
            if inside.any():
                rows[inside] = _matrix(table, dimension)[wanted[inside] - first]
            first += len(table)
        return rows

    def merge(self, referenced: Sequence[bytes] | None, *, files: int = 24) -> None:
        """Few files instead of many, and nothing that is not referenced (None: all is): when there are over `files`, or
        over half is garbage. New files are written before old ones go."""
        self.refresh()
        if not self._tables:
            return
        keys = self._keys.combine_chunks()
        dimension = self._tables[0].schema.field("vector").type.list_size
        if referenced is None:
            kept = np.ones(len(keys), bool)
        else:
            wanted = pa.array([*referenced, PROBE], pa.binary(SIZE))
            kept = pc.is_in(keys, value_set=wanted).to_numpy(zero_copy_only=False)
        _, firsts = np.unique(np.array(keys.to_pylist(), dtype=f"S{SIZE}"), return_index=True)
        once = np.zeros(len(keys), bool)
        once[firsts] = True
        kept &= once
        if len(self._names) <= files and 2 * int(kept.sum()) >= len(keys):
            return
        old, names = self.names, []
        pending: list[tuple[list[bytes], Rows]] = []
        size, first = 0, 0

        def flush() -> None:
            nonlocal size
            if pending:
                rows = np.concatenate([rows for _, rows in pending])
                names.append(self.write([key for part, _ in pending for key in part], rows))
            pending.clear()
            size = 0

        for table in self._tables:
            places = np.flatnonzero(kept[first : first + len(table)])
            first += len(table)
            if len(places):
                rows = _matrix(table, dimension)[places]
                pending.append((table.column("key").take(pa.array(places)).to_pylist(), rows))
                size += rows.nbytes
            if size >= _MERGED_BYTES:
                flush()
        flush()
        self.segments.delete([name for name in old if name not in names])
        self.refresh()


def _table(keys: Sequence[bytes], rows: Rows) -> pa.Table:
    flat = pa.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
    return pa.table({"key": pa.array(keys, pa.binary(SIZE)), "vector": vectors})


def _matrix(table: pa.Table, dimension: int) -> Rows:
    """(n, d), a view where the table is one batch."""
    chunks = [chunk.flatten().to_numpy().reshape(-1, dimension) for chunk in table.column("vector").chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
