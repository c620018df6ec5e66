"""How many lists: few where rows lie in few clusters, more where few would cut clusters apart."""

from __future__ import annotations

import numpy as np
import pytest

from lineside.shards import VectorIndexSettings
from lineside.shards.coarse_lists import choose_lists, train_centroids
from lineside.shards.held_out_queries import hold_out
from lineside.shards.index_candidates import candidates, list_counts

SETTINGS = VectorIndexSettings(held_out_queries=100, train_rows_max=65_536)
ROWS, DIMENSIONS = 65_536, 32


def clustered(clusters: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((clusters, DIMENSIONS), np.float32)
    rows = centres[rng.integers(0, clusters, ROWS)] + np.float32(0.3) * rng.standard_normal(
        (ROWS, DIMENSIONS), np.float32
    )
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_more_lists_are_tried_only_where_there_are_rows_to_train_them() -> None:
    assert list_counts(ROWS, DIMENSIONS, 65_536) == (512, 2_048)
    assert list_counts(ROWS, DIMENSIONS, 20_000) == (512,)
    assert list_counts(1_000, DIMENSIONS, 65_536) == ()
    assert list_counts(ROWS, 30, 65_536) == ()  # sub-codes do not divide 30 dimensions


def test_few_clusters_get_few_lists() -> None:
    rows = clustered(200)
    coarse = choose_lists(rows, SETTINGS, hold_out(rows, SETTINGS, None), np.inf)
    assert coarse is not None
    assert coarse.lists == 512


@pytest.mark.slow
def test_clusters_that_few_lists_would_cut_get_more_of_them() -> None:
    rows = clustered(6_000)
    held_out = hold_out(rows, SETTINGS, None)
    coarse = choose_lists(rows, SETTINGS, held_out, np.inf)
    assert coarse is not None
    assert coarse.lists == 2_048
    smallest = min(c.bytes for c in candidates(ROWS, DIMENSIONS, 2_048) if c.lists)
    frugal = choose_lists(rows, SETTINGS, held_out, smallest - 1)
    assert frugal is not None
    assert frugal.lists == 512


def test_nothing_is_chosen_where_no_inverted_file_fits_the_budget() -> None:
    rows = clustered(200)
    assert choose_lists(rows, SETTINGS, hold_out(rows, SETTINGS, None), 1_000) is None


def test_the_share_that_is_held_rises_with_the_lists_probed_up_to_all() -> None:
    rows = clustered(200)
    coarse = choose_lists(rows, SETTINGS, hold_out(rows, SETTINGS, None), np.inf)
    assert coarse is not None
    assert list(coarse.shares) == sorted(coarse.shares)
    assert coarse.share(512) == 1


def test_centroids_are_normalised_and_the_same_again() -> None:
    rows = clustered(200)
    first, second = (train_centroids(rows, 512, SETTINGS) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
