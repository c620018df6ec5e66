"""What a measured series says in one line: last value, trend, limits, outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lineside.schema import TelemetrySeries

Trend = Literal["rising", "falling", "steady"]


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """When a change counts. `outlier_mads` is in robust standard deviations (1.4826 times the median deviation)."""

    recent_points: int = 240
    outlier_mads: float = 5.0
    trend_noise: float = 3.0
    trend_share: float = 0.02
    max_lines: int = 8


@dataclass(frozen=True, slots=True)
class TelemetryReading:
    """One series, read. `slope` is per minute where the series has times, else per sample."""

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

    @property
    def notable(self) -> bool:
        return bool(self.violation) or self.outlier or self.trend != "steady"


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
    parts = [f"{series.name}: last value {_shown(last)}{unit}"]
    if violation:
        parts.append(f"{violation} its limit of {_shown(limit)}{unit}")
    elif series.low is not None or series.high is not None:
        parts.append("within its limits")
    parts.append(trend if trend == "steady" else f"{trend} by {_shown(abs(slope))}{unit} per {per}")
    if outlier:
        parts.append(f"unusual against its median of {_shown(float(np.median(values[:-1])))}{unit}")
    return TelemetryReading(
        series.name, series.unit, last, trend, slope, per, violation, limit, outlier, ", ".join(parts)
    )


def summarise(
    series: Sequence[TelemetrySeries], settings: TelemetrySettings = TelemetrySettings()
) -> tuple[TelemetryReading, ...]:
    """The readings, those that violate a limit first, then other notable ones."""
    readings = [read_series(s, settings) for s in series]
    readings.sort(key=lambda r: (not r.violation, not r.outlier, not r.notable))
    return tuple(readings)


def prompt_lines(readings: Sequence[TelemetryReading], settings: TelemetrySettings = TelemetrySettings()) -> list[str]:
    """One short line for each reading, the notable ones first."""
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
    """Theil-Sen slope (Sen 1968) and whether the rise over the window stands out of the scatter about it."""
    if len(values) < 4:
        return 0.0, "steady"
    step = max(1, len(values) // 60)
    x, values = x[::-1][::step][::-1], values[::-1][::step][::-1]
    i, j = np.triu_indices(len(values), 1)
    dx = x[j] - x[i]
    if not np.any(dx > 0):
        return 0.0, "steady"
    slope = float(np.median((values[j] - values[i])[dx > 0] / dx[dx > 0]))
    residual = values - slope * x
    scatter = 1.4826 * float(np.median(np.abs(residual - np.median(residual)))) / np.sqrt(len(values))
    change = abs(slope) * float(x[-1] - x[0])
    floor = settings.trend_share * max(abs(float(np.median(values))), 1e-12)
    if change <= max(settings.trend_noise * scatter, floor):
        return slope, "steady"
    return slope, "rising" if slope > 0 else "falling"


def _violation(
    last: float, low: float | None, high: float | None
) -> tuple[Literal["above", "below", ""], float | None]:
    if high is not None and last > high:
        return "above", high
    if low is not None and last < low:
        return "below", low
    return "", None


def _is_outlier(values: NDArray[np.float64], bar: float) -> bool:
    """Whether the last value lies more than `bar` robust standard deviations from the median of those before it."""
    if len(values) < 8:
        return False
    before = values[:-1]
    median = float(np.median(before))
    spread = 1.4826 * float(np.median(np.abs(before - median)))
    deviation = abs(float(values[-1]) - median)
    if spread == 0.0:
        return deviation > 1e-9 * max(abs(median), 1.0) and deviation > 0.01 * abs(median)
    return deviation > bar * spread


def _shown(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
