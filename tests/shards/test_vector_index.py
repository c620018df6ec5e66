from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.errors import ConfigurationError, ShardError
from lineside.shards import Allowed, VectorIndex, VectorIndexSettings, build_vector_index, vector_index
from lineside.shards.index_building import train_index
from lineside.shards.index_candidates import Candidate, candidates
from lineside.shards.manifest import EffortPoint
from lineside.shards.vector_index import EXACT, read_vector_index

SETTINGS = VectorIndexSettings(flat_max_rows=1_000, recall_bar=0.95, held_out_queries=64)


def clustered(n: int, d: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((32, d))
    rows = centres[rng.integers(0, 32, n)] + 0.6 * rng.standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(6_000)


@pytest.fixture(scope="module")
def approximate(vectors: np.ndarray) -> VectorIndex:
    return build_vector_index(vectors, SETTINGS)[0]


def test_few_rows_are_compared_exactly() -> None:
    rows = clustered(500)
    index, curve = build_vector_index(rows, SETTINGS)
    scores, ids = index.search(rows[:5], 3)
    assert index.is_flat
    assert curve.points[0].recall == 1
    np.testing.assert_array_equal(ids, np.argsort(-rows[:5] @ rows.T, axis=1)[:, :3])
    np.testing.assert_allclose(scores[:, 0], 1, atol=1e-5)


def test_a_published_index_reaches_its_bar(vectors: np.ndarray) -> None:
    index, curve = build_vector_index(vectors, SETTINGS)
    assert not index.is_flat
    assert curve.default.recall >= SETTINGS.recall_bar


def test_recall_of_the_curve_rises_with_effort(vectors: np.ndarray) -> None:
    recalls = [p.recall for p in build_vector_index(vectors, SETTINGS)[1].points]
    assert all(later > earlier for earlier, later in pairwise(recalls))


def test_without_budget_for_the_bar_nothing_is_published(vectors: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="memory_budget_mib"):
        build_vector_index(vectors, SETTINGS.model_copy(update={"memory_budget_mib": 0.2}))


def test_a_setting_below_the_bar_is_passed_over(vectors: np.ndarray) -> None:
    strict = SETTINGS.model_copy(update={"recall_bar": 0.9999, "memory_budget_mib": 100.0})
    _, curve = build_vector_index(vectors, strict)
    assert max(p.recall for p in curve.points) >= 0.9999


def test_the_same_rows_give_the_same_bytes(vectors: np.ndarray, tmp_path: Path) -> None:
    for name in ("a", "b"):
        build_vector_index(vectors, SETTINGS)[0].write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(share=st.sampled_from([0.001, 0.02, 0.5, 0.95]), seed=st.integers(0, 100))
def test_a_filtered_search_returns_only_allowed_rows(
    approximate: VectorIndex, vectors: np.ndarray, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    allowed = rng.random(len(vectors)) < share
    _, ids = approximate.search(vectors[rng.integers(0, len(vectors), 4)], 10, allowed=Allowed(allowed))
    assert allowed[ids[ids >= 0]].all()
    assert ((ids >= 0).sum(axis=1) == min(10, allowed.sum())).all()


@pytest.mark.parametrize("one_of", [2, 20])
def test_a_filter_too_wide_to_compare_all_keeps_its_recall(
    approximate: VectorIndex, vectors: np.ndarray, one_of: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "_EXACT_ALLOWED_MAX", 100)
    allowed = np.arange(len(vectors)) % one_of == 0
    queries = clustered(6_064)[6_000:]
    _, ids = approximate.search(queries, 10, allowed=Allowed(allowed))
    exact = np.where(allowed, queries @ vectors.T, -2).argsort(axis=1)[:, ::-1][:, :10]
    recall = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(ids, exact, strict=True)])
    assert allowed[ids].all()
    assert recall >= 0.9


def test_reconstructed_vectors_are_close(approximate: VectorIndex, vectors: np.ndarray) -> None:
    chosen = np.array([3, 77, 5_999])
    cosines = np.sum(approximate.reconstruct(chosen) * vectors[chosen], axis=1)
    assert (cosines > 0.99).all()


def test_fewer_rows_than_asked_for_are_padded() -> None:
    index, _ = build_vector_index(clustered(3), SETTINGS)
    scores, ids = index.search(clustered(1), 5)
    assert ids.shape == (1, 5)
    assert (ids[0, 3:] == -1).all()
    assert np.isneginf(scores[0, 3:]).all()


