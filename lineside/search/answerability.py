"""How likely it is that what was retrieved answers the question: a logistic combination, calibrated on data."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerabilityFeatures:
    """What the estimate is made from.

    `dense`: best cosine of a passage. `coverage`: share of the question's idf mass in the best passage. `sentence`:
    best score of a sentence. `unknown_share`: share of the question's distinct terms that occur nowhere.
    `missing_identifiers`: how many identifiers of the question no retrieved passage holds; one or more count alike.
    """

    dense: float
    coverage: float
    sentence: float
    unknown_share: float
    missing_identifiers: int


# Logistic regression; benchmarks/answerability.py prints how it was fitted and how well it separates.
_BIAS = -8.4
_DENSE = 11.8
_COVERAGE = 1.2
_SENTENCE = 6.3
_UNKNOWN_SHARE = -2.7
_MISSING_IDENTIFIER = -5.4


def answerability(features: AnswerabilityFeatures) -> float:
    """Probability in [0, 1]."""
    logit = (
        _BIAS
        + _DENSE * features.dense
        + _COVERAGE * features.coverage
        + _SENTENCE * features.sentence
        + _UNKNOWN_SHARE * features.unknown_share
        + _MISSING_IDENTIFIER * (features.missing_identifiers > 0)
    )
    return 1 / (1 + math.exp(-logit))
