"""Sentences of the evidence in the order of how well they answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lineside.answering.ranking import rank_sentences
from lineside.answering.traits import measures, term_keys, traits
from tests.answering.results import search_result


def test_headings_are_no_sentences() -> None:
    result = search_result("What about the seal?", "Dry seal\nA dry seal is normal.", sections=("Dry seal",))
    assert [r.text for r in rank_sentences(result, "What about the seal?")] == ["A dry seal is normal."]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Why does the seal leak?", "The seal leaks because its flush was closed."),
        ("May I tighten the seal?", "Never tighten the seal."),
        ("When may the seal be changed?", "Change the seal as soon as the casing is drained."),
        ("How do I handle the seal?", "Store the seal flat."),
        ("How hot may the seal get?", "The seal stands 90 °C."),
    ],
)
def test_a_sentence_of_the_kind_asked_for_comes_first(question: str, wanted: str) -> None:
    other = "The seal is grey."
    assert rank_sentences(search_result(question, f"{other} {wanted}"), question)[0].text == wanted


def test_the_heading_counts_as_context() -> None:
    question = "Which grease for the coupling?"
    result = search_result(question, "Use grease A.", "Use grease B.", sections=("Bearing", "Coupling"))
    assert rank_sentences(result, question)[0].text == "Use grease B."


def test_a_report_is_no_rule_unless_an_event_is_asked_for() -> None:
    texts = ("Bolts were at 90 Nm.", "Bolts take 85 Nm.")
    result = search_result("Torque of the bolts?", *texts)
    reports = (result.evidence[0].model_copy(update={"document_kind": "incident"}), result.evidence[1])
    result = type(result)(7, reports, result.sentences, (), result.signals, {})
    assert rank_sentences(result, "Torque of the bolts?")[0].text == texts[1]
    assert rank_sentences(result, "What was the torque of the bolts?")[0].text == texts[0]


def test_words_are_compared_by_their_stems_and_codes_without_their_joints() -> None:
    assert term_keys("Replacing E-452 at the pumps") == term_keys("replaced E452 at a pump")
    assert "#p102" in term_keys("pumps P-101 to P-104")


def test_quantities_are_told_by_what_they_measure() -> None:
    assert measures("Tighten to 85 Nm within 5 min.") == {"torque", "time"}
    assert measures("Force (kN): 12; Name: pump") == {"force"}


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("Code: E1; Meaning: stop", "row"),
        ("3. Close the valve.", "step"),
        ("- Close the valve.", "step"),
        ("It must be closed.", "backward"),
        ("Do this first:", "lead_in"),
        ("Pump with seal and bearings", "caption"),
        ("This manual describes the pump.", "about_document"),
    ],
)
def test_a_sentence_shows_its_form(text: str, flag: str) -> None:
    assert getattr(traits(text), flag)
    assert not getattr(traits("The valve VX-7 is closed by hand."), flag)


def test_what_follows_the_best_passage_in_its_section_counts_almost_as_it_does() -> None:
    question = "How is the seal fitted?"
    texts = ("The seal is fitted dry.", "Fit it with care.", "It is fitted in the shop.")
    together = search_result(question, *texts, sections=("Seal", "Other", "Seal"))
    apart = search_result(question, *texts, sections=("Seal", "Other", "Third"))
    scores = [{r.evidence: r.score for r in rank_sentences(result, question)} for result in (together, apart)]
    assert scores[0][3] > scores[1][3]


def test_a_letter_names_a_class_as_a_code_names_a_fault() -> None:
    assert "#b" in term_keys("seams of class B")
    assert "#b" in term_keys("Class: B; Decision: release")
    assert not {key for key in term_keys("a current of 5 A") if key == "#a"}


@pytest.mark.parametrize("question", ["What does M106 do?", "What does M106 mean?", "What is command M106?"])
def test_what_a_code_is_stands_in_its_own_row(question: str) -> None:
    row, other = (
        "Codes: M106; Brief: Turn on fan and set speed",
        "Examples: Pre: Restore the previous speed; Code: M106",
    )
    result = search_result(question, f"{row}\n{other}")
    scored = tuple(replace(s, dense=s.dense - 0.4 * (s.start == 0)) for s in result.sentences)
    found = rank_sentences(replace(result, sentences=scored), question)
    assert [r.text for r in found] == [row, other]


def test_a_row_that_only_uses_a_code_does_not_define_it() -> None:
    assert traits("Codes: M106, M107; Brief: Fans").named == {"#m106", "#m107"}
    assert not traits("Examples: Pre: Turn on the fan; Code: M106").named
    assert not traits("Set with M106: yes; Speed: 200").named


def test_a_question_about_more_than_the_code_is_answered_from_anywhere() -> None:
    question = "At which speed does M106 run the fan with no speed given?"
    wanted = "M106 with no speed given runs the fan at full speed."
    result = search_result(question, f"Codes: M106; Brief: Turn on fan\n{wanted}")
    assert rank_sentences(result, question)[0].text == wanted
