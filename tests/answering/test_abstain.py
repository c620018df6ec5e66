"""When there is no answer to give, and what is said then."""

from __future__ import annotations

import pytest

from lineside.answering.abstain import decide
from lineside.schema import LabelVote
from lineside.search.contract import KnownNeighbour
from tests.answering.results import search_result
from tests.answering.support_table import EVIDENCE

SEEN = (LabelVote(label="seal-leak", caption="A leaking seal", share=0.9, similarity=0.8),)


def test_a_good_result_is_answered() -> None:
    question = "What is the maximum pressure?"
    assert decide(search_result(question, *EVIDENCE), question) is None


def test_an_unknown_code_is_refused_by_its_name() -> None:
    question = "What does P-E999 mean?"
    refusal = decide(search_result(question, *EVIDENCE, missing_identifiers=("pe999",)), question)
    assert refusal is not None
    assert refusal.cause == "unknown_identifier"
    assert "P-E999 does not occur" in refusal.text
    assert "Pump manual" in refusal.text
    assert "release 7" in refusal.text


def test_an_image_may_stand_in_for_an_unknown_code() -> None:
    question = "What is this at P-E999?"
    assert decide(search_result(question, *EVIDENCE, labels=SEEN, missing_identifiers=("pe999",)), question) is None


def test_a_quantity_is_no_unknown_code() -> None:
    question = "Is 45Nm the torque of the flange bolts?"
    assert decide(search_result(question, *EVIDENCE, missing_identifiers=("45nm",)), question) is None


def test_one_unknown_code_beside_a_known_one_is_tried_when_the_result_is_good() -> None:
    question = "Is P-101 the same as PX-7?"
    assert decide(search_result(question, *EVIDENCE, missing_identifiers=("px7",)), question) is None
    doubtful = search_result(question, *EVIDENCE, missing_identifiers=("px7",), answerability=0.4)
    assert decide(doubtful, question) is not None


def test_nothing_relevant_is_refused() -> None:
    question = "Who won the cup?"
    refusal = decide(search_result(question, *EVIDENCE, answerability=0.1, unknown_terms=("cup",)), question)
    assert refusal is not None
    assert refusal.cause == "nothing_relevant"
    assert "cup" in refusal.text


def test_a_refusal_names_the_known_question_it_rests_on() -> None:
    asked, question = KnownNeighbour("How heavy is the rotor?", False, 0.93), "What does the rotor weigh?"
    refusal = decide(search_result(question, *EVIDENCE, answerability=0.1, known=asked), question)
    assert refusal is not None
    assert refusal.cause == "known_unanswered"
    assert "“How heavy is the rotor?” was looked up before" in refusal.text


@pytest.mark.parametrize(
    "other", [KnownNeighbour("Which kit?", True, 0.93), KnownNeighbour("How heavy is the rotor?", False, 0.7)]
)
def test_a_known_question_that_says_nothing_is_not_named(other: KnownNeighbour) -> None:
    question = "What does the rotor weigh?"
    refusal = decide(search_result(question, *EVIDENCE, answerability=0.1, known=other), question)
    assert refusal is not None
    assert refusal.cause == "nothing_relevant"


def test_a_question_that_points_at_a_recognised_image_is_tried() -> None:
    question = "What should I do about this?"
    assert decide(search_result(question, *EVIDENCE, labels=SEEN, answerability=0.05), question) is None
    assert decide(search_result(question, *EVIDENCE, answerability=0.05), question) is not None


def test_a_quantity_that_no_passage_states_is_refused_when_in_doubt() -> None:
    question = "What current does the pump P-101 draw?"
    refusal = decide(search_result(question, *EVIDENCE, answerability=0.4), question)
    assert refusal is not None
    assert refusal.cause == "quantity_not_stated"


def test_no_evidence_is_refused() -> None:
    refusal = decide(search_result("Why?"), "Why?")
    assert refusal is not None
    assert refusal.cause == "no_evidence"


def test_a_price_that_no_passage_names_is_refused_however_close_the_passages_are() -> None:
    question = "What does a new pump cost?"
    refusal = decide(search_result(question, *EVIDENCE, answerability=0.95), question)
    assert refusal is not None
    assert refusal.cause == "attribute_not_stated"


def test_what_wear_costs_in_flow_is_no_price() -> None:
    question = "What do worn rings cost in flow?"
    assert (
        decide(search_result(question, "Worn rings cost about 6 % of the flow.", answerability=0.9), question) is None
    )
