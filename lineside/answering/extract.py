"""The extractive answer: the few verbatim sentences of the evidence that answer the question, each cited."""

from __future__ import annotations

from dataclasses import dataclass, field

from lineside.analysis import Span
from lineside.answering.citations import neutralise
from lineside.answering.questions import read_question
from lineside.answering.ranking import RankSettings, rank_sentences
from lineside.answering.selection import SelectionSettings, select
from lineside.schema import AnswerSentence, Citation, Evidence
from lineside.search.contract import SearchResult


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """How sentences are ranked and how many are taken."""

    ranking: RankSettings = field(default_factory=RankSettings)
    selection: SelectionSettings = field(default_factory=SelectionSettings)


def extract(result: SearchResult, question: str, settings: ExtractSettings = ExtractSettings()) -> list[AnswerSentence]:
    """A few verbatim sentences that answer the question best, with the steps of a procedure; [] without evidence."""
    ranked = rank_sentences(result, question, settings.ranking)
    evidence = {e.n: e for e in result.evidence}
    chosen = select(ranked, evidence, read_question(question), settings.selection)
    return [_answer_sentence(evidence[n], span) for n, span in chosen]


def _answer_sentence(source: Evidence, span: Span) -> AnswerSentence:
    quote = source.text[span.start : span.end]
    citation = Citation(n=source.n, evidence_id=source.id, quote=quote, support=1.0, url=source.url)
    return AnswerSentence(text=neutralise(" ".join(quote.split())), citations=(citation,))
