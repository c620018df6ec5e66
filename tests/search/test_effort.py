from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.search import ReleaseIndex, SearchQuery, SearchSettings
from lineside.search.dense_field import DenseField, FieldPart
from lineside.search.effort import EffortChooser
from lineside.shards import ShardSettings, VectorIndexSettings, build_vector_index, write_shard
from lineside.shards.manifest import EffortCurve, EffortPoint
from tests.shards.knowledge import drive
from tests.shards.test_vector_index import clustered

CURVE = EffortCurve(
    index="IVF64,SQ8",
    points=tuple(EffortPoint(effort=2**i, recall=0.9 + 0.02 * i, ms=0.1 * 2**i) for i in range(5)),
    default_effort=4,
)
SETTINGS = VectorIndexSettings(flat_max_rows=1_000, recall_bar=0.95, held_out_queries=64)


def test_without_a_budget_the_default_is_used() -> None:
    assert EffortChooser(CURVE).choose(None).effort == 4


@given(budget=st.floats(0, 10), slowdown=st.floats(0.1, 10))
def test_a_chosen_effort_fits_its_budget_or_is_the_lowest(budget: float, slowdown: float) -> None:
    chooser = EffortChooser(CURVE)
    chooser.slowdown = slowdown
    point = chooser.choose(budget)
    assert point.ms * slowdown <= budget or point == CURVE.points[0]


@given(budgets=st.tuples(st.floats(0, 10), st.floats(0, 10)))
def test_more_time_never_finds_less(budgets: tuple[float, float]) -> None:
    chooser = EffortChooser(CURVE)
    assert chooser.choose(min(budgets)).recall <= chooser.choose(max(budgets)).recall


def test_a_fixed_effort_replaces_every_choice() -> None:
    chooser = EffortChooser(CURVE, fixed=8)
    assert {chooser.choose(b).effort for b in (None, 0.0, 100.0)} == {8}


def test_a_slower_machine_than_the_builder_lowers_the_effort() -> None:
    chooser = EffortChooser(CURVE)
    before = chooser.choose(1.0)
    for _ in range(100):
        chooser.observe(before, 4 * before.ms)
    assert chooser.slowdown == pytest.approx(4, rel=0.01)
    assert chooser.choose(1.0).effort < before.effort


def test_one_search_that_waited_for_the_disk_lowers_it_for_few_others() -> None:
    chooser = EffortChooser(CURVE)
    before = chooser.choose(2.0)
    chooser.observe(before, 300 * before.ms)
    for _ in range(10):
        chooser.observe(before, before.ms)
    assert chooser.choose(2.0) == before


@pytest.fixture(scope="module")
def mixed() -> tuple[DenseField, np.ndarray]:
    """A flat part of 500 rows, then an approximate one of 6 000 rows of which every tenth has no vector."""
    rows = clustered(6_500)
    flat, _ = build_vector_index(rows[:500], SETTINGS)
    approximate, _ = build_vector_index(rows[500:], SETTINGS)
    vector_of = np.arange(6_000, dtype=np.int32)
    vector_of[::10] = -1
    rows = rows.copy()
    rows[500::10] = 0
    return DenseField([FieldPart(flat, np.arange(500, dtype=np.int32)), FieldPart(approximate, vector_of)], 64), rows


@given(start=st.integers(0, 3_000), step=st.integers(1, 7), query=st.integers(0, 31))
def test_the_top_rows_are_allowed_ones_and_nearly_the_exact_ones(
    mixed: tuple[DenseField, np.ndarray], start: int, step: int, query: int
) -> None:
    field, rows = mixed
    allowed = np.arange(start, len(rows), step)
    vector = clustered(6_532)[6_500 + query]
    scan = field.scan([vector], [(0, len(rows))])[0]
    assert scan is not None
    found, scores = scan.top(allowed, 20)
    assert np.isin(found, allowed).all()
    assert not (rows[found] == 0).all(axis=1).any()
    np.testing.assert_allclose(scores, rows[found] @ vector, atol=0.02)
    exact = allowed[np.argsort(-(rows[allowed] @ vector))[:20]]
    assert len(np.intersect1d(found, exact)) >= 14


def test_rows_that_share_a_vector_come_together() -> None:
    vectors = clustered(2_000)
    index, _ = build_vector_index(vectors, SETTINGS)
    field = DenseField([FieldPart(index, np.repeat(np.arange(2_000, dtype=np.int32), 3))], 64)
    scan = field.scan([vectors[7]], [(0, 6_000)])[0]
    assert scan is not None
    found, scores = scan.top(np.arange(6_000), 3)
    assert sorted(found.tolist()) == [21, 22, 23]
    assert len(set(scores.tolist())) == 1


def test_allowed_rows_are_looked_at_once_while_they_stay_the_same(mixed: tuple[DenseField, np.ndarray]) -> None:
    field, rows = mixed
    allowed = np.arange(len(rows))
    assert field.select(allowed) is field.select(allowed)
    assert field.select(allowed) is not field.select(allowed.copy())


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    settings = ShardSettings(vectors=VectorIndexSettings(flat_max_rows=3, recall_bar=0.9))
    return [write_shard(tmp_path_factory.mktemp("shards"), **drive().arguments(), settings=settings).path]


def _question(release: ReleaseIndex) -> SearchQuery:
    vector = release.shards[0].text.reconstruct(np.array([0]))[0]
    return SearchQuery(text="What does the drive report?", text_vector=vector)


def test_the_effort_spent_is_reported(release: list[Path]) -> None:
    index = ReleaseIndex.open(release, 1)
    result = index.search(_question(index))
    assert result.efforts
    assert result.dense_recall == min(e.recall for e in result.efforts)


def test_a_fixed_effort_of_the_settings_is_reported(release: list[Path]) -> None:
    index = ReleaseIndex.open(release, 1, SearchSettings(effort=1))
    lowest = index.shards[0].text.curve.points[0].effort
    assert {e.effort for e in index.search(_question(index)).efforts} == {lowest}


def test_a_flat_release_promises_every_row(index: ReleaseIndex) -> None:
    result = index.search(_question(index))
    assert (result.efforts, result.dense_recall) == ((), 1.0)


def test_queries_that_wait_share_the_budget(release: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    index = ReleaseIndex.open(release, 1)
    seen: list[float | None] = []
    choose = EffortChooser.choose
    monkeypatch.setattr(EffortChooser, "choose", lambda self, ms: (seen.append(ms), choose(self, ms))[1])
    query = replace(_question(index), budget_ms=12.0)
    index.search_batch([query])
    alone = min(b for b in seen if b is not None)
    seen.clear()
    index.search_batch([query], waiting=3)
    assert {b for b in seen if b is not None} == {alone / 4}
