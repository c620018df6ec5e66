"""Statistics of latencies: percentiles that are observed values, never interpolated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np


@dataclass(frozen=True, slots=True)
class Summary:
    """Latencies in milliseconds. A percentile is the smallest sample that at least that share does not exceed."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Summary | None:
        """Summary of samples in seconds; None of no samples."""
        if not len(seconds):
            return None
        ms = np.asarray(seconds, dtype=np.float64) * 1000.0
        p50, p95, p99 = (float(v) for v in np.quantile(ms, (0.50, 0.95, 0.99), method="inverted_cdf"))
        return cls(len(ms), float(ms.mean()), p50, p95, p99, float(ms.max()))


def median_summary(rounds: Sequence[Summary]) -> Summary:
    """Median over rounds of each statistic; `n` is the total.

    Raises:
        ValueError: no rounds.
    """
    if not rounds:
        raise ValueError("no rounds to summarise")
    return Summary(
        sum(r.n for r in rounds),
        *(median(getattr(r, name) for r in rounds) for name in ("mean", "p50", "p95", "p99", "max")),
    )
