"""What a question is about: its content, events, and identifiers that a range implies."""

from __future__ import annotations

import pytest

from lineside.analysis import identifiers_between, terms
from lineside.search.lexical_index import LexicalIndex
from lineside.search.question import (
    QuestionTerms,
    asked_things,
    asks_about_event,
    content_terms,
    neighbours,
    question_terms,
)
from lineside.search.settings import LexicalSettings
from lineside.shards.lexical import build_postings


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
        ("G54-G59.3", ["g55", "g56", "g57", "g58"]),
        ("E1 - E4", ["e2", "e3"]),
        ("4-20 mA", []),
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


ROWS = [
    ("Error codes", "W1-E408: the laser window is dirty."),
    ("4.2 Guards", "Fixed guards need a tool to be opened."),
    ("Hotend", "M104 sets the temperature of the hotend."),
    ("Bearings", "Grease the bearing of W1 every 4 weeks or 2 months."),
]


def asked(question: str) -> tuple[QuestionTerms, LexicalIndex]:
    index = LexicalIndex([build_postings(ROWS, [])], LexicalSettings())
    return question_terms(question, "", [], index, (0, len(ROWS)), LexicalSettings()), index


def names(question: str) -> set[str]:
    found, index = asked(question)
    return {index.terms[t] for t in found.identifiers}


@pytest.mark.parametrize(
    ("question", "identifiers"),
    [
        ("What does M104 do?", {"#m104"}),
        ("E408?", {"#e408"}),
        ("W1-E408?", {"#w1e408"}),
        ("W1/M104", {"#w1", "#m104"}),
        ("What does rule 4.2 say?", {"4.2"}),
        ("at 4.2 bar", set()),
    ],
)
def test_identifiers_of_a_question_are_found_whole_or_in_parts(question: str, identifiers: set[str]) -> None:
    assert names(question) == identifiers


def test_an_identifier_that_occurs_nowhere_is_missing_whole() -> None:
    found, _ = asked("What does Q7-E999 do?")
    assert found.missing_identifiers == ("q7e999",)
    assert found.identifier_share == 0


def test_an_unknown_code_of_a_known_machine_is_missing() -> None:
    found, index = asked("What does W1-E999 do?")
    assert found.missing_identifiers == ("w1e999",)
    assert {index.terms[t] for t in found.identifiers} == {"#w1"}


def test_the_share_of_identifiers_tells_how_much_of_a_question_they_are() -> None:
    assert asked("What does M104 do?")[0].identifier_share == 1
    assert 0 < asked("M104 temperature")[0].identifier_share < 1
    assert asked("Which temperature has the hotend?")[0].identifier_share == 0


def test_words_that_are_only_told_are_not_unknown_to_the_question() -> None:
    told, _ = asked("We send Miller inside tomorrow. How often is the bearing greased?")
    plain, _ = asked("How often is the bearing greased?")
    assert told.unknown == plain.unknown
    assert told.idf_total == pytest.approx(plain.idf_total)


@pytest.mark.parametrize(
    "question", ["Tell me about Miller.", "Is Miller inside?", "The bearing of W1 is hot. Is Miller inside?"]
)
def test_words_that_are_asked_about_are(question: str) -> None:
    assert "miller" in asked(question)[0].unknown


def test_codes_that_are_told_count() -> None:
    assert asked("The panel says W1-E999. What now?")[0].missing_identifiers == ("w1e999",)


@pytest.mark.parametrize(
    ("question", "things"),
    [
        ("Which grinding wheel does the shop use?", {"grind", "wheel"}),
        ("What kind of resin is in the softener?", {"resin"}),
        ("What is the burst pressure of the tank?", {"burst", "pressur"}),
        ("How tight are the bolts?", set()),
        ("How much oil is in the gearbox, and what is the absolute maximum?", set()),
    ],
)
def test_a_question_may_name_the_thing_it_asks_for(question: str, things: set[str]) -> None:
    assert asked_things(question) == things


def test_words_side_by_side_are_neighbours_but_not_across_small_words_or_stops() -> None:
    found = neighbours("What is the burst pressure of the oil tank? Pump stands.")
    assert found == [("burst", "pressur"), ("oil", "tank"), ("pump", "stand")]
