"""The codes of a bucket's vectors in memory, all of them compared: sealed blocks by FAISS, the growing one by NumPy."""

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
_NO_SCORES = np.empty(0, np.float32)
_NO_ROWS = np.empty(0, np.int64)


class VectorBlocks:
    """Vectors by row number, in order. One thread appends; others search what `snapshot` gave them.

    A sealed block is an `IndexScalarQuantizer` with QT_8bit_direct_signed, which compares int8 codes by SIMD; it never
    changes. The growing block is an array whose used rows never change.
    """

    def __init__(self, codes: VectorCodes) -> None:
        self._codes = codes
        self._sealed: tuple[Any, ...] = ()
        self._sealed_rows = 0
        self._growing: Codes = np.empty((_SMALLEST, codes.dimension), np.int8)
        self._used = 0

    def __len__(self) -> int:
        return self._sealed_rows + self._used

    @property
    def memory_bytes(self) -> int:
        return self._sealed_rows * self._codes.dimension + self._growing.nbytes

    def append(self, code: Codes) -> None:
        """One code (d,) int8."""
        if self._used == len(self._growing):
            grown = np.empty((max(2 * self._used, _SMALLEST), self._codes.dimension), np.int8)
            grown[: self._used] = self._growing
            self._growing = grown
        self._growing[self._used] = code
        self._used += 1
        if self._used == BLOCK_ROWS:
            self.seal()

    def seal(self) -> None:
        """Makes what there is a block of its own, and gives back what the growing one set aside."""
        if self._used:
            self._sealed = (*self._sealed, _sealed(self._growing[: self._used]))
            self._sealed_rows += self._used
        self._growing, self._used = np.empty((0, self._codes.dimension), np.int8), 0

    def snapshot(self) -> VectorSnapshot:
        return VectorSnapshot(self._codes, self._sealed, self._growing[: self._used])


class VectorSnapshot:
    """The vectors at one moment."""

    def __init__(self, codes: VectorCodes, sealed: tuple[Any, ...], growing: Codes) -> None:
        self._codes, self._sealed, self._growing = codes, sealed, growing

    def search(self, turned: Vector, n: int, allowed: Mask | None = None) -> tuple[Vector, Rows]:
        """Cosines and rows of at least the n best (fewer where fewer are allowed), in no order."""
        # FAISS compares this kind of code in integers, and cuts off what a query has beyond them.
        query = self._codes.encode(turned).astype(np.float32)
        scores, rows, first = [_NO_SCORES], [_NO_ROWS], 0
        for index in self._sealed:
            count = index.ntotal
            inside = None if allowed is None else allowed[first : first + count]
            if inside is None or inside.any():
                found, places = _best_sealed(index, query, min(n, count), inside)
                scores.append(found)
                rows.append(places + first)
            first += count
        inside = None if allowed is None else allowed[first:]
        if len(self._growing) and (inside is None or inside.any()):
            found, places = _best_growing(self._growing, query, n, inside)
            scores.append(found)
            rows.append(places + first)
        return np.concatenate(scores) * self._codes.step**2, np.concatenate(rows)

    def vector(self, row: int) -> Vector:
        """A turned vector (d,), nearly of length 1."""
        for index in self._sealed:
            if row < index.ntotal:
                found: Vector = index.reconstruct(row) * self._codes.step
                return found
            row -= index.ntotal
        return self._codes.decode(self._growing[row])


def _best_sealed(index: Any, query: Vector, n: int, allowed: Mask | None) -> tuple[Vector, Rows]:
    parameters = None
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(index.ntotal, faiss.swig_ptr(bits))
        parameters = faiss.SearchParameters(sel=selector)
    scores, rows = index.search(query[None], n, params=parameters)
    present = rows[0] >= 0
    return scores[0][present], rows[0][present]


def _best_growing(block: Codes, query: Vector, n: int, allowed: Mask | None) -> tuple[Vector, Rows]:
    starts = range(0, len(block), _SLICE)
    scores = np.concatenate([block[start : start + _SLICE].astype(np.float32) @ query for start in starts])
    rows = np.arange(len(scores)) if allowed is None else np.flatnonzero(allowed)
    if len(rows) > n:
        rows = rows[np.argpartition(scores[rows], len(rows) - n)[-n:]]
    return scores[rows], rows


def _sealed(block: Codes) -> Any:
    index = faiss.IndexScalarQuantizer(
        block.shape[1], faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
    )
    index.is_trained = True
    index.add_sa_codes(block.view(np.uint8) ^ np.uint8(0x80))  # code + 128
    return index