def test_an_index_survives_its_file(approximate: VectorIndex, vectors: np.ndarray, tmp_path: Path) -> None:
    approximate.write(tmp_path / "index")
    read = read_vector_index(tmp_path / "index", approximate.curve)
    for expected, found in zip(approximate.search(vectors[:8], 5), read.search(vectors[:8], 5), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"not an index at all")
    with pytest.raises(ShardError):
        read_vector_index(tmp_path / "index", EXACT)


def test_vectors_may_be_a_memory_map(vectors: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", vectors)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for name, rows in (("array", vectors), ("map", mapped)):
        build_vector_index(rows, SETTINGS)[0].write(tmp_path / name)
    assert (tmp_path / "array").read_bytes() == (tmp_path / "map").read_bytes()


def test_harder_held_out_queries_raise_the_effort(vectors: np.ndarray) -> None:
    """Queries between the clusters have their best rows in many lists."""
    between = np.random.default_rng(1).standard_normal((64, vectors.shape[1])).astype(np.float32)
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    _, easy = build_vector_index(vectors, SETTINGS)
    _, hard = build_vector_index(vectors, SETTINGS, between)
    assert (hard.index, hard.default.effort) > (easy.index, easy.default.effort)


def test_rows_with_equal_content_count_as_one_another() -> None:
    repeated = np.repeat(clustered(300), 20, axis=0)
    _, curve = build_vector_index(repeated, SETTINGS.model_copy(update={"recall_bar": 0.99}))
    assert curve.default.recall >= 0.99


@pytest.mark.parametrize("candidate", candidates(6_000, 64), ids=lambda c: c.factory)
def test_a_candidate_takes_the_memory_that_it_claims(candidate: Candidate, vectors: np.ndarray, tmp_path: Path) -> None:
    train_index(candidate, vectors, SETTINGS).write(tmp_path / "index")
    assert (tmp_path / "index").stat().st_size == pytest.approx(candidate.bytes, rel=0.06)


@pytest.mark.parametrize("candidate", candidates(6_000, 64), ids=lambda c: c.factory)
def test_every_candidate_finds_and_gives_back_what_it_holds(candidate: Candidate, vectors: np.ndarray) -> None:
    index = train_index(candidate, vectors, SETTINGS)
    effort = candidate.efforts()[-1]
    point = EffortPoint(effort=effort.probes, rescored=effort.rescored, recall=0, ms=0)
    scores, ids = index.search(vectors[:50], 1, point)
    cosines = np.sum(index.reconstruct(ids[:, 0]) * vectors[:50], axis=1)
    np.testing.assert_allclose(scores[:, 0], cosines, atol=0.02)
    assert (cosines > 0.95).all()


def test_a_small_budget_is_met_with_shorter_codes(vectors: np.ndarray, tmp_path: Path) -> None:
    """Where 8 bits a dimension do not fit, RaBitQ's shorter codes do."""
    budget = candidates(6_000, 64)[0].bytes * 0.93 / 2**20
    index, curve = build_vector_index(vectors, SETTINGS.model_copy(update={"memory_budget_mib": budget}))
    index.write(tmp_path / "index")
    assert (tmp_path / "index").stat().st_size <= budget * 2**20
    assert curve.default.recall >= SETTINGS.recall_bar


@pytest.mark.slow
def test_large_indexes_reach_their_bar_within_their_budget(tmp_path: Path) -> None:
    rows = clustered(50_500)
    settings = VectorIndexSettings(memory_budget_mib=5, recall_bar=0.95)
    index, _ = build_vector_index(rows[:50_000], settings)
    index.write(tmp_path / "index")
    _, ids = index.search(rows[50_000:], 10)
    exact = np.argsort(-(rows[50_000:] @ rows[:50_000].T), axis=1)[:, :10]
    assert (tmp_path / "index").stat().st_size <= 5 * 2**20
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(ids, exact, strict=True)]) >= 0.94


def test_a_graph_is_taken_where_probing_many_lists_costs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without clusters: an inverted file must probe most lists, which here is made to cost more than it does."""
    cost = Candidate.cost
    monkeypatch.setattr(Candidate, "cost", lambda self, effort: cost(self, effort) * (1 if self.graph else 100))
    rows = np.random.default_rng(3).standard_normal((3_000, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    _, curve = build_vector_index(rows, SETTINGS)
    assert curve.index.startswith("HNSW")
    assert curve.default.recall >= SETTINGS.recall_bar
