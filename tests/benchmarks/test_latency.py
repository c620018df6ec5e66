"""Percentiles are samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency import Summary, median_summary


def test_percentiles_of_one_to_hundred() -> None:
    summary = Summary.of([n / 1000 for n in range(100, 0, -1)])
    assert summary is not None
    assert (summary.p50, summary.p95, summary.p99, summary.max) == pytest.approx((50, 95, 99, 100))
    assert summary.mean == pytest.approx(50.5)


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=200))
def test_a_percentile_is_a_sample_that_enough_samples_do_not_exceed(seconds: list[float]) -> None:
    summary = Summary.of(seconds)
    assert summary is not None
    ms = [s * 1000 for s in seconds]
    for share, value in ((0.5, summary.p50), (0.95, summary.p95), (0.99, summary.p99)):
        assert value in ms
        assert sum(m <= value for m in ms) >= share * len(ms) - 1e-9


def test_no_samples_have_no_summary() -> None:
    assert Summary.of([]) is None


def test_median_over_rounds_ignores_one_bad_round() -> None:
    rounds = [Summary(10, 1, 1, p95, 3, 4) for p95 in (2.0, 90.0, 3.0)]
    assert median_summary(rounds).p95 == 3.0
    assert median_summary(rounds).n == 30
