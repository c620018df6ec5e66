"""What a measured series says in one line: last value, trend, limits that were passed, outliers and shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lineside.schema import TelemetrySeries

Trend = Literal["rising", "falling", "steady"]


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """When a change counts. `outlier_mads` and `shift_mads` are in robust standard deviations.

    `shift_share`: the part of the values, the latest, whose level is compared with that of those before. `trend_noise`
    is in standard errors of a slope, and a change of less than `trend_share` of the median is no trend.
    """

    recent_points: int = 240
    outlier_mads: float = 5.0
    shift_mads: float = 3.0
    shift_share: float = 0.1
    trend_noise: float = 3.0
    trend_share: float = 0.02
    max_lines: int = 8


@dataclass(frozen=True, slots=True)
class TelemetryReading:
    """One series, read. `slope` is per minute where the series has times, else per sample.

    `violation` is of the last value. `passed`: how many of the values before it were outside the limits.
    `shifted_from`: the level before, where the latest values lie at another.
    """

    name: str
    unit: str
    last: float
    trend: Trend
    slope: float
    per: Literal["min", "sample"]
    violation: Literal["above", "below", ""]
    limit: float | None
    outlier: bool
    line: str
    passed: int = 0
    shifted_from: float | None = None

    @property
    def notable(self) -> bool:
        unusual = self.outlier or self.shifted_from is not None
        return bool(self.violation) or self.passed > 0 or unusual or self.trend != "steady"


def read_series(series: TelemetrySeries, settings: TelemetrySettings = TelemetrySettings()) -> TelemetryReading:
    """One series in words: its latest value against its limits, its trend and whether the value is an outlier."""
    values = np.asarray(series.values, dtype=np.float64)
    times = series.times
    finite = np.isfinite(values)
    if times:
        times = tuple(t for t, ok in zip(times, finite, strict=True) if ok)
    values = values[finite]
    unit = f" {series.unit}" if series.unit else ""
    if not len(values):
        line = f"{series.name}: no valid value"
        return TelemetryReading(series.name, series.unit, float("nan"), "steady", 0.0, "sample", "", None, False, line)
    values, times = values[-settings.recent_points :], times[-settings.recent_points :]
    last = float(values[-1])
    x, per = _axis(len(values), times)
    slope, trend = _trend(x, values, settings)
    violation, limit = _violation(last, series.low, series.high)
    outlier = _is_outlier(values, settings.outlier_mads)
    shifted_from = _shifted_from(values, settings)
    passed, farthest = _passed(values[:-1], series.low, series.high)
    parts = [f"{series.name}: last value {_shown(last)}{unit}"]
    if violation:
        parts.append(f"{violation} its limit of {_shown(limit)}{unit}")
    elif series.low is not None or series.high is not None:
        parts.append("within its limits")
    if passed:
        parts.append(f"outside its limits {passed} of {len(values) - 1} times before, up to {_shown(farthest)}{unit}")
    parts.append(trend if trend == "steady" else f"{trend} by {_shown(abs(slope))}{unit} per {per}")
    if shifted_from is not None:
        parts.append(f"shifted from a level of {_shown(shifted_from)}{unit}")
    elif outlier:
        parts.append(f"unusual against its median of {_shown(float(np.median(values[:-1])))}{unit}")
    line = ", ".join(parts)
    return TelemetryReading(
        series.name, series.unit, last, trend, slope, per, violation, limit, outlier, line, passed, shifted_from
    )


def summarise(
    series: Sequence[TelemetrySeries], settings: TelemetrySettings = TelemetrySettings()
) -> tuple[TelemetryReading, ...]:
    """The readings, those that violate a limit first, then other notable ones."""
    readings = [read_series(s, settings) for s in series]
    readings.sort(key=lambda r: (not r.violation, not r.passed, not r.outlier, not r.notable))
    return tuple(readings)


def prompt_lines(readings: Sequence[TelemetryReading], settings: TelemetrySettings = TelemetrySettings()) -> list[str]:
    """One short line for each of the first readings: `summarise` puts the notable ones there."""
    return [r.line for r in readings[: settings.max_lines]]


def search_terms(readings: Sequence[TelemetryReading]) -> str:
    """Words that help find passages about what is notable: "bearing temperature high rising"."""
    found: dict[str, None] = {}
    for reading in readings:
        if not reading.notable:
            continue
        words = [reading.name.replace("_", " ")]
        if reading.violation:
            words.append("high above limit" if reading.violation == "above" else "low below limit")
        if reading.trend != "steady":
            words.append(reading.trend)
        found.update(dict.fromkeys(" ".join(words).split()))
    return " ".join(found)


def _axis(n: int, times: Sequence[datetime]) -> tuple[NDArray[np.float64], Literal["min", "sample"]]:
    if len(times) == n and n > 1 and all((t.tzinfo is None) == (times[0].tzinfo is None) for t in times):
        minutes = np.asarray([(t - times[0]).total_seconds() / 60.0 for t in times])
        if np.all(np.diff(minutes) >= 0) and minutes[-1] > 0:
            return minutes, "min"
    return np.arange(n, dtype=np.float64), "sample"


def _trend(x: NDArray[np.float64], values: NDArray[np.float64], settings: TelemetrySettings) -> tuple[float, Trend]:
    """Theil-Sen slope (Sen 1968) and whether the rise over the window stands out of the scatter about it.

    A slope over n evenly spaced values with scatter s is uncertain by about s * sqrt(12 / n) over their whole range, as
    that of least squares is.
    """
    if len(values) < 4:
        return 0.0, "steady"
    step = max(1, len(values) // 60)
    x, values = x[::-1][::step][::-1], values[::-1][::step][::-1]
    i, j = _pairs(len(values))
    dx = x[j] - x[i]
    if not np.any(dx > 0):
        return 0.0, "steady"
    slope = float(np.median((values[j] - values[i])[dx > 0] / dx[dx > 0]))
    residual = values - slope * x
    uncertain = _spread(residual) * float(np.sqrt(12 / len(values)))
    change = abs(slope) * float(x[-1] - x[0])
    floor = settings.trend_share * max(abs(float(np.median(values))), 1e-12)
    if change <= max(settings.trend_noise * uncertain, floor):
        return slope, "steady"
    return slope, "rising" if slope > 0 else "falling"


@lru_cache(maxsize=256)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every pair of n places, the earlier one first."""
    i, j = np.triu_indices(n, 1)
    return i, j


