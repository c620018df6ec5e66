"""Vectors as int8: turned by a fixed rotation after which one scale fits every encoder.

Encoders have a few dimensions with values many times larger than the rest, which an even int8 grid serves badly. Random
signs followed by an orthonormal cosine transform spread them: a component of a turned unit vector is at most
sqrt(2 ln(2 d / p) · 2 / d) with probability 1 - p (Ailon and Chazelle 2006, "Approximate nearest neighbors and the fast
Johnson-Lindenstrauss transform", lemma 1, for Hadamard's; Avron et al. 2010, "Blendenpik", for the cosine transform).
In practice they are spread as normal ones of deviation 1 / sqrt(d); the grid ends at six of these.
"""

from __future__ import annotations

import hashlib

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
        bits = hashlib.shake_256(b"lineside window signs 1\0" + str(dimension).encode()).digest((dimension + 7) // 8)
        self._signs = np.unpackbits(np.frombuffer(bits, np.uint8))[:dimension] * 2.0 - 1
        scale = np.full(dimension, np.sqrt(2 / dimension))
        scale[0] = np.sqrt(1 / dimension)
        self._twiddle = scale * np.exp(-0.5j * np.pi * np.arange(dimension) / dimension)

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
        return self._turn(vector / norm)

    def encode(self, turned: Vector) -> Codes:
        return np.clip(np.rint(turned / self.step), -_LEVELS, _LEVELS).astype(np.int8)

    def decode(self, codes: Codes) -> Vector:
        """Turned vectors (..., d), which are nearly of length 1."""
        return codes.astype(np.float32) * self.step

    def _turn(self, unit: NDArray[np.floating]) -> Vector:
        """Signs, then the orthonormal DCT-II by one FFT (Makhoul 1980, "A fast cosine transform in one and two
        dimensions"): no matrix, and no BLAS threads that would fight for cores on every frame."""
        signed = unit * self._signs
        spectrum = np.fft.fft(np.concatenate([signed[::2], signed[1::2][::-1]]))
        turned: Vector = (spectrum * self._twiddle).real.astype(np.float32)
        return turned
