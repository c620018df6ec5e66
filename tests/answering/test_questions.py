"""What a question asks for, read from its wording."""

from __future__ import annotations

import pytest

from lineside.answering.questions import question_parts, read_question


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("What causes it and how deep may it be?", ("What causes it", "how deep may it be?")),
        ("Is this all right? Which range is allowed?", ("Is this all right", "Which range is allowed?")),
        ("How much grease, and when?", ("How much grease", "when?")),
        ("P-E31 is shown. What now?", ()),
        ("Which power and speed for 2 mm steel?", ()),
        ("grease quantity roll bearing", ()),
        ("", ()),
    ],
)
def test_a_question_is_taken_apart_where_it_asks_again(text: str, parts: tuple[str, ...]) -> None:
    assert question_parts(text) == parts


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("Why does it leak?", "cause"),
        ("What does E-42 mean?", "meaning"),
        ("How do I change the seal?", "action"),
        ("May I open the valve?", "ruling"),
        ("The belt is off. Is it fine?", "ruling"),
        ("When can I open it?", "condition"),
    ],
)
def test_the_wording_tells_which_statement_answers(text: str, statement: str) -> None:
    assert statement in read_question(text).says


def test_a_word_for_a_quantity_without_a_verb_asks_for_its_value() -> None:
    assert read_question("torque casing bolts").quantity
    assert read_question("torque casing bolts").units == {"torque"}


def test_a_question_about_a_document_is_known() -> None:
    assert read_question("What does this manual cover?").document
    assert not read_question("What does the pump do?").document


def test_a_question_of_two_parts_asks_for_the_values_of_both() -> None:
    kind = read_question("How often is it greased, and how tight are its bolts?")
    assert kind.units == {"time", "torque"}


def test_a_procedure_is_asked_for_beside_a_value() -> None:
    assert read_question("How do I measure the play? How many places?").steps
    assert not read_question("How tight are the bolts?").steps
