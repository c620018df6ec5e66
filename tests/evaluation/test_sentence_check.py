"""The second opinion on support: what quotes say passes, what they do not say does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.evaluation.sentence_check import is_supported, is_verbatim

QUOTE = "The bearing BRG-23160 of the motor must not exceed 95 °C, at a flow of 700 m³/h."


@pytest.mark.parametrize(
    "sentence",
    [
        QUOTE,
        "the bearing  brg-23160 of the motor must not exceed 95 °C",
        "The bearing BRG-23160 must not exceed 95 °C.",
        "The motor bearing must not exceed 95°C.",
    ],
)
def test_what_the_quote_says_is_supported(sentence: str) -> None:
    assert is_supported(sentence, [QUOTE])


@pytest.mark.parametrize(
    "sentence",
    [
        "The bearing BRG-23160 must not exceed 96 °C.",
        "The bearing BRG-23160 must not exceed 95 bar.",
        "The bearing BRG-23161 must not exceed 95 °C.",
        "The bearing BRG-23160 must exceed 95 °C.",
        "The gearbox and its coupling must not exceed 95 °C.",
        "The flow must not exceed 70 m³/h.",
        "",
        "It is so.",
    ],
)
def test_what_the_quote_does_not_say_is_not_supported(sentence: str) -> None:
    assert not is_supported(sentence, [QUOTE])


def test_nothing_is_supported_without_a_quote() -> None:
    assert not is_supported(QUOTE, [])
    assert not is_verbatim(QUOTE, [])


def test_a_heading_may_name_what_the_quote_is_about_but_not_its_facts() -> None:
    assert is_supported("Pump P-7: tighten to 47 Nm.", ["Tighten to 47 Nm."], ["Pump P-7"])
    assert not is_supported("Pump P-7: tighten the bolts to 48 Nm.", ["Tighten the bolts to 47 Nm."], ["Pump P-7"])


def test_grouped_digits_are_one_number() -> None:
    assert is_supported("Tighten the clamp to 2 600 Nm.", ["Tighten the clamp to 2\u202f600 Nm, then wait."])
    assert not is_supported("Tighten the clamp bolts to 600 Nm.", ["The clamp bolts: tighten to 2 600 Nm."])


@given(st.text(min_size=1).filter(lambda text: any(c.isalnum() for c in text.rstrip(". "))))
def test_every_text_is_verbatim_in_itself(text: str) -> None:
    assert is_verbatim(text, [text])
