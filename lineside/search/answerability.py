"""How likely it is that what was retrieved answers the question: a logistic combination, calibrated on data."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerabilityFeatures:
    """What the estimate is made from; all are shares or cosines in [0, 1] except `missing_identifiers`, a count."""

    dense: float
    coverage: float
    sentence: float
    unknown_share: float
    missing_identifiers: int


# Logistic regression; benchmarks/answerability.py prints how it was fitted and how well it separates.
_BIAS = -5.2
_DENSE = 5.0
_COVERAGE = 3.0
_SENTENCE = 4.0
_UNKNOWN_SHARE = -3.0
_MISSING_IDENTIFIER = -2.5


def answerability(features: AnswerabilityFeatures) -> float:
    """Probability in [0, 1]."""
    logit = (
        _BIAS
        + _DENSE * features.dense
        + _COVERAGE * features.coverage
        + _SENTENCE * features.sentence
        + _UNKNOWN_SHARE * features.unknown_share
        + _MISSING_IDENTIFIER * features.missing_identifiers
    )
    return 1 / (1 + math.exp(-logit))
