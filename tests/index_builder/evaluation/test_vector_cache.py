"""Vectors kept between evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.evaluation.vector_cache import VectorCache
from lineside.errors import DataError


class Lengths:
    """An encoder that writes down what it is asked for: the vector of an item is its length, three times."""

    def __init__(self, items: Sequence[bytes]) -> None:
        self.items, self.asked = items, []

    def __call__(self, places: Sequence[int]) -> NDArray[np.float32]:
        self.asked: list[bytes] = [*self.asked, *(self.items[p] for p in places)]
        return np.array([[len(self.items[p])] * 3 for p in places], np.float32)


def test_equal_items_are_encoded_once_and_known_ones_not_at_all(tmp_path: Path) -> None:
    first = Lengths([b"a", b"bb", b"a"])
    with VectorCache(tmp_path, "model", 3) as cache:
        assert cache.rows(first.items, first)[:, 0].tolist() == [1, 2, 1]
    assert first.asked == [b"a", b"bb"]
    second = Lengths([b"ccc", b"bb"])
    with VectorCache(tmp_path, "model", 3) as cache:
        assert cache.rows(second.items, second).tolist() == [[3, 3, 3], [2, 2, 2]]
    assert second.asked == [b"ccc"]


def test_another_encoder_shares_nothing(tmp_path: Path) -> None:
    for fingerprint in ("one", "other"):
        lengths = Lengths([b"a"])
        with VectorCache(tmp_path, fingerprint, 3) as cache:
            cache.rows(lengths.items, lengths)
        assert lengths.asked == [b"a"]


def test_what_was_encoded_before_an_interruption_is_kept(tmp_path: Path) -> None:
    items = [str(n).encode() for n in range(1000)]
    lengths = Lengths(items)

    def fails_late(places: Sequence[int]) -> NDArray[np.float32]:
        if 999 in places:
            raise KeyboardInterrupt
        return lengths(places)

    with VectorCache(tmp_path, "model", 3) as cache, pytest.raises(KeyboardInterrupt):
        cache.rows(items, fails_late)
    again = Lengths(items)
    with VectorCache(tmp_path, "model", 3) as cache:
        assert cache.rows(items, again)[:, 0].tolist() == [len(item) for item in items]
    assert 0 < len(again.asked) < 1000
    assert not set(again.asked) & set(lengths.asked)


def test_nothing_is_no_error(tmp_path: Path) -> None:
    with VectorCache(tmp_path, "model", 3) as cache:
        assert cache.rows([], Lengths([])).shape == (0, 3)


def test_a_file_that_is_no_cache_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    VectorCache(tmp_path, "model", 3).close()
    next(tmp_path.glob("*.sqlite")).write_bytes(b"not a database" * 100)
    with pytest.raises(DataError, match="delete it"):
        VectorCache(tmp_path, "model", 3)
