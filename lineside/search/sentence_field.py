"""The best sentence of a passage: one of many subjects answers a question as well as its nearest sentence does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lineside.shards.reader import Shard

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


class SentenceField:
    """Sentence vectors of the rows of a release; they stay in the shards' files until they are looked at."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)]).tolist()
        self._vectors = [shard.sentence_vectors for shard in shards]
        self._scales = [float(shard.sentence_scale) for shard in shards]
        self._indptr = [np.searchsorted(s.sentence_rows, np.arange(len(s) + 1)).tolist() for s in shards]

    def best(self, rows: Rows, vector: Floats, absent: Floats) -> Floats:
        """The greatest cosine (m,) of a sentence of each row to a vector (d,); `absent` (m,) where it has none."""
        spans: list[tuple[int, int, int, int]] = []  # place, shard, first and last sentence
        for place, row in enumerate(rows.tolist()):
            shard = bisect_right(self._starts, row) - 1
            indptr, local = self._indptr[shard], row - self._starts[shard]
            if indptr[local + 1] > indptr[local]:
                spans.append((place, shard, indptr[local], indptr[local + 1]))
        found = absent.copy()
        if spans:
            quantised = np.concatenate([self._vectors[shard][first:last] for _, shard, first, last in spans])
            starts = np.cumsum([0, *(last - first for _, _, first, last in spans[:-1])])
            greatest = np.maximum.reduceat(quantised.astype(np.float32) @ vector, starts)
            found[[span[0] for span in spans]] = greatest * [self._scales[span[1]] for span in spans]
        return found
