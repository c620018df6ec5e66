"""Vectors back from FAISS's multi-bit RaBitQ codes, of which FAISS itself decodes the sign bits only.

Method and meaning of the factors: Gao et al. 2024, "Practical and Asymptotically Optimal Quantization of
High-Dimensional Vectors in Euclidean Space for Approximate Nearest Neighbor Search" (extended RaBitQ).
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

_SIGN_FACTORS_BYTES = 12
_FACTORS_BYTES = 8


class RaBitQCodes:
    """The codes of a `faiss.IndexRaBitQ` with 2 to 9 bits a dimension, read in place.

    A code is d/8 bytes of signs, three float32 that only sign bits need, d * e / 8 bytes with e = bits - 1 bits for
    every dimension (all of them least significant bit first), and two float32, the second of which is the scale s. With
    u = sign * 2**e + bits - (2**e - 0.5), the row is about centre + s * u.
    """

    def __init__(self, index: Any) -> None:
        """`index`: a trained `faiss.IndexRaBitQ` with d a multiple of 8; it must outlive this object."""
        self._d = int(index.d)
        self._extra = int(index.rabitq.nb_bits) - 1
        size = int(index.code_size)
        self._codes: NDArray[np.uint8] = faiss.rev_swig_ptr(index.codes.data(), int(index.ntotal) * size).reshape(
            -1, size
        )
        self._centre: NDArray[np.float32] = faiss.vector_to_array(index.center)

    def decode(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Rows (m, d) float32."""
        codes, groups = self._codes[ids], self._d // 8
        first = groups + _SIGN_FACTORS_BYTES
        last = first + groups * self._extra
        signs = np.unpackbits(codes[:, :groups], axis=1, bitorder="little")
        # Eight dimensions are `extra` whole bytes: read as one word and shifted apart.
        words = np.zeros((len(codes), groups, 8), np.uint8)
        words[:, :, : self._extra] = codes[:, first:last].reshape(len(codes), groups, self._extra)
        shifts = np.arange(8, dtype=np.uint64) * np.uint64(self._extra)
        bits = (words.view("<u8") >> shifts) & np.uint64(2**self._extra - 1)
        units = bits.reshape(len(codes), self._d).astype(np.float32)
        units += signs * np.float32(2**self._extra)
        units -= np.float32(2**self._extra - 0.5)
        scale = np.ascontiguousarray(codes[:, last + 4 : last + _FACTORS_BYTES]).view("<f4")
        rows: NDArray[np.float32] = self._centre + scale * units
        return rows
