"""How likely it is that what was retrieved answers the question: a logistic combination, calibrated on data."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerabilityFeatures:
    """What the estimate is made from.

    `dense`: best cosine of a passage. `coverage`: share of the question's idf mass in the best passage. `sentence`:
    best score of a sentence. `missing_identifiers`: how many identifiers of the question no retrieved passage holds;
    one or more count alike. `stands_out`: how far the best cosine of the best passages is above the mean of the others;
    where a question meets nothing but its general subject, all are equally near. `agreement`: mean cosine of the best
    passage to the next ones, which drift apart where each shares something else with the question. `unmet_thing`: the
    thing asked for by name is in none of the best passages. `unmet_neighbours`: share of the pairs of words side by
    side in the question, by idf, that no sentence of the best passages holds both of ("burst pressure"). `known_lean`:
    from -1 to 1, whether known questions like this one are answered; 0 where none is near, None where there are none.
    """

    dense: float
    coverage: float
    sentence: float
    missing_identifiers: int
    stands_out: float
    agreement: float
    unmet_thing: bool
    unmet_neighbours: float
    known_lean: float | None = None

    def row(self) -> tuple[float, ...]:
        """The values in the order of `FEATURES`."""
        return (
            self.dense,
            self.coverage,
            self.sentence,
            float(self.missing_identifiers > 0),
            self.stands_out,
            self.agreement,
            float(self.unmet_thing),
            self.unmet_neighbours,
            self.known_lean or 0.0,
        )


FEATURES = (
    "dense",
    "coverage",
    "sentence",
    "missing_identifier",
    "stands_out",
    "agreement",
    "unmet_thing",
    "unmet_neighbours",
    "known_lean",
)

# Two logistic regressions; benchmarks/answerability.py fits them and prints how well they separate (docs/adr/0005).
# Where there are known questions, likeness to passages counts less.
_BIAS = -10.6
_WEIGHTS = (9.0, 1.9, 5.9, -4.0, 10.4, 3.5, -1.3, -1.0, 0.0)
_KNOWN_BIAS = -7.1
_KNOWN_WEIGHTS = (2.4, 2.5, 2.8, -4.4, 9.0, 2.9, -0.3, 0.1, 3.9)


def answerability(features: AnswerabilityFeatures) -> float:
    """Probability in [0, 1], where as many questions have an answer as have none."""
    plain = features.known_lean is None
    bias, weights = (_BIAS, _WEIGHTS) if plain else (_KNOWN_BIAS, _KNOWN_WEIGHTS)
    logit = bias + sum(weight * value for weight, value in zip(weights, features.row(), strict=True))
    return 1 / (1 + math.exp(-logit))
