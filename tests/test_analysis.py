"""Terms, identifiers and sentences: what indexing, search and checking agree on."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.analysis import (
    STOP_WORDS,
    canonical_identifier,
    identifier_parts,
    identifiers,
    indexed_terms,
    is_identifier,
    referenced_numbers,
    sentences,
    terms,
    terms_beside_identifiers,
)

PROSE = st.text(alphabet="Aae.g!?…)\"'](1 2\n\t\u00a0-", max_size=80)


def _sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Error E-452 on P-101.", ["e452", "p101"]),
        ("rule V.1.2.3 and M104", ["v1.2.3", "m104"]),
        ("seal kit HX-200/A", ["hx200a"]),
        ("g-code G38.2", ["g38.2"]),
        ("version 1.2.3", ["1.2.3"]),
        ("the pump runs at 45 bar, 3.5 mm", []),
        ("4-20 is a range", []),
        ("", []),
    ],
)
def test_identifiers_are_found_and_words_and_numbers_are_not(text: str, found: list[str]) -> None:
    assert identifiers(text) == found


@pytest.mark.parametrize("written", ["E-452", "e452", "E‑452", "E–452", "Ｅ-４５２", "E/452"])
def test_an_identifier_is_the_same_however_it_is_written(written: str) -> None:
    assert identifiers(written) == ["e452"]


def test_dots_between_digits_keep_identifiers_apart() -> None:
    assert canonical_identifier("g38.2") != canonical_identifier("g382")
    assert canonical_identifier("v.1.2") == "v1.2"


def test_two_dots_make_a_number_an_identifier_and_one_does_not() -> None:
    assert is_identifier("1.2.3")
    assert not is_identifier("1.2")


def test_terms_hold_stemmed_words_numbers_and_whole_identifiers() -> None:
    assert terms("Replacing the bearings of E-452") == ["replac", "bear", "#e452", "e", "452"]


def test_stop_words_are_left_out() -> None:
    assert terms(" ".join(sorted(STOP_WORDS))) == []


def test_a_number_with_a_point_is_a_term_beside_its_digits() -> None:
    assert terms("0.6 bar") == ["0.6", "0", "6", "bar"]
    assert terms("rule 4.12.3") == ["rule", "#4.12.3", "4", "12", "3"]


def test_a_text_is_found_by_the_parts_of_a_compound_identifier_that_a_question_does_not_ask_for() -> None:
    assert {"#w1e408", "#w1", "#e408"} <= set(indexed_terms("W1-E408"))
    assert {t for t in terms("W1-E408") if t.startswith("#")} == {"#w1e408"}
    assert identifier_parts("See W1-E408.", "w1e408") == ["w1", "e408"]


@pytest.mark.parametrize("name", ["E-452", "HX-200/A", "M104", "1.2.3"])
def test_what_is_one_identifier_has_no_parts(name: str) -> None:
    assert indexed_terms(name) == terms(name)


def test_terms_beside_identifiers_leave_their_letters_and_digits_out() -> None:
    assert terms_beside_identifiers("E-452 at 452 rpm, bearing E") == {"452", "rpm", "bear", "e"}
    assert terms_beside_identifiers("What does M104 do?") == set()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("What does Rule 4.2 say?", ["4.2"]),
        ("§ 12 and §13", ["12", "13"]),
        ("clauses 7", ["7"]),
        ("section 1.2.3", []),
        ("at 4.2 bar in step 3", []),
        ("article 5-A", []),
    ],
)
def test_a_number_after_a_word_for_a_rule_names_it(text: str, numbers: list[str]) -> None:
    assert referenced_numbers(text) == numbers


@given(st.text(max_size=80))
def test_whatever_is_asked_for_is_indexed(text: str) -> None:
    assert set(terms(text)) <= set(indexed_terms(text))


@given(st.text(st.characters(max_codepoint=126), max_size=60))
def test_case_makes_no_difference(text: str) -> None:
    assert terms(text.upper()) == terms(text.lower())


@given(st.text(max_size=60))
def test_no_text_has_an_empty_term(text: str) -> None:
    assert all(terms(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Close V1. Open V2.", ["Close V1.", "Open V2."]),
        ("Use approx. 5 bar, e.g. at P-101. Wait.", ["Use approx. 5 bar, e.g. at P-101.", "Wait."]),
        ("Tighten to 45.5 Nm. Then stop!", ["Tighten to 45.5 Nm.", "Then stop!"]),
        ("1. Close the valve.\n2. Open it.", ["1. Close the valve.", "2. Open it."]),
        ("Is it hot? (Yes.) Stop it.", ["Is it hot?", "(Yes.)", "Stop it."]),
        ("Grease it every 2000 h. Wipe it.", ["Grease it every 2000 h.", "Wipe it."]),
        ("At 24 V. Then 5 A! Stop.", ["At 24 V.", "Then 5 A!", "Stop."]),
        ("Heading\nText below", ["Heading", "Text below"]),
        ("Wait ... then go.", ["Wait ... then go."]),
        ("See fig. 3 of J. Smith.", ["See fig. 3 of J. Smith."]),
        (" \n . \n", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, found: list[str]) -> None:
    assert _sentences(text) == found


@given(PROSE)
def test_sentence_spans_are_ordered_apart_and_without_white_space_at_their_ends(text: str) -> None:
    end = 0
    for span in sentences(text):
        assert end <= span.start < span.end <= len(text)
        assert text[span.start : span.end] == text[span.start : span.end].strip()
        end = span.end


@given(PROSE)
def test_every_letter_and_digit_is_in_a_sentence(text: str) -> None:
    inside = {i for span in sentences(text) for i in range(span.start, span.end)}
    assert {i for i, c in enumerate(text) if c.isalnum()} <= inside


@pytest.mark.parametrize(
    "text",
    ["." * 100_000, "e.g. " * 20_000, "go on. " * 20_000, "Go on. " * 20_000, "?!)" * 30_000],
    ids=lambda t: t[:6],
)
def test_long_texts_cost_in_proportion_to_their_length(text: str) -> None:
    started = time.process_time()
    sentences(text)
    assert time.process_time() - started < 3  # a quadratic way takes minutes on the first, 10 s on the others
