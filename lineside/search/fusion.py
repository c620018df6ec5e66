"""Fusion of the signals of candidates: a convex combination of scores brought to a common scale.

A convex combination beats reciprocal rank fusion where scores carry information (Bruch, Gai and Ingber 2023, "An
Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 42), as it does on the sets measured here. Scores are
standardised by the mean and deviation of the signal's own best rows: that keeps how far the best stand out, which
min-max scaling loses, and needs nothing but the lists that approximate indexes return. A row below a signal's own best
rows counts like the last of them: a signal recommends, it does not veto. docs/retrieval_quality.md has the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_DEVIATION_MIN = 1e-4  # a signal that tells no rows apart adds nothing


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: scores (m,) of the candidates, those of its best rows as reference (r,), and its weight."""

    scores: Floats
    reference: Floats
    weight: float


def deviation(reference: Floats) -> float:
    """The standard deviation of scores (r,), `_DEVIATION_MIN` at least."""
    return max(_moments(reference)[1], _DEVIATION_MIN)


def _moments(reference: Floats) -> tuple[float, float]:
    """Mean and standard deviation; NumPy's own take several times as long for so few."""
    if not len(reference):
        return 0.0, 0.0
    mean = float(reference.sum(dtype=np.float64)) / len(reference)
    centred = reference - np.float32(mean)
    return mean, math.sqrt(float(centred.dot(centred)) / len(reference))


def standardise(scores: Floats, reference: Floats) -> Floats:
    """(scores - mean) / deviation, both of the reference, whose least score is the floor; 0 where it does not vary."""
    mean, spread = _moments(reference)
    if spread < _DEVIATION_MIN:
        return np.zeros_like(scores)
    return (np.maximum(scores, reference.min()) - np.float32(mean)) * np.float32(1 / spread)


def fuse(signals: Sequence[Signal]) -> Floats:
    """Weighted mean (m,) of the standardised signals; weights are relative to their sum.

    It does not depend on the order of candidates, and a candidate never loses by a higher score in any signal.
    """
    if not signals:
        raise ValueError("nothing to fuse")
    total = sum(s.weight for s in signals) or 1.0
    fused = np.zeros(len(signals[0].scores), np.float32)
    for signal in signals:
        if signal.weight:
            fused += np.float32(signal.weight / total) * standardise(signal.scores, signal.reference)
    return fused
