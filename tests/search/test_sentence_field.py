"""The best sentence of a passage."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lineside.search.sentence_field import SentenceField
from lineside.shards import Shard


def test_the_best_sentence_of_every_row_is_found_in_whatever_shard_it_lies(shards: list[Path]) -> None:
    opened = [Shard.open(path) for path in shards]
    field = SentenceField(opened)
    vector = np.random.default_rng(3).normal(size=opened[0].sentence_vectors.shape[1]).astype(np.float32)
    expected: list[float] = []
    for shard in opened:
        cosines = (shard.sentence_vectors.astype(np.float32) @ vector) * shard.sentence_scale
        for row in range(len(shard)):
            own = cosines[shard.sentence_rows == row]
            expected.append(float(own.max()) if len(own) else -2.0)
    rows = np.random.default_rng(4).permutation(len(expected)).astype(np.int64)
    found = field.best(rows, vector, np.full(len(rows), -2.0, np.float32))
    np.testing.assert_allclose(found, np.array(expected, np.float32)[rows], atol=1e-4)
    assert -2.0 in expected, "a figure or frame has no sentences"


def test_rows_without_any_sentence_keep_what_is_given(shards: list[Path]) -> None:
    field = SentenceField([Shard.open(path) for path in shards])
    nothing = np.empty(0, np.int64)
    assert field.best(nothing, np.ones(8, np.float32), np.empty(0, np.float32)).shape == (0,)
