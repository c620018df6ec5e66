"""What a question is made of for search: weighted terms, identifiers, and what the knowledge has never heard of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lineside.analysis import terms
from lineside.search.lexical_index import LexicalIndex
from lineside.search.settings import LexicalSettings


@dataclass(frozen=True, slots=True)
class QuestionTerms:
    """Terms of a question with weights for scoring; ids are the lexical index's.

    `weights`: term id -> weight of the lexical score, context and label terms included.
    `idf`: term id -> idf of the question's own known terms; `idf_total` counts its unknown terms too.
    `identifiers`: term id -> idf of the identifiers among them. `unknown`: terms that occur in no searched row.
    `unknown_mass`: the idf that terms seen nowhere would have, summed over them. `identifier_mass`: idf of all
    identifiers, unknown ones included. `missing_identifiers`: unknown identifiers, without their mark.
    """

    weights: dict[int, float]
    idf: dict[int, float]
    idf_total: float
    identifiers: dict[int, float]
    identifier_mass: float
    unknown_mass: float
    unknown: tuple[str, ...]
    missing_identifiers: tuple[str, ...]


def question_terms(
    text: str,
    context: str,
    captions: Iterable[tuple[str, float]],
    index: LexicalIndex,
    span: tuple[int, int],
    settings: LexicalSettings,
) -> QuestionTerms:
    """Analyses a question against the rows `[span)`; captions of voted labels come with their weights."""
    counts = Counter(terms(text))
    weights: dict[int, float] = {}
    idf: dict[int, float] = {}
    identifiers: dict[int, float] = {}
    unknown: list[str] = []
    missing: list[str] = []
    total = 0.0
    for term, count in counts.items():
        term_id = index.term_ids.get(term)
        is_identifier = term.startswith("#")
        if term_id is None or not index.occurs(term_id, span):
            unknown.append(term.removeprefix("#"))
            total += index.unseen_idf
            if is_identifier:
                missing.append(term.removeprefix("#"))
            continue
        term_idf = float(index.idf[term_id])
        weights[term_id] = count * (settings.identifier_boost if is_identifier else 1.0)
        idf[term_id] = term_idf
        total += term_idf
        if is_identifier:
            identifiers[term_id] = term_idf
    for term, weight in (*_context_weights(context, index, settings), *_caption_weights(captions)):
        term_id = index.term_ids.get(term)
        if term_id is not None:
            weights[term_id] = weights.get(term_id, 0.0) + weight
    return QuestionTerms(
        weights=weights,
        idf=idf,
        idf_total=total,
        identifiers=identifiers,
        identifier_mass=sum(identifiers.values()) + len(missing) * index.unseen_idf,
        unknown_mass=len(unknown) * index.unseen_idf,
        unknown=tuple(unknown),
        missing_identifiers=tuple(missing),
    )


def _context_weights(context: str, index: LexicalIndex, settings: LexicalSettings) -> list[tuple[str, float]]:
    """The rarest known terms of the context: a log names its codes, and its chatter must not drown the question."""
    if not context or not settings.context_terms_max:
        return []
    found = {t: float(index.idf[i]) for t in set(terms(context)) if (i := index.term_ids.get(t)) is not None}
    rarest = sorted(found, key=lambda t: (not t.startswith("#"), -found[t], t))[: settings.context_terms_max]
    return [
        (t, settings.context_identifier_weight if t.startswith("#") else settings.context_word_weight) for t in rarest
    ]


def _caption_weights(captions: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(term, weight) for caption, weight in captions for term in set(terms(caption))]
