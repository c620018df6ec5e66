"""Attributes without paraphrase: asked for, they must be named where the answer is taken from."""

from __future__ import annotations

import pytest

from lineside.answering.attributes import unstated

MOTOR = "The main motor has 3.2 MW, a mass of 38 t and air-to-water cooling. Worn rings cost 6 % of the flow."


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("How much does a new motor cost?", "price"),
        ("Is there a discount on the motor?", "discount"),
        ("How long is the warranty of the motor?", "warranty"),
        ("Which company built the motor?", "maker"),
        ("Who supplied the motor?", "maker"),
        ("What is the delivery time of the motor?", "delivery time"),
        ("What is the serial number of the motor?", "serial number"),
        ("In which year was the motor built?", "year of manufacture"),
    ],
)
def test_an_attribute_that_no_passage_names_is_not_stated(question: str, name: str) -> None:
    found = unstated(question, [MOTOR])
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("How much does a new motor cost?", "A motor is bought for EUR 900 000."),
        ("How long is the warranty of the motor?", "The guarantee ends after two years. The warranty covers bearings."),
        ("Which company built the motor?", "The motor was built by the works in Norrbro."),
        ("In which year was the motor built?", "The motor was put into operation in 1998."),
    ],
)
def test_an_attribute_that_a_passage_names_is_stated(question: str, passage: str) -> None:
    assert unstated(question, [MOTOR, passage]) is None


@pytest.mark.parametrize(
    "question",
    ["How heavy is the motor?", "Who may open the converter?", "What do I do when the motor is too hot?", ""],
)
def test_other_questions_are_left_alone(question: str) -> None:
    assert unstated(question, []) is None


def test_where_a_mobile_phone_may_be_used_asks_for_no_number() -> None:
    assert unstated("How far from the gas train may I use a mobile phone?", ["Phones: within 10 m."]) is None
