from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lineside.search.fusion import Signal, fuse, standardise

SCORES = st.integers(2, 30).flatmap(
    lambda m: st.tuples(*(arrays(np.float32, m, elements=st.floats(-4, 40, width=32)) for _ in range(3)))
)


def signals(columns: tuple[np.ndarray, ...]) -> list[Signal]:
    return [Signal(c, c, w) for c, w in zip(columns, (0.5, 0.4, 0.1), strict=True)]


@given(SCORES, st.randoms())
def test_fusion_does_not_depend_on_the_order_of_candidates(columns: tuple[np.ndarray, ...], random: object) -> None:
    order = list(range(len(columns[0])))
    random.shuffle(order)
    shuffled = fuse([Signal(c[order], c, s.weight) for c, s in zip(columns, signals(columns), strict=True)])
    np.testing.assert_allclose(shuffled, fuse(signals(columns))[order], atol=1e-4)


@given(SCORES)
def test_fusion_does_not_depend_on_the_order_of_signals(columns: tuple[np.ndarray, ...]) -> None:
    np.testing.assert_allclose(fuse(signals(columns)), fuse(signals(columns)[::-1]), atol=1e-4)


@given(SCORES, st.integers(0, 29), st.integers(0, 2), st.floats(0, 10))
def test_a_higher_score_never_ranks_a_candidate_lower(
    columns: tuple[np.ndarray, ...], place: int, signal: int, gain: float
) -> None:
    place %= len(columns[0])
    raised = [c.copy() for c in columns]
    raised[signal][place] += np.float32(gain)
    before = fuse(signals(columns))
    after = fuse([Signal(r, c, s.weight) for r, c, s in zip(raised, columns, signals(columns), strict=True)])
    assert after[place] >= before[place] - 1e-4
    others = np.arange(len(before)) != place
    np.testing.assert_allclose(after[others], before[others], atol=1e-5)


@given(SCORES, st.floats(0.1, 10), st.floats(-5, 5))
def test_scale_and_offset_of_a_signal_do_not_matter(
    columns: tuple[np.ndarray, ...], scale: float, offset: float
) -> None:
    column = columns[0]
    if column.std() < 0.1:
        return
    moved = (column * np.float32(scale) + np.float32(offset)).astype(np.float32)
    np.testing.assert_allclose(standardise(moved, moved), standardise(column, column), atol=5e-2)


def test_a_signal_that_tells_nothing_apart_adds_nothing() -> None:
    flat, telling = np.full(3, 0.7, np.float32), np.array([0, 1, 2], np.float32)
    fused = fuse([Signal(flat, flat, 0.9), Signal(telling, telling, 0.1)])
    assert list(np.argsort(-fused)) == [2, 1, 0]


def test_nothing_to_fuse_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        fuse([])


def test_a_signal_does_not_veto_what_it_has_not_among_its_best() -> None:
    reference = np.array([0.5, 0.6, 0.7], np.float32)
    scores = np.array([0.7, 0.5, -0.9], np.float32)
    found = standardise(scores, reference)
    assert found[2] == found[1] < found[0]
