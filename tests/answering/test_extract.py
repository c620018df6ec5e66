"""The extractive answer: verbatim, cited, short, and about what was asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lineside.answering.extract import ExtractSettings, complement, extract
from lineside.answering.selection import SelectionSettings
from lineside.schema import AnswerSentence, Citation, LabelVote
from tests.answering.results import search_result
from tests.answering.support_table import EVIDENCE

STEPS = (
    "Replacing the seal:\n1. Switch the pump off and lock the drive.\n2. Close the valves V1 and V2.\n"
    "3. Drain the casing.\n4. Pull the seal with the puller PL-2."
)


def _texts(answer: list[AnswerSentence]) -> list[str]:
    return [s.text for s in answer]


def test_a_question_for_a_torque_gets_the_sentence_with_a_torque() -> None:
    question = "How tight do the casing bolts have to be?"
    text = "The casing bolts are checked for rust. They hold the casing halves. The casing bolts take 85 Nm."
    assert "The casing bolts take 85 Nm." in _texts(extract(search_result(question, text), question))


def test_a_question_for_an_interval_gets_the_interval() -> None:
    question = "How often is the coupling of the pump greased?"
    text = "The coupling of the pump is greased with GRE-KP0. The coupling is greased every 500 hours."
    assert "The coupling is greased every 500 hours." in _texts(extract(search_result(question, text), question))


def test_a_question_for_a_code_gets_its_row() -> None:
    question = "What does P-E21 mean?"
    rows = (
        "Code: P-E20; Meaning: Low flow; Action: Open V1\nCode: P-E21; Meaning: Hot bearing; Action: Check the grease"
    )
    answer = extract(search_result(question, "An error means a stop.", rows), question)
    assert answer[0].text.startswith("Code: P-E21")


def test_a_question_for_a_cause_gets_the_cause() -> None:
    question = "Why does the pump P-101 rattle?"
    text = "Symptom: The pump P-101 rattled.\nTime: Monday.\nCause: The foundation bolts had come loose."
    assert "Cause: The foundation bolts had come loose." in _texts(extract(search_result(question, text), question))


def test_steps_stay_together_and_in_order() -> None:
    question = "How do I replace the seal?"
    answer = _texts(extract(search_result(question, "A seal is a wear part.", STEPS), question))
    steps = [t for t in answer if t[0].isdigit()]
    assert [t[0] for t in steps] == ["1", "2", "3", "4"]


def test_steps_are_joined_over_the_passages_of_their_section() -> None:
    question = "How do I drain the casing and pull the seal?"
    first, second = STEPS.split("\n3.")
    result = search_result(question, "3." + second, first, sections=("Seal", "Seal"))
    moved = [e.model_copy(update={"start": {1: 500, 2: 100}[e.n], "end": 900}) for e in result.evidence]
    result = type(result)(7, tuple(moved), result.sentences, (), result.signals, {})
    assert [t[0] for t in _texts(extract(result, question))[:4]] == ["1", "2", "3", "4"]


def test_a_sentence_that_points_back_brings_what_it_points_to() -> None:
    question = "What must happen to a cracked casing?"
    text = "The casing is cast. A crack runs along the flange. It must be welded when the casing is cracked."
    answer = _texts(
        extract(search_result(question, text), question, ExtractSettings(selection=SelectionSettings(max_sentences=2)))
    )
    assert answer.index("A crack runs along the flange.") + 1 == [t.startswith("It must") for t in answer].index(True)


def test_the_same_sentence_in_two_passages_is_given_once() -> None:
    question = "What is the limit of the pressure?"
    sentence = "The limit of the pressure is 16 bar."
    answer = _texts(extract(search_result(question, sentence, sentence + " More text stands here."), question))
    assert answer.count(sentence) == 1


def test_what_the_image_shows_counts_as_asked() -> None:
    question = "What should I do about this?"
    vote = LabelVote(label="seal-leak", caption="water runs from a leaking seal", share=0.9, similarity=0.9)
    texts = (
        "A dry seal needs no action, so do nothing.",
        "When the seal is leaking, change the cartridge within one day.",
    )
    result = search_result(question, *texts, sections=("Dry seal", "Leaking seal"), labels=(vote,))
    assert extract(result, question)[0].citations[0].n == 2


def test_a_whole_procedure_is_given_where_it_fits() -> None:
    question = "How do I replace the seal?"
    long = (
        "A seal is a wear part. " * 12
        + "\nReplacing the seal:\n"
        + "\n".join(
            f"{n}. Loosen the screw number {n} of the seal and put the screw aside on the bench." for n in range(1, 10)
        )
    )
    answer = _texts(extract(search_result(question, long), question))
    assert [t[0] for t in answer if t[0].isdigit()] == list("123456789")


def test_the_best_sentences_come_before_the_rest_of_a_procedure() -> None:
    question = "How do I replace the seal PN-88?"
    answer = _texts(extract(search_result(question, "The seal has the part number PN-88.", STEPS), question))
    assert "The seal has the part number PN-88." in answer


def test_two_rules_that_differ_in_their_figures_are_two_statements() -> None:
    question = "What do I do with the zones in a delay of 40 minutes?"
    rules = (
        "For a delay of more than 60 minutes lower the zones by 150 °C.",
        "For a delay of 15 to 60 minutes lower the zones by 60 °C.",
    )
    assert set(rules) <= set(_texts(extract(search_result(question, " ".join(rules)), question)))


def test_what_a_document_is_about_is_no_answer() -> None:
    question = "What does the pump P-101 do?"
    about = "This manual describes the pump P-101 and what it does."
    answer = _texts(extract(search_result(question, f"{about} The pump P-101 cools the rolls of stand S1."), question))
    assert answer[0] == "The pump P-101 cools the rolls of stand S1."


def test_both_parts_of_a_question_are_answered() -> None:
    question = "How tight are the casing bolts of the pump, and which grease does the coupling get?"
    texts = (
        "The casing bolts of the pump are tight at 85 Nm. The casing bolts of the pump are checked for tight fit. "
        "The casing bolts of the pump are oiled before they are tight.",
        "The coupling gets grease GRE-KP0.",
    )
    answer = _texts(extract(search_result(question, *texts), question))
    assert {"The casing bolts of the pump are tight at 85 Nm.", "The coupling gets grease GRE-KP0."} <= set(answer)


def _generated(text: str) -> AnswerSentence:
    return AnswerSentence(text=text, citations=(Citation(n=1, evidence_id="p1", quote=text, support=1.0),))


def test_each_thing_that_a_question_names_gets_its_row() -> None:
    question = "What tension is allowed for class B and for class C seams?"
    rows = "Class: A; Decision: full tension\nClass: B; Decision: 80 % of it\nClass: C; Decision: 60 % of it"
    text = "The leader decides whether a seam of class B or class C may run at less tension. Seams have no holes."
    answer = _texts(extract(search_result(question, text, rows), question))
    assert {"Class: B; Decision: 80 % of it", "Class: C; Decision: 60 % of it"} <= set(answer)


def test_an_instruction_of_running_text_brings_the_ones_beside_it() -> None:
    question = "How do I measure the play of the teeth?"
    text = (
        "The play of the teeth lets them hammer. Block the output shaft and put a dial gauge to the wheel. "
        "Measure the play of the teeth at four places. The wheel is of steel."
    )
    answer = _texts(extract(search_result(question, text), question))
    assert "Block the output shaft and put a dial gauge to the wheel." in answer


def test_the_second_best_sentence_is_given_before_neighbours_of_the_best() -> None:
    question = "Why was the coil with the soft core wound without tension?"
    first = (
        "The coil is wound with tension because a soft core collapses. Strip is thin. Rolls hold the tail. "
        "The motor turns the mandrel."
    )
    second = "Cause: The coil with the soft core was wound without tension since an update had reset it."
    tight = ExtractSettings(selection=SelectionSettings(max_words=40))
    assert second in _texts(extract(search_result(question, first, second), question, tight))


def test_a_generated_answer_beside_the_point_is_completed_by_the_best_sentence() -> None:
    question = "How tight do the casing bolts have to be?"
    result = search_result(question, "The casing bolts hold both halves of the casing. The casing bolts take 85 Nm.")
    quoted = "The casing bolts take 85 Nm."
    beside = _generated("The casing bolts hold both halves of the casing.")
    assert quoted in _texts(complement([beside], result, question))
    assert quoted not in _texts(complement([_generated("Bolts of the casing take 85 Nm.")], result, question))


def test_a_generated_answer_without_the_figure_has_not_said_it() -> None:
    question = "How tight do the casing bolts have to be?"
    result = search_result(question, "The casing bolts of the pump P-101 take 85 Nm.")
    vague = _generated("The casing bolts of the pump P-101 take torque.")
    assert len(complement([vague], result, question)) == 1


def test_without_evidence_there_is_no_answer() -> None:
    assert extract(search_result("Why?"), "Why?") == []


@given(
    st.lists(st.sampled_from((*EVIDENCE, STEPS)), min_size=1, max_size=6, unique=True),
    st.sampled_from(
        ["How tight?", "How do I replace the seal?", "Why is E-452 shown?", "What is the maximum pressure?"]
    ),
    st.integers(20, 90),
)
def test_every_answer_is_verbatim_cited_and_short(texts: list[str], question: str, max_words: int) -> None:
    result = search_result(question, *texts)
    bounds = SelectionSettings(max_words=max_words, max_procedure_words=max_words + 20)
    answer = extract(result, question, ExtractSettings(selection=bounds))
    assert answer
    sources = {e.n: e.text for e in result.evidence}
    for sentence in answer:
        (citation,) = sentence.citations
        assert citation.quote in sources[citation.n]
        assert sentence.text == " ".join(citation.quote.split())
    assert len(answer) == 1 or sum(len(s.text.split()) for s in answer) <= max_words + 20
