"""What a question is about: its content, events, and identifiers that a range implies."""

from __future__ import annotations

import pytest

from lineside.analysis import identifiers_between, terms
from lineside.search.question import asks_about_event, content_terms


def test_the_frame_of_a_question_is_not_its_content() -> None:
    assert content_terms("How much torque do I need for the flange bolts?") == terms("torque flange bolts")


def test_a_question_of_nothing_but_frame_keeps_its_terms() -> None:
    assert content_terms("What do I do next?") == terms("What do I do next?")


@pytest.mark.parametrize(
    "question",
    [
        "What happened at CV-2?",
        "Why did M4 shake in May?",
        "What was behind the break?",
        "Bearing went hot in February.",
    ],
)
def test_a_question_about_the_past_asks_about_an_event(question: str) -> None:
    assert asks_about_event(question)


@pytest.mark.parametrize("question", ["How hot may the bearing get?", "What do I do about a leak?", "Torque of M36?"])
def test_a_question_about_what_is_right_does_not(question: str) -> None:
    assert not asks_about_event(question)


@pytest.mark.parametrize(
    ("text", "implied"),
    [
        ("the motors M1 to M4", ["m2", "m3"]),
        ("P-101 through P-104", ["p102", "p103"]),
        ("burners BRN-08..11", ["brn09", "brn10"]),
        ("S1 … S3", ["s2"]),
        ("M4 to M1", []),
        ("10 to 20 bar", []),
        ("M1 and M4", []),
        ("A1 to A999", []),
        ("from M1 to GB4", []),
    ],
)
def test_a_range_of_identifiers_implies_its_members(text: str, implied: list[str]) -> None:
    assert identifiers_between(text) == implied
    assert {"#" + name for name in implied} <= set(terms(text))
