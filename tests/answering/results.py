"""Search results made from plain texts: sentences are scored by the share of the question's terms they hold."""

from __future__ import annotations

from lineside.analysis import sentences, terms
from lineside.schema import Evidence, LabelVote
from lineside.search.contract import KnownNeighbour, ScoredSentence, SearchResult, Signals


def search_result(
    question: str,
    *texts: str,
    sections: tuple[str, ...] = (),
    labels: tuple[LabelVote, ...] = (),
    answerability: float = 0.9,
    unknown_terms: tuple[str, ...] = (),
    missing_identifiers: tuple[str, ...] = (),
    known: KnownNeighbour | None = None,
) -> SearchResult:
    """Evidence numbered in the given order with falling scores."""
    asked = set(terms(question))
    evidence, scored = [], []
    for n, text in enumerate(texts, 1):
        section = sections[n - 1] if sections else f"Section {n}"
        place = 1_000 * n
        evidence.append(
            Evidence(
                n=n,
                id=f"p{n}",
                kind="passage",
                family="pump",
                score=1.0 - 0.05 * n,
                text=text,
                title="Pump manual",
                document_id="pump",
                section_path=(section,),
                start=place,
                end=place + len(text),
            )
        )
        for span in sentences(text):
            share = len(asked & set(terms(text[span.start : span.end]))) / max(1, len(asked))
            scored.append(ScoredSentence(n, span.start, span.end, share, share, share))
    signals = Signals(0.6, 0.6, unknown_terms, missing_identifiers, answerability, known=known)
    return SearchResult(7, tuple(evidence), tuple(scored), labels, signals, {})
