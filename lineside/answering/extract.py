"""The extractive answer: the few verbatim sentences of the evidence that answer the question, each cited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lineside.analysis import Span
from lineside.answering.citations import neutralise
from lineside.answering.questions import question_parts, read_question
from lineside.answering.ranking import (
    RankedSentence,
    RankSettings,
    best_for_names,
    best_for_parts,
    rank_sentences,
)
from lineside.answering.selection import SelectionSettings, select
from lineside.answering.traits import Traits, traits
from lineside.schema import AnswerSentence, Citation, Evidence
from lineside.search.contract import SearchResult

_SAID = 0.7
"""Share of a sentence's words that one sentence of the answer must hold."""


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """How sentences are ranked and how many are taken."""

    ranking: RankSettings = field(default_factory=RankSettings)
    selection: SelectionSettings = field(default_factory=SelectionSettings)


def extract(result: SearchResult, question: str, settings: ExtractSettings = ExtractSettings()) -> list[AnswerSentence]:
    """A few verbatim sentences that answer the question best, with the steps of a procedure; [] without evidence."""
    ranked = rank_sentences(result, question, settings.ranking)
    evidence = {e.n: e for e in result.evidence}
    leading = _leading(question, ranked, evidence, settings)
    chosen = select(ranked, evidence, read_question(question), settings.selection, leading)
    return [_answer_sentence(evidence[n], span) for n, span in chosen]


def _leading(
    question: str, ranked: Sequence[RankedSentence], evidence: Mapping[int, Evidence], settings: ExtractSettings
) -> list[RankedSentence]:
    """What comes first, whatever else is chosen: the best sentence for each part and each name of the question."""
    if not ranked:
        return []
    parts = best_for_parts(question_parts(question), ranked, evidence)
    named = best_for_names(question, ranked, settings.selection.low_share)
    return [*parts, *([ranked[0], *named] if named and not parts else named)]


def complement(
    given: Sequence[AnswerSentence],
    result: SearchResult,
    question: str,
    settings: ExtractSettings = ExtractSettings(),
) -> list[AnswerSentence]:
    """The best sentences of the extractive answer that a generated one does not hold already, in their order.

    A small model may well say something true beside the point; with the best sentences quoted the answer is complete.
    """
    said = [traits(s.text) for s in given]
    evidence = {e.n: e for e in result.evidence}
    best = rank_sentences(result, question, settings.ranking)[: settings.selection.core]
    if not best or best[0].traits.about_document:
        return []
    return [
        _answer_sentence(evidence[r.evidence], Span(r.start, r.end))
        for r in best
        if r.score >= settings.selection.keep_share * best[0].score and not any(_holds(one, r.traits) for one in said)
    ]


def _holds(said: Traits, sentence: Traits) -> bool:
    """Whether a sentence has been said: its figures and codes, and most of its words."""
    return sentence.exact <= said.exact and len(sentence.keys & said.keys) >= _SAID * len(sentence.keys)


def _answer_sentence(source: Evidence, span: Span) -> AnswerSentence:
    quote = source.text[span.start : span.end]
    citation = Citation(n=source.n, evidence_id=source.id, quote=quote, support=1.0, url=source.url)
    return AnswerSentence(text=neutralise(" ".join(quote.split())), citations=(citation,))
