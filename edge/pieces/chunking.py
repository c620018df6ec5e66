"""Content-defined chunking: cuts bytes where their content says so, so that a change moves only the cuts around it.

Gear hashing with normalised cut points, after FastCDC (Xia et al., "FastCDC: a Fast and Efficient Content-Defined
Chunking Approach for Data Deduplication", USENIX ATC 2016), written as array operations: the gear hash of a position is
a sum over the 32 bytes before it, so that it doubles its window in five steps over the whole array.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineside.errors import ConfigurationError

Bytes = NDArray[np.uint8]
_Hashes = NDArray[np.uint32]

_WINDOW = 32  # bytes that one hash covers: the bits of uint32
_BLOCK = 4 << 20  # bytes hashed at a time, to bound memory
_NORMALISATION = 2  # bits by which a cut is made rarer before the average size and likelier after it


@dataclass(frozen=True, slots=True)
class PieceSizes:
    """Bytes of a piece: at least `smallest` (but for the end of a file), about `average`, at most `largest`."""

    smallest: int = 1 << 10
    average: int = 4 << 10
    largest: int = 32 << 10

    def __post_init__(self) -> None:
        if not (_WINDOW <= self.smallest < self.average < self.largest <= 4 << 20) or self.average & (self.average - 1):
            raise ConfigurationError(
                f"piece sizes {self.smallest}, {self.average}, {self.largest}: they must rise from {_WINDOW} to "
                "at most 4 MiB, and the average must be a power of two"
            )


class Chunker:
    """Cuts by a gear table drawn from a secret, so that the lengths of pieces tell nobody else what text they hold."""

    def __init__(self, secret: bytes, sizes: PieceSizes = PieceSizes()) -> None:
        self.sizes = sizes
        table = hashlib.shake_256(b"lineside gear table 1\0" + secret).digest(256 * 4)
        self._gear: _Hashes = np.frombuffer(table, "<u4").astype(np.uint32)
        bits = sizes.average.bit_length() - 1
        self._strict = _top_bits(bits + _NORMALISATION)
        self._loose = _top_bits(bits - _NORMALISATION)

    def cuts(self, data: Bytes) -> list[int]:
        """Ends of the pieces of `data` (n,) uint8, ascending; the last is n. Empty for no bytes."""
        strict, loose = self._candidates(data)
        ends: list[int] = []
        start, size = 0, len(data)
        while start < size:
            earliest, usual, latest = (
                start + self.sizes.smallest,
                min(start + self.sizes.average, size),
                min(start + self.sizes.largest, size),
            )
            end = _first(strict, earliest, usual) or _first(loose, max(usual, earliest), latest) or latest
            ends.append(end)
            start = end
        return ends

    def _candidates(self, data: Bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions after which a cut may be made, ascending: by the strict mask and by the loose one."""
        strict, loose = [], []
        for start in range(0, len(data), _BLOCK):
            before = max(start - _WINDOW, 0)
            hashes = self._hashes(data[before : start + _BLOCK])[start - before :]
            positions = np.flatnonzero((hashes & self._loose) == 0)
            loose.append(positions + (start + 1))
            strict.append(positions[(hashes[positions] & self._strict) == 0] + (start + 1))
        none = np.empty(0, np.int64)
        return np.concatenate([none, *strict]), np.concatenate([none, *loose])

    def _hashes(self, data: Bytes) -> _Hashes:
        """(n,) uint32: sum of gear[byte j back] << j over the last 32 bytes, fewer at the beginning."""
        hashes = self._gear[data]
        width = 1
        while width < _WINDOW:
            hashes[width:] += hashes[:-width].copy() << np.uint32(width)
            width *= 2
        return hashes


def _top_bits(count: int) -> np.uint32:
    """High bits depend on the whole window, low ones only on its end."""
    return np.uint32((1 << count) - 1 << 32 - count)


def _first(positions: NDArray[np.int64], least: int, most: int) -> int:
    """The first position in [least, most]; 0 for none."""
    place = int(np.searchsorted(positions, least))
    return int(positions[place]) if place < len(positions) and positions[place] <= most else 0