def _violation(
    last: float, low: float | None, high: float | None
) -> tuple[Literal["above", "below", ""], float | None]:
    if high is not None and last > high:
        return "above", high
    if low is not None and last < low:
        return "below", low
    return "", None


def _passed(values: NDArray[np.float64], low: float | None, high: float | None) -> tuple[int, float]:
    """How many values are outside the limits, and the one that is farthest out (0 where none is)."""
    beyond = np.maximum(
        values - high if high is not None else np.full_like(values, -np.inf),
        low - values if low is not None else np.full_like(values, -np.inf),
    )
    outside = beyond > 0
    return int(outside.sum()), float(values[np.argmax(beyond)]) if outside.any() else 0.0


def _spread(values: NDArray[np.float64]) -> float:
    """A robust standard deviation: from the median deviation, or where that is 0, the mean one.

    More than half of the values of a coarsely quantised signal may be equal; its median deviation is 0 then, and every
    other value would seem infinitely far away (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993).
    """
    deviations = np.abs(values - np.median(values))
    return 1.4826 * float(np.median(deviations)) or 1.2533 * float(np.mean(deviations))


def _is_outlier(values: NDArray[np.float64], bar: float) -> bool:
    """Whether the last value lies more than `bar` robust standard deviations from the median of those before it."""
    if len(values) < 8:
        return False
    return _stands_out(float(values[-1]), values[:-1], bar)


def _shifted_from(values: NDArray[np.float64], settings: TelemetrySettings) -> float | None:
    """The level before, where the latest values have another one; the median of at least five says which."""
    latest = max(5, round(len(values) * settings.shift_share))
    before = values[:-latest]
    if len(before) < 2 * latest or not _stands_out(float(np.median(values[-latest:])), before, settings.shift_mads):
        return None
    return float(np.median(before))


def _stands_out(value: float, before: NDArray[np.float64], bar: float) -> bool:
    median = float(np.median(before))
    deviation = abs(value - median)
    spread = _spread(before)
    if spread == 0.0:
        return deviation > 1e-9 * max(abs(median), 1.0) and deviation > 0.01 * abs(median)
    return deviation > bar * spread


def _shown(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
