"""Fusion of the signals of candidates: a convex combination of scores brought to a common scale.

A convex combination beats reciprocal rank fusion where scores carry information (Bruch, Gai and Ingber 2023, "An
Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 42), as it does on the sets measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal's scores (m,) for the candidates, and its weight in the sum."""

    scores: Floats
    weight: float


def min_max(scores: Floats) -> Floats:
    """Scores mapped to [0, 1] by their least and greatest; all 0 where they do not differ."""
    if not len(scores):
        return scores
    low, high = float(scores.min()), float(scores.max())
    if high - low < 1e-9:
        return np.zeros_like(scores)
    return ((scores - low) / (high - low)).astype(np.float32)


def fuse(signals: Sequence[Signal]) -> Floats:
    """Weighted mean of the normalised signals, in [0, 1]; does not depend on the order of candidates or signals."""
    present = [s for s in signals if s.weight > 0]
    total = sum(s.weight for s in present)
    if not present or not total:
        return np.zeros(len(signals[0].scores) if signals else 0, np.float32)
    fused = np.sum([np.float64(s.weight / total) * min_max(s.scores) for s in present], axis=0)
    return fused.astype(np.float32)
