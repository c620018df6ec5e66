"""The estimate of whether what was found answers the question: which way each sign counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lineside.search.answerability import FEATURES, AnswerabilityFeatures, answerability

PLAIN = AnswerabilityFeatures(
    dense=0.45,
    coverage=0.6,
    sentence=0.45,
    missing_identifiers=0,
    stands_out=0.1,
    agreement=0.6,
    unmet_thing=False,
    unmet_neighbours=0.0,
)


def test_every_feature_has_its_place() -> None:
    assert len(PLAIN.row()) == len(FEATURES)


@pytest.mark.parametrize("better", [{"dense": 0.7}, {"coverage": 1.0}, {"sentence": 0.7}, {"stands_out": 0.3}])
def test_what_resembles_the_question_speaks_for_an_answer(better: dict[str, float]) -> None:
    assert answerability(replace(PLAIN, **better)) > answerability(PLAIN)


@pytest.mark.parametrize("worse", [{"missing_identifiers": 1}, {"unmet_thing": True}, {"unmet_neighbours": 0.5}])
def test_what_is_missing_speaks_against_it(worse: dict[str, float]) -> None:
    assert answerability(replace(PLAIN, **worse)) < answerability(PLAIN)


def test_several_missing_identifiers_count_as_one() -> None:
    assert answerability(replace(PLAIN, missing_identifiers=3)) == answerability(replace(PLAIN, missing_identifiers=1))
