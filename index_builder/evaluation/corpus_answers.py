"""Answers to the questions of a judged corpus: what they cite, how near they are to the gold answers, what they abstain
from. A corpus has gold documents and, in `metadata.answer`, gold answers, instead of the sections and facts of a
question set."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from index_builder.evaluation.beir import FAMILY, JudgedSet, Query
from index_builder.evaluation.corpus_shard import Report, write_corpus
from index_builder.evaluation.vector_cache import VectorCache
from lineside.encoders import TextEncoder
from lineside.evaluation.answer_overlap import Overlap, overlap
from lineside.evaluation.answers import citation_faults, stands_on_its_quotes
from lineside.evaluation.sentence_check import is_verbatim
from lineside.generation import Generator
from lineside.local import LocalApplication
from lineside.releases import Catalogue
from lineside.schema import MAX_QUESTION_CHARS, Answer, AnswerRequest

AnswerMode = Literal["extract", "generate", "auto"]
FIRST = 5


@dataclass(frozen=True, slots=True)
class CorpusOutcome:
    """What became of one question. `rank`: place of the first passage of a gold document, from 1."""

    query: Query
    answer: Answer
    rank: int | None
    cites_gold: bool
    supported: int
    verbatim: int
    citation_faults: tuple[str, ...]

    @property
    def abstained(self) -> bool:
        return self.answer.status == "abstained"

    @property
    def overlap(self) -> Overlap | None:
        """With the gold answer; None where the set has none. An abstention shares nothing with it."""
        if self.query.answer is None:
            return None
        return overlap(" ".join(s.text for s in self.answer.sentences), self.query.answer)


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AnswersReport(_Figures):
    """What `lineside eval answers --dataset` prints; shares are in [0, 1] and None where nothing was to be counted.

    An abstention cites nothing and has F1 0: it counts against the answers. `answered_*` leave abstentions out.
    """

    dataset: str
    mode: AnswerMode
    documents: int
    questions: int
    with_gold_answer: int
    abstained: float
    gold_in_first_five: float
    cites_gold: float
    answered_cites_gold: float | None
    token_f1: float | None
    token_recall: float | None
    token_precision: float | None
    answered_token_f1: float | None
    sentences: int
    sentences_supported: float | None
    sentences_verbatim: float | None
    citations_valid: float | None = Field(description="answers whose citations all lead to the stored text")
    generated: float = Field(description="answers that a language model wrote")
    answer_ms_p50: float
    answer_ms_p95: float
    warnings: tuple[str, ...]


def evaluate_corpus_answers(
    judged: JudgedSet,
    encoder: TextEncoder,
    cache: VectorCache,
    *,
    mode: AnswerMode = "extract",
    generator: Generator | None = None,
    limit: int | None = None,
    deadline_ms: int = 30_000,
    report: Report = lambda stage, done, total: None,
) -> tuple[AnswersReport, list[CorpusOutcome]]:
    """Publishes the corpus in a temporary catalogue and puts its questions to the application, one at a time.

    Raises:
        LinesideError: the corpus cannot be written or searched.
    """
    asked = {name: query for name, query in judged.queries.items() if len(query.text.strip()) <= MAX_QUESTION_CHARS}
    too_long = len(judged.queries) - len(asked)
    warnings = [*judged.warnings]
    if too_long:
        warnings.append(f"{too_long} questions are longer than {MAX_QUESTION_CHARS} characters and are left out")
    asked = dict(list(asked.items())[:limit])
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Catalogue(Path(folder))
        shard = write_corpus(judged.corpus, encoder, cache, catalogue.shards_root, report=report)
        catalogue.publish([(FAMILY, shard.ref)], fingerprints=shard.fingerprints)
        with LocalApplication(catalogue, encoder, None, generator) as application:
            outcomes = asyncio.run(_ask(application, asked, judged.grades, mode, deadline_ms, report))
    return make_answers_report(judged, mode, outcomes, tuple(warnings)), outcomes


async def _ask(
    application: LocalApplication,
    asked: Mapping[str, Query],
    grades: Mapping[str, Mapping[str, int]],
    mode: AnswerMode,
    deadline_ms: int,
    report: Report,
) -> list[CorpusOutcome]:
    outcomes = []
    for name, query in asked.items():
        request = AnswerRequest(question=query.text, mode=mode, deadline_ms=deadline_ms)
        deadline = application.answerer.deadline(request)
        answer = await application.answerer.answer(request, None, request_id=name, deadline=deadline)
        gold = {document for document, grade in grades[name].items() if grade > 0}
        outcomes.append(_outcome(application, query, answer, gold))
        report("questions answered", len(outcomes), len(asked))
    return outcomes


def _outcome(application: LocalApplication, query: Query, answer: Answer, gold: set[str]) -> CorpusOutcome:
    documents = {e.n: e.document_id for e in answer.evidence}
    passages = [e for e in answer.evidence if e.kind == "passage"]
    cited = {documents.get(c.n) for s in answer.sentences for c in s.citations}
    return CorpusOutcome(
        query=query,
        answer=answer,
        rank=next((place for place, e in enumerate(passages, start=1) if e.document_id in gold), None),
        cites_gold=bool(cited & gold),
        supported=sum(stands_on_its_quotes(s, answer.evidence) for s in answer.sentences),
        verbatim=sum(is_verbatim(s.text, [c.quote for c in s.citations]) for s in answer.sentences),
        citation_faults=tuple(citation_faults(answer, application.index)),
    )


def make_answers_report(
    judged: JudgedSet, mode: AnswerMode, outcomes: Sequence[CorpusOutcome], warnings: tuple[str, ...]
) -> AnswersReport:
    """Figures of the outcomes."""
    overlaps = [o.overlap for o in outcomes if o.overlap is not None]
    answered = [o for o in outcomes if not o.abstained]
    sentences = sum(len(o.answer.sentences) for o in outcomes)
    spent = [o.answer.elapsed_ms for o in outcomes] or [0.0]
    return AnswersReport(
        dataset=judged.name,
        mode=mode,
        documents=len(judged.corpus.documents),
        questions=len(outcomes),
        with_gold_answer=len(overlaps),
        abstained=_mean([o.abstained for o in outcomes]) or 0.0,
        gold_in_first_five=_mean([o.rank is not None and o.rank <= FIRST for o in outcomes]) or 0.0,
        cites_gold=_mean([o.cites_gold for o in outcomes]) or 0.0,
        answered_cites_gold=_mean([o.cites_gold for o in answered]),
        token_f1=_mean([found.f1 for found in overlaps]),
        token_recall=_mean([found.recall for found in overlaps]),
        token_precision=_mean([found.precision for found in overlaps]),
        answered_token_f1=_mean([o.overlap.f1 for o in answered if o.overlap is not None]),
        sentences=sentences,
        sentences_supported=_share(sum(o.supported for o in outcomes), sentences),
        sentences_verbatim=_share(sum(o.verbatim for o in outcomes), sentences),
        citations_valid=_mean([not o.citation_faults for o in outcomes if o.answer.sentences]),
        generated=_mean([o.answer.mode == "generated" for o in outcomes]) or 0.0,
        answer_ms_p50=round(float(np.percentile(spent, 50)), 2),
        answer_ms_p95=round(float(np.percentile(spent, 95)), 2),
        warnings=warnings,
    )


def _mean(values: Sequence[float]) -> float | None:
    return _share(sum(values), len(values))


def _share(part: float, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def render_answers(report: AnswersReport) -> str:
    """The report as text."""
    rows: list[tuple[str, float | None]] = [
        ("abstained", report.abstained),
        (f"gold document in the first {FIRST} passages", report.gold_in_first_five),
        ("answers that cite a gold document", report.cites_gold),
        ("  abstentions left out", report.answered_cites_gold),
        ("token F1 with the gold answer", report.token_f1),
        ("  abstentions left out", report.answered_token_f1),
        ("token recall of the gold answer", report.token_recall),
        ("token precision", report.token_precision),
        ("sentences that their quotes support", report.sentences_supported),
        ("sentences that are verbatim", report.sentences_verbatim),
        ("answers whose citations are all valid", report.citations_valid),
        ("answers generated", report.generated),
    ]
    lines = [
        f"{report.dataset}, mode {report.mode}: {report.documents:,} documents, {report.questions:,} questions, "
        f"{report.with_gold_answer:,} with a gold answer, {report.sentences:,} sentences",
        *(f"  warning: {warning}" for warning in report.warnings),
        *(f"  {title:<44}{'-' if value is None else f'{value:.1%}':>8}" for title, value in rows),
        f"  answer: p50 {report.answer_ms_p50:.1f} ms, p95 {report.answer_ms_p95:.1f} ms",
    ]
    return "\n".join(lines)


def render_answer_failures(outcomes: Sequence[CorpusOutcome]) -> str:
    """Questions whose answer abstains, cites no gold document, or has a sentence that its quotes do not support."""
    lines: list[str] = []
    for outcome in outcomes:
        faults = [
            *(["abstained"] if outcome.abstained else []),
            *([] if outcome.cites_gold else [f"cites no gold document; the first of one is at rank {outcome.rank}"]),
            *([] if outcome.supported == len(outcome.answer.sentences) else ["a sentence is not supported"]),
            *outcome.citation_faults,
        ]
        if faults:
            lines += [outcome.query.text, *(f"    {fault}" for fault in faults)]
            lines.append(f"    answered ({outcome.answer.status}): {outcome.answer.text[:400]}")
    return "\n".join(lines)
