"""Markers are read, checked and written; what leaves cites evidence that exists, with verbatim quotes."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.answering.citations import (
    MARKER,
    Draft,
    SentenceAssembler,
    attribute,
    draft,
    neutralise,
    numbers_in,
    render,
    strip_markers,
    without_repeats,
)
from lineside.answering.support import SupportIndex
from lineside.schema import Evidence
from tests.answering.support_table import EVIDENCE, SUPPORTED, UNSUPPORTED

INDEX = SupportIndex(
    [
        Evidence(n=n, id=f"p{n}", kind="passage", family="pump", score=1.0, text=text, url=f"/v1/passages/p{n}")
        for n, text in enumerate(EVIDENCE, 1)
    ]
)
STREAM = (
    "Tighten the flange bolts to 45.5 Nm [1]. The code E-452.1 means approx. 5 bar, e.g. at P-101.[2] See fig. 3 for "
    "details. [1][3]\n1. Close V1 [2, 4].\n2. Open V2 … then wait! [9] Is it 3.0 bar? (Yes.) [1"
)


def _assembled(pieces: list[str]) -> list[Draft]:
    assembler = SentenceAssembler()
    found = [d for piece in pieces for d in assembler.feed(piece)]
    return found + assembler.flush()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("[1]", (1,)), ("[1, 3]", (1, 3)), ("[1][2]", (1, 2)), ("[2-4]", (2, 3, 4)), ("[ 7 ; 2 ]", (7, 2)), ("(1)", ()),
     ("[bar]", ()), ("[1", ()), ("a [3] b [3]", (3,))],
)  # fmt: skip
def test_markers_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert numbers_in(text) == numbers


def test_stripping_leaves_clean_text() -> None:
    assert strip_markers("Close V1 [1], then open V2 [2][3] .") == "Close V1, then open V2."


@given(st.text(alphabet="[]0123456789, ab.", max_size=60))
def test_nothing_that_is_stripped_or_neutralised_has_a_marker(text: str) -> None:
    assert not MARKER.search(strip_markers(text))
    assert not MARKER.search(neutralise(text))


def test_the_stream_gives_these_sentences() -> None:
    found = _assembled([STREAM])
    assert [(d.text, d.cited) for d in found] == [
        ("Tighten the flange bolts to 45.5 Nm.", (1,)),
        ("The code E-452.1 means approx. 5 bar, e.g. at P-101.", (2,)),
        ("See fig. 3 for details.", (1, 3)),
        ("Close V1.", (2, 4)),
        ("Open V2 … then wait!", (9,)),
        ("Is it 3.0 bar?", ()),
        ("(Yes.)", ()),
    ]


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_split_of_a_stream_gives_the_same_sentences(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert _assembled([STREAM[a:b] for a, b in itertools.pairwise(places)]) == _assembled([STREAM])


@given(st.text(alphabet="Aa1. \n[]!?-:,E", max_size=40), st.data())
def test_any_split_of_any_text_gives_the_same_sentences(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    places = [0, *sorted(cuts), len(text)]
    assert _assembled([text[a:b] for a, b in itertools.pairwise(places)]) == _assembled([text])


def test_no_text_leaves_before_its_sentence_is_complete() -> None:
    assembler = SentenceAssembler()
    assert assembler.feed("Tighten to 45") == []
    assert assembler.feed(".5 Nm.") == []
    assert assembler.feed(" [1") == []
    assert assembler.feed("] ") == []
    assert assembler.feed("Then") == [Draft("Tighten to 45.5 Nm.", (1,))]


@pytest.mark.parametrize("claim", SUPPORTED)
def test_a_supported_sentence_gets_the_evidence_that_supports_it(claim: str) -> None:
    for cited in ((), (99,), (8, 99)):
        sentence = attribute(Draft(claim, cited), INDEX)
        assert sentence is not None
        for citation in sentence.citations:
            source = INDEX.evidence[citation.n]
            assert citation.quote in source.text
            assert citation.evidence_id == source.id


@pytest.mark.parametrize("claim", UNSUPPORTED)
def test_an_unsupported_sentence_does_not_leave_whatever_it_cites(claim: str) -> None:
    assert attribute(Draft(claim, tuple(range(1, 12))), INDEX) is None


def test_cited_evidence_is_preferred_when_several_say_the_same() -> None:
    texts = ["The limit is 45 bar.", "The limit is 45 bar.", "Other words."]
    index = SupportIndex(
        [Evidence(n=n, id=str(n), kind="passage", family="f", score=1, text=t) for n, t in enumerate(texts, 1)]
    )
    sentence = attribute(Draft("The limit is 45 bar.", (2,)), index)
    assert sentence is not None
    assert [c.n for c in sentence.citations] == [2]


@given(
    st.lists(st.tuples(st.sampled_from(SUPPORTED + UNSUPPORTED), st.lists(st.integers(0, 40), max_size=3)), max_size=6)
)
def test_nothing_that_leaves_cites_what_is_not_in_the_evidence(said: list[tuple[str, list[int]]]) -> None:
    text = " ".join(c + "".join(f"[{n}]" for n in numbers) for c, numbers in said)
    answer = [s for d in _assembled([text]) if (s := attribute(d, INDEX))]
    rendered = render(answer)
    assert {int(n) for n in re.findall(r"\[(\d+)\]", rendered)} <= set(INDEX.evidence)
    assert all(c.quote in INDEX.evidence[c.n].text for s in answer for c in s.citations)


def test_rendering_puts_numbers_after_each_sentence() -> None:
    found = [attribute(Draft(c, ()), INDEX) for c in (SUPPORTED[0], "The maximum pressure is 160 bar.")]
    assert render([s for s in found if s]) == (
        "Tighten the flange bolts to 45 Nm. [1] The maximum pressure is 160 bar. [4]"
    )


def test_repeats_are_merged() -> None:
    sentence = attribute(Draft("The maximum pressure is 160 bar.", ()), INDEX)
    assert sentence is not None
    assert without_repeats([sentence, sentence]) == [sentence]


def test_a_sentence_of_markers_alone_is_none() -> None:
    assert draft("[1] [2].") is None
    assert draft("7.") is None


@pytest.mark.parametrize(
    "text",
    [
        "The answer to the question is: Close V1.",
        "Answer: Close V1.",
        'The correct answer is: "Close V1."',
        "1. Close V1.",
        "According to the text, Close V1.",
    ],
)
def test_a_lead_in_is_taken_off(text: str) -> None:
    found = draft(text)
    assert found is not None
    assert found.text == "Close V1."
