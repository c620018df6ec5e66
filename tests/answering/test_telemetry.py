"""A series in one line: last value, limits, trend, outliers."""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
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


def test_limits_that_were_passed_before_are_told() -> None:
    reading = read_series(_series([60.0] * 20 + [97.0, 99.0] + [60.0] * 20, high=95.0, low=10.0))
    assert not reading.violation
    assert reading.passed == 2
    assert "within its limits, outside its limits 2 of 41 times before, up to 99 °C" in reading.line


def test_a_new_level_is_told_with_the_one_before() -> None:
    reading = read_series(_series([60 + n for n in NOISE] + [66 + n for n in NOISE[:10]]))
    assert reading.shifted_from is not None
    assert math.isclose(reading.shifted_from, 60, abs_tol=0.5)
    assert "shifted from a level of" in reading.line


def test_a_coarsely_quantised_signal_is_not_unusual_at_every_other_value() -> None:
    steps = np.random.default_rng(2).choice([-0.3, 0.05, 0.4], 239, p=[0.2, 0.6, 0.2])
    assert not read_series(_series([*steps, 0.4])).notable
    assert read_series(_series([*steps, 4.0])).outlier


@pytest.mark.parametrize("points", [30, 60, 240])
def test_noise_alone_is_seldom_a_trend(points: int) -> None:
    chosen = np.random.default_rng(3)
    readings = [read_series(_series(list(60 + chosen.normal(0, 3, points)))) for _ in range(300)]
    assert sum(reading.trend != "steady" for reading in readings) <= 9  # 3 %


def test_eight_lines_leave_out_the_calm_ones() -> None:
    calm = [TelemetrySeries(name=f"calm {n}", values=(1.0,) * 20) for n in range(10)]
    hot = TelemetrySeries(name="bearing temperature", values=(97.0,), high=95)
    lines = prompt_lines(summarise([*calm, hot]))
    assert len(lines) == 8
    assert lines[0].startswith("bearing temperature")


SKAB = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "skab"


@pytest.mark.skipif(not SKAB.exists(), reason="the real telemetry of shared/data/skab is not on this machine")
def test_real_anomalies_are_notable_at_least_twice_as_often_as_normal_running() -> None:
    """SKAB (Katser and Kozitsin, 2020): a pump's eight sensors at 1 Hz; windows of four minutes."""
    notable: dict[bool, list[float]] = {True: [], False: []}
    for path in sorted(SKAB.glob("*/*.csv")):
        with path.open() as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        labels = [float(row.get("anomaly") or 0) > 0 for row in rows]
        names = [name for name in rows[0] if name not in ("datetime", "anomaly", "changepoint")]
        for end in range(240, len(rows), 240):
            window, labelled = rows[end - 240 : end], labels[end - 240 : end]
            if any(labelled) and not labelled[-1]:
                continue  # the anomaly has just ended
            times = tuple(datetime.fromisoformat(row["datetime"]) for row in window)
            readings = [
                read_series(TelemetrySeries(name=n, values=tuple(float(row[n]) for row in window), times=times))
                for n in names
            ]
            notable[labelled[-1]].append(sum(reading.notable for reading in readings) / len(readings))
    normal, anomalous = float(np.mean(notable[False])), float(np.mean(notable[True]))
    assert normal < 0.1, f"{normal:.0%} of the series of normal running are notable"
    assert anomalous > 2 * normal, f"{anomalous:.0%} of the series of anomalies, {normal:.0%} of normal running"


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=80))
def test_any_series_gives_one_short_line(values: list[float]) -> None:
    reading = read_series(TelemetrySeries(name="x", unit="bar", values=tuple(values), low=-1, high=1))
    assert "\n" not in reading.line
    assert len(reading.line) < 300
