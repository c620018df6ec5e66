"""The history of a tag is bounded, and its last value holds."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge.messaging.settings import TagSettings
from edge.messaging.tags import TagHistory

START = datetime(2026, 11, 25, tzinfo=UTC)
TAG = TagSettings(node="ns=2;i=1", name="oil pressure", unit="bar", low=1.5)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_a_history_is_bounded_in_number_and_age(gaps: list[float]) -> None:
    history = TagHistory(TAG, points=8, seconds=60)
    at = 0.0
    for n, gap in enumerate(gaps):
        at += gap
        history.add(after(at), n)
    series = history.series(after(at + 30))
    assert series is not None
    assert len(series.values) <= 8
    assert series.values[-1] == len(gaps) - 1
    assert list(series.times) == sorted(series.times)
    assert series.times[0] >= after(at + 30 - 60)
    assert series.times[-1] == after(at + 30)


def test_a_value_older_than_the_history_holds_until_the_next() -> None:
    history = TagHistory(TAG, points=8, seconds=60)
    history.add(after(0), 2.0)
    history.add(after(1_000), 1.0)
    series = history.series(after(1_000))
    assert series is not None
    assert series.values == (2.0, 1.0)
    assert series.times == (after(940), after(1_000))


def test_what_is_no_finite_number_makes_the_tag_bad_until_one_comes() -> None:
    history = TagHistory(TAG, points=8, seconds=60)
    for value in (None, "on", [1.0], math.nan, math.inf):
        history.add(after(0), 2.0)
        history.add(after(1), value)
        assert history.series(after(2)) is None
        assert "finite number" in history.bad
    history.add(after(3), True)
    assert history.series(after(3)) is not None
