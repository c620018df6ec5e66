"""Held-out queries: their neighbours are exact, whatever the block they lie in, and never the row itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lineside.shards import VectorIndexSettings
from lineside.shards.held_out_queries import hold_out

SETTINGS = VectorIndexSettings(held_out_queries=32)


def rows_of(n: int, d: int = 16) -> np.ndarray:
    rows = np.random.default_rng(5).standard_normal((n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_neighbours_are_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineside.shards.held_out_queries._BLOCK_ROWS", 300)  # many blocks
    rows = rows_of(1_000)
    for kind in hold_out(rows, SETTINGS, rows_of(50)):
        scores = kind.queries @ rows.T
        asks_itself = kind.own >= 0
        scores[np.flatnonzero(asks_itself), kind.own[asks_itself]] = -np.inf
        np.testing.assert_array_equal(kind.best, np.argsort(-scores, axis=1)[:, :10])
        np.testing.assert_allclose(kind.enough, np.sort(scores, axis=1)[:, -10], atol=1e-6)


def test_rows_disturbed_keep_a_cosine_of_about_four_fifths() -> None:
    rows = rows_of(2_000, 128)
    itself, disturbed = hold_out(rows, SETTINGS, None)
    assert np.mean(np.sum(itself.queries * disturbed.queries, axis=1)) == pytest.approx(0.8, abs=0.02)


def test_fewer_rows_than_ten_are_all_wanted() -> None:
    itself, disturbed = hold_out(rows_of(6), SETTINGS, None)
    assert (itself.wanted, disturbed.wanted) == (5, 6)
    assert (itself.best != itself.own[:, None]).all()


def test_vectors_may_be_a_memory_map(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", rows_of(500))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for mine, theirs in zip(hold_out(mapped, SETTINGS, None), hold_out(rows_of(500), SETTINGS, None), strict=True):
        np.testing.assert_array_equal(mine.best, theirs.best)
