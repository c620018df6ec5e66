"""A series in one line: last value, limits, trend, outliers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lineside.answering.telemetry import prompt_lines, read_series, search_terms, summarise
from lineside.schema import TelemetrySeries

START = datetime(2026, 3, 1, tzinfo=UTC)
NOISE = np.random.default_rng(5).normal(0, 0.5, 60)


def _series(values: list[float], *, step_s: float | None = 10.0, **fields: object) -> TelemetrySeries:
    times = tuple(START + timedelta(seconds=i * step_s) for i in range(len(values))) if step_s else ()
    return TelemetrySeries.model_validate(
        {"name": "bearing temperature", "unit": "°C", "values": tuple(values), "times": times, **fields}
    )


def test_a_rise_is_seen_with_its_slope_per_minute() -> None:
    reading = read_series(_series([60 + 0.5 * i + NOISE[i] for i in range(60)]))
    assert reading.trend == "rising"
    assert reading.per == "min"
    assert math.isclose(reading.slope, 3.0, rel_tol=0.1)
    assert "rising by" in reading.line
    assert "°C per min" in reading.line


def test_noise_is_steady() -> None:
    assert read_series(_series([60 + n for n in NOISE])).trend == "steady"


def test_one_wild_value_does_not_make_a_trend() -> None:
    values = [60 + n for n in NOISE]
    values[30] = 1e6
    assert read_series(_series(values)).trend == "steady"


def test_a_limit_that_is_passed_comes_first() -> None:
    hot = _series([60.0, 80.0, 97.0], high=95.0)
    calm = TelemetrySeries(name="speed", unit="rpm", values=(400.0,) * 20, low=300, high=500)
    readings = summarise([calm, hot])
    assert [r.violation for r in readings] == ["above", ""]
    assert prompt_lines(readings)[0].startswith("bearing temperature: last value 97 °C, above its limit of 95 °C")
    assert "within its limits" in prompt_lines(readings)[1]
    assert search_terms(readings).startswith("bearing temperature high above limit")


def test_a_low_value_is_below_its_limit() -> None:
    reading = read_series(TelemetrySeries(name="oil_pressure", unit="bar", values=(1.2,), low=1.5))
    assert reading.violation == "below"
    assert reading.limit == 1.5
    assert search_terms([reading]) == "oil pressure low below limit"


def test_a_jump_is_unusual() -> None:
    reading = read_series(_series([60 + n for n in NOISE] + [75.0]))
    assert reading.outlier
    assert "unusual against its median" in reading.line


def test_slope_is_per_sample_without_times() -> None:
    reading = read_series(_series([float(i) for i in range(20)], step_s=None))
    assert reading.per == "sample"
    assert reading.slope == 1.0


def test_a_calm_series_adds_no_search_terms() -> None:
    assert search_terms([read_series(_series([60.0] * 20))]) == ""


def test_gaps_are_left_out() -> None:
    reading = read_series(TelemetrySeries(name="x", values=(math.nan, 2.0, math.inf)))
    assert reading.last == 2.0
    assert "no valid value" in read_series(TelemetrySeries(name="x", values=(math.nan,))).line


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=80))
def test_any_series_gives_one_short_line(values: list[float]) -> None:
    reading = read_series(TelemetrySeries(name="x", unit="bar", values=tuple(values), low=-1, high=1))
    assert "\n" not in reading.line
    assert len(reading.line) < 300
