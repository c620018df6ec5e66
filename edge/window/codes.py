"""Vectors as int8: turned by a fixed rotation after which one scale fits every encoder.

Encoders have a few dimensions with values many times larger than the rest, which an even int8 grid serves badly. Random
signs followed by an orthonormal cosine transform spread them: a component of a turned unit vector is at most
sqrt(2 ln(2 d / p) · 2 / d) with probability 1 - p (Ailon and Chazelle 2006, "Approximate nearest neighbors and the fast
Johnson-Lindenstrauss transform", lemma 1, for Hadamard's; Avron et al. 2010, "Blendenpik", for the cosine transform).
In practice they are spread as normal ones of deviation 1 / sqrt(d); the grid ends at six of these.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lineside.errors import InvalidRequest

Vector = NDArray[np.float32]
Codes = NDArray[np.int8]

_DEVIATIONS = 6.0
_LEVELS = 127


class VectorCodes:
    """Codes of the vectors of one dimension.

    Attributes:
        step: what one level is worth: the product of two codes, times its square, is a cosine.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.step = np.float32(_DEVIATIONS / np.sqrt(dimension) / _LEVELS)
        self._rotation = _rotation(dimension)

    def turned(self, vector: Vector) -> Vector:
        """The normalised vector (d,) in the codes' axes.

        Raises:
            InvalidRequest: another length, not finite, or zero.
        """
        if vector.shape != (self.dimension,):
            raise InvalidRequest(f"vector: shape {vector.shape}, the window has ({self.dimension},)")
        norm = float(np.linalg.norm(vector.astype(np.float64)))
        if not np.isfinite(norm) or norm == 0:
            raise InvalidRequest("vector: it has no direction: all zero, or values that are not finite")
        turned: Vector = self._rotation @ (vector / np.float32(norm)).astype(np.float32)
        return turned

    def encode(self, turned: Vector) -> Codes:
        return np.clip(np.rint(turned / self.step), -_LEVELS, _LEVELS).astype(np.int8)

    def decode(self, codes: Codes) -> Vector:
        """Turned vectors (..., d), which are nearly of length 1."""
        return codes.astype(np.float32) * self.step


@lru_cache(maxsize=4)
def _rotation(dimension: int) -> Vector:
    """(d, d): the orthonormal DCT-II times a diagonal of signs that follow from the dimension alone."""
    bits = hashlib.shake_256(b"lineside window signs 1\0" + str(dimension).encode()).digest((dimension + 7) // 8)
    signs = np.unpackbits(np.frombuffer(bits, np.uint8))[:dimension] * 2.0 - 1
    rows, columns = np.arange(dimension)[:, None], np.arange(dimension)[None]
    cosines = np.sqrt(2 / dimension) * np.cos(np.pi * (columns + 0.5) * rows / dimension)
    cosines[0] /= np.sqrt(2)
    return np.ascontiguousarray(cosines * signs, np.float32)
