"""Evaluation of one answer: citations are followed to the stored text, and faults are found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lineside.answering.pipeline import Answerer
from lineside.answering.stages import QuestionVectors, Stages
from lineside.documents import Document, Section
from lineside.errors import NotFound
from lineside.evaluation.answers import Outcome, citation_faults, evaluate, stands_on_its_quotes
from lineside.evaluation.questions import Question
from lineside.schema import Answer, AnswerSentence, Citation, Evidence
from lineside.search.contract import ScoredSentence, SearchQuery, SearchResult, Signals
from lineside.shards.images import StoredImage

TEXT = "Rinse pump\n\nLimits\nThe bearing may reach 82 °C.\n\nCoupling\nThe bolts get 47 Nm."
DOCUMENT = Document(
    id="d1",
    title="Rinse pump",
    version="0" * 12,
    family="pump",
    source="pump/manual.md",
    text=TEXT,
    sections=(
        Section(id="s1", title="Limits", level=2, path=("Rinse pump", "Limits"), start=12, end=49),
        Section(id="s2", title="Coupling", level=2, path=("Rinse pump", "Coupling"), start=49, end=len(TEXT)),
    ),
)


class Stored:
    """One document and no images."""

    def document(self, document_id: str) -> Document:
        if document_id != DOCUMENT.id:
            raise NotFound(document_id)
        return DOCUMENT

    def image(self, row_id: str) -> StoredImage:
        raise NotFound(row_id)


def evidence(n: int, quote: str, section: Section, **changes: Any) -> Evidence:
    start = TEXT.index(quote)
    fields: dict[str, Any] = {
        "n": n,
        "id": f"p{n}",
        "kind": "passage",
        "family": "pump",
        "score": 1.0 / n,
        "text": quote,
        "document_id": "d1",
        "source": "pump/manual.md",
        "title": "Rinse pump",
        "section_id": section.id,
        "section_path": section.path,
        "start": start,
        "end": start + len(quote),
    }
    return Evidence(**(fields | changes))


FOUND = (
    evidence(1, "The bolts get 47 Nm.", DOCUMENT.sections[1]),
    evidence(2, "The bearing may reach 82 °C.", DOCUMENT.sections[0]),
)


def answer(*sentences: AnswerSentence, found: tuple[Evidence, ...] = FOUND, text: str | None = None) -> Answer:
    return Answer(
        request_id="r",
        release=1,
        mode="extractive",
        status="complete",
        text=text if text is not None else " ".join(s.text for s in sentences),
        sentences=sentences,
        evidence=found,
        stages_ms={},
        deadline_ms=1000,
        elapsed_ms=1.0,
    )


def sentence(text: str, quote: str | None = None, n: int = 1, evidence_id: str | None = None) -> AnswerSentence:
    citation = Citation(n=n, evidence_id=evidence_id or f"p{n}", quote=text if quote is None else quote, support=1.0)
    return AnswerSentence(text=text, citations=(citation,))


def test_a_verbatim_citation_of_stored_text_has_no_fault() -> None:
    assert citation_faults(answer(sentence("The bolts get 47 Nm.")), Stored()) == []


@pytest.mark.parametrize(
    ("faulty", "fault"),
    [
        (answer(sentence("The bolts get 47 Nm.", n=3)), "names no evidence"),
        (answer(sentence("The bolts get 47 Nm.", evidence_id="p9")), "names no evidence"),
        (answer(sentence("The bolts get 48 Nm.")), "not verbatim"),
        (answer(sentence("The bolts get 47 Nm.", quote="")), "not verbatim"),
        (answer(sentence("The bolts get 47 Nm."), text="The bolts get 47 Nm. [7]"), "[7] names no evidence"),
    ],
)
def test_a_faulty_citation_is_found(faulty: Answer, fault: str) -> None:
    assert any(fault in found for found in citation_faults(faulty, Stored()))


@pytest.mark.parametrize(
    "changes", [{"start": 0, "end": 20}, {"document_id": "d2"}, {"section_id": "s9"}, {"page": 4}, {"kind": "figure"}]
)
def test_evidence_that_does_not_lead_to_the_stored_text_is_found(changes: dict[str, Any]) -> None:
    moved = FOUND[0].model_copy(update=changes)
    faults = citation_faults(answer(sentence("The bolts get 47 Nm."), found=(moved,)), Stored())
    assert any("does not lead to the stored text" in fault for fault in faults)


def test_a_sentence_stands_on_its_quotes_not_on_other_evidence() -> None:
    assert stands_on_its_quotes(sentence("The bolts get 47 Nm."), FOUND)
    assert not stands_on_its_quotes(sentence("The bearing may reach 82 °C.", quote="The bolts get 47 Nm."), FOUND)


def outcomes(
    questions: list[Question], images: Callable[[Question], bytes | None], answerability: float
) -> list[Outcome]:
    """Runs the real pipeline over a search that always finds the same evidence."""

    async def encode_text(text: str) -> QuestionVectors:
        return QuestionVectors(np.ones(1, np.float32), None)

    async def encode_image(data: bytes) -> np.ndarray[Any, Any]:
        return np.ones(1, np.float32)

    async def search(query: SearchQuery) -> SearchResult:
        scored = tuple(ScoredSentence(e.n, 0, len(e.text), 1.0 / e.n, 0.5, 0.5) for e in FOUND)
        signals = Signals(0.9, 0.9, (), (), answerability)
        return SearchResult(1, FOUND, scored, (), signals, {"dense": 1.0})

    async def run() -> list[Outcome]:
        answerer = Answerer(Stages(encode_text, encode_image, search))
        return [o async for o in evaluate(answerer, Stored(), questions, images=images)]

    return asyncio.run(run())


def asked(**changes: Any) -> Question:
    fields: dict[str, Any] = {
        "id": "q1",
        "question": "How hot may the bearing get?",
        "answerable": True,
        "gold": [{"document": "pump/manual.md", "section": "Limits"}],
        "facts": [["82 °C"], ["trips"]],
    }
    return Question(**(fields | changes))


def test_an_outcome_tells_rank_facts_citations_and_times() -> None:
    (outcome,) = outcomes([asked()], lambda question: None, answerability=1.0)
    assert outcome.rank == 2
    assert outcome.missing_facts == (("trips",),)
    assert outcome.citation_faults == ()
    assert outcome.unsupported == ()
    assert not outcome.abstained
    assert 0 < outcome.evidence_ms <= outcome.answer.elapsed_ms


def test_an_abstention_is_seen_and_its_evidence_still_counts() -> None:
    (outcome,) = outcomes([asked()], lambda question: None, answerability=0.0)
    assert outcome.abstained
    assert outcome.rank == 2


def test_a_question_whose_frame_cannot_be_had_is_left_out() -> None:
    with_image = asked(id="q2", image_label="seal-leak")
    assert len(outcomes([asked(), with_image], lambda question: None, 1.0)) == 1
    assert len(outcomes([asked(), with_image], lambda question: b"image", 1.0)) == 2
