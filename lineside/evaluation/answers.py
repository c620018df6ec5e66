"""Puts questions to the application and checks what comes back: evidence, facts, citations, support, abstention."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, Protocol

from lineside.answering.citations import numbers_in
from lineside.answering.pipeline import Answerer, EvidenceFound, Finished
from lineside.answering.support import support
from lineside.documents import Document
from lineside.errors import LinesideError, NotFound
from lineside.evaluation.questions import Question
from lineside.evaluation.sentence_check import is_supported, is_verbatim
from lineside.schema import Answer, AnswerRequest, AnswerSentence, Evidence
from lineside.shards.images import StoredImage

Images = Callable[[Question], bytes | None]
"""The encoded frame that a question comes with; None where it cannot be had."""
EvaluatedMode = Literal["extract", "generate"]


class Knowledge(Protocol):
    """Where citations are looked up, as a person would look them up."""

    def document(self, document_id: str) -> Document: ...

    def image(self, row_id: str) -> StoredImage: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    `rank`: place of the first passage of a gold section among the passages, from 1; None when there is none.
    `unsupported`: sentences that the second check rejects. `evidence_ms`: until the evidence was there.
    """

    question: Question
    answer: Answer
    rank: int | None
    missing_facts: tuple[tuple[str, ...], ...]
    citation_faults: tuple[str, ...]
    unsupported: tuple[str, ...]
    evidence_ms: float

    @property
    def abstained(self) -> bool:
        return self.answer.status == "abstained"


async def evaluate(
    answerer: Answerer,
    knowledge: Knowledge,
    questions: Sequence[Question],
    *,
    images: Images = lambda question: None,
    mode: EvaluatedMode = "extract",
    deadline_ms: int = 30_000,
) -> AsyncGenerator[Outcome]:
    """One outcome a question, in order, one question at a time. A question whose frame cannot be had is left out."""
    for question in questions:
        image = None if question.image_label is None else images(question)
        if question.image_label is None or image is not None:
            yield await _outcome(answerer, knowledge, question, image, mode, deadline_ms)


async def _outcome(
    answerer: Answerer,
    knowledge: Knowledge,
    question: Question,
    image: bytes | None,
    mode: EvaluatedMode,
    deadline_ms: int,
) -> Outcome:
    request = AnswerRequest(question=question.question, family=question.family, mode=mode, deadline_ms=deadline_ms)
    deadline = answerer.deadline(request)
    answer, evidence_ms = None, 0.0
    async with aclosing(answerer.stream(request, image, request_id=question.id, deadline=deadline)) as events:
        async for event in events:
            if isinstance(event, EvidenceFound):
                evidence_ms = deadline.elapsed_ms
            elif isinstance(event, Finished):
                answer = event.answer
    if answer is None:
        raise LinesideError("the pipeline ended without an answer")
    passages = [e for e in answer.evidence if e.kind == "passage"]
    gold = (place for place, e in enumerate(passages, start=1) if any(g.holds(e) for g in question.gold))
    return Outcome(
        question=question,
        answer=answer,
        rank=next(gold, None),
        missing_facts=question.missing_facts(" ".join(s.text for s in answer.sentences)),
        citation_faults=tuple(citation_faults(answer, knowledge)),
        unsupported=tuple(s.text for s in answer.sentences if not stands_on_its_quotes(s, answer.evidence)),
        evidence_ms=evidence_ms,
    )


def stands_on_its_quotes(sentence: AnswerSentence, evidence: Sequence[Evidence]) -> bool:
    """Whether the quotes, not the whole evidence, support a sentence: word for word, or in the eyes of both checks."""
    by_number = {e.n: e for e in evidence}
    cited = [c for c in sentence.citations if c.n in by_number]
    headings = [" . ".join((by_number[c.n].title, *by_number[c.n].section_path)) for c in cited]
    quotes = [c.quote for c in cited]
    if is_verbatim(sentence.text, quotes):
        return True
    return (
        is_supported(sentence.text, quotes, headings)
        and support(sentence.text, *quotes, context=" . ".join(headings)).supported
    )


def citation_faults(answer: Answer, knowledge: Knowledge) -> list[str]:
    """What is wrong with the citations of an answer; empty when every one can be followed to the stored source."""
    by_number = {e.n: e for e in answer.evidence}
    faults = [f"[{n}] names no evidence" for n in numbers_in(answer.text) if n not in by_number and answer.sentences]
    for sentence in answer.sentences:
        for citation in sentence.citations:
            evidence = by_number.get(citation.n)
            if evidence is None or evidence.id != citation.evidence_id:
                faults.append(f"[{citation.n}] names no evidence")
            elif not citation.quote or citation.quote not in evidence.text:
                faults.append(f"[{citation.n}] is not verbatim: {citation.quote!r}")
            elif not _resolves(evidence, knowledge):
                faults.append(f"[{citation.n}] does not lead to the stored text of {evidence.id}")
    return faults


def _resolves(evidence: Evidence, knowledge: Knowledge) -> bool:
    """Whether the evidence is what the release stores: a passage's span of its document, or an image."""
    try:
        if evidence.kind != "passage":
            return bool(knowledge.image(evidence.id).data)
        if evidence.document_id is None:
            return False
        document = knowledge.document(evidence.document_id)
    except NotFound:
        return False
    sections = {section.id for section in document.sections}
    pages = {page.number for page in document.pages}
    return (
        document.text[evidence.start : evidence.end] == evidence.text
        and (evidence.section_id is None or evidence.section_id in sections)
        and (evidence.page is None or evidence.page in pages)
    )
