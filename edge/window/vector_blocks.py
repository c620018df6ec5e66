"""The int8 codes of a bucket's vectors in memory, compared exactly: full blocks by FAISS, the growing one by NumPy."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from edge.window.codes import Codes, Vector, VectorCodes

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

BLOCK_ROWS = 4_096
_SMALLEST = 64
_SLICE = 512  # rows turned into float32 at a time: they stay in the cache


class VectorBlocks:
    """Vectors by row number, in order. One thread appends; others search what `snapshot` gave them.

    A full block is an `IndexScalarQuantizer` with QT_8bit_direct_signed, which compares int8 codes by SIMD; it never
    changes. The growing block is an array whose used rows never change.
    """

    def __init__(self, codes: VectorCodes) -> None:
        self._codes = codes
        self._sealed: tuple[Any, ...] = ()
        self._growing: Codes = np.empty((_SMALLEST, codes.dimension), np.int8)
        self._used = 0

    def __len__(self) -> int:
        return len(self._sealed) * BLOCK_ROWS + self._used

    @property
    def memory_bytes(self) -> int:
        return len(self._sealed) * BLOCK_ROWS * self._codes.dimension + self._growing.nbytes

    def append(self, code: Codes) -> None:
        """One code (d,) int8."""
        if self._used == len(self._growing):
            grown = np.empty((2 * self._used, self._codes.dimension), np.int8)
            grown[: self._used] = self._growing
            self._growing = grown
        self._growing[self._used] = code
        self._used += 1
        if self._used == BLOCK_ROWS:
            self._sealed = (*self._sealed, _sealed(self._growing))
            self._growing, self._used = np.empty((_SMALLEST, self._codes.dimension), np.int8), 0

    def shrink(self) -> None:
        """Gives back what the growing block does not use: nothing more is appended."""
        self._growing = self._growing[: self._used].copy()

    def snapshot(self) -> VectorSnapshot:
        return VectorSnapshot(self._codes, self._sealed, self._growing[: self._used])


class VectorSnapshot:
    """The vectors at one moment."""

    def __init__(self, codes: VectorCodes, sealed: tuple[Any, ...], growing: Codes) -> None:
        self._codes, self._sealed, self._growing = codes, sealed, growing

    def __len__(self) -> int:
        return len(self._sealed) * BLOCK_ROWS + len(self._growing)

    def search(self, turned: Vector, n: int, allowed: Mask | None = None) -> tuple[Vector, Rows]:
        """Cosines and rows of at least the n best (fewer where fewer are allowed), in no order."""
        # FAISS compares this kind of code in integers, and cuts off what a query has beyond them.
        query = self._codes.encode(turned).astype(np.float32)
        scores, rows = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
        for number, index in enumerate(self._sealed):
            first = number * BLOCK_ROWS
            parameters = None
            if allowed is not None:
                inside = allowed[first : first + BLOCK_ROWS]
                if not inside.any():
                    continue
                bits = np.packbits(inside, bitorder="little")
                selector = faiss.IDSelectorBitmap(BLOCK_ROWS, faiss.swig_ptr(bits))
                parameters = faiss.SearchParameters(sel=selector)
            found, ids = index.search(query[None], min(n, BLOCK_ROWS), params=parameters)
            present = ids[0] >= 0
            scores.append(found[0][present])
            rows.append(ids[0][present] + first)
        first = len(self._sealed) * BLOCK_ROWS
        if len(self._growing) and (allowed is None or allowed[first:].any()):
            own = np.concatenate(
                [
                    self._growing[start : start + _SLICE].astype(np.float32) @ query
                    for start in range(0, len(self._growing), _SLICE)
                ]
            )
            kept = np.arange(len(own)) if allowed is None else np.flatnonzero(allowed[first:])
            if len(kept) > n:
                kept = kept[np.argpartition(own[kept], len(kept) - n)[-n:]]
            scores.append(own[kept])
            rows.append(kept + first)
        return np.concatenate(scores) * self._codes.step**2, np.concatenate(rows)

    def vector(self, row: int) -> Vector:
        """A turned vector (d,), nearly of length 1."""
        block, place = divmod(row, BLOCK_ROWS)
        if block == len(self._sealed):
            return self._codes.decode(self._growing[place])
        found: Vector = self._sealed[block].reconstruct(place) * self._codes.step
        return found


def _sealed(block: Codes) -> Any:
    index = faiss.IndexScalarQuantizer(
        block.shape[1], faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
    )
    index.is_trained = True
    index.add_sa_codes((block.astype(np.int16) + 128).astype(np.uint8))
    return index
