"""Scores every sentence of the best passages against the question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineside.search.contract import ScoredSentence
from lineside.search.settings import SentenceSettings
from lineside.shards.reader import Shard

Floats = NDArray[np.float32]
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class QuestionWeights:
    """(V,) weights of the release's terms for coverage, 0 for terms not in the question, and their greatest sum."""

    by_term: Floats
    total: float


def question_weights(
    idf: Mapping[int, float], unseen: float, terms: Sequence[str], settings: SentenceSettings
) -> QuestionWeights:
    """Weights of the question's terms: idf, more for identifiers and numbers; `unseen` is the mass of unknown ones."""
    by_term = np.zeros(len(terms), np.float32)
    for term_id, value in idf.items():
        exact = terms[term_id].startswith("#") or _NUMBER.fullmatch(terms[term_id]) is not None
        by_term[term_id] = value * (settings.exact_boost if exact else 1.0)
    return QuestionWeights(by_term, float(by_term.sum()) + unseen)


class ShardSentences:
    """The sentences of one shard, with term ids of the release."""

    def __init__(self, shard: Shard, to_release: NDArray[np.int32]) -> None:
        self.vectors = shard.sentence_vectors
        self.scale = np.float32(shard.sentence_scale)
        self.starts, self.ends = shard.sentence_starts, shard.sentence_ends
        self.term_indptr = shard.lexical.sentence_indptr
        self._terms = shard.lexical.sentence_terms
        self._to_release = to_release
        self._indptr = np.searchsorted(shard.sentence_rows, np.arange(len(shard) + 1))

    def span(self, row: int) -> tuple[int, int]:
        """Sentences `[first, last)` of a row of the shard."""
        return int(self._indptr[row]), int(self._indptr[row + 1])

    def terms(self, first: int, last: int) -> NDArray[np.int32]:
        """Terms of the sentences `[first, last)`, sentence after sentence, as ids of the release."""
        return self._to_release[self._terms[self.term_indptr[first] : self.term_indptr[last]]]


def score_sentences(
    passages: Sequence[tuple[ShardSentences, int, int]],
    vector: Floats | None,
    weights: QuestionWeights,
    settings: SentenceSettings,
) -> list[ScoredSentence]:
    """All sentences of the passages, given as (sentences of its shard, row in the shard, number of the evidence).

    score = (dense * cosine + coverage * share of the question's idf mass) / (dense + coverage)
    """
    spans = [(s, *s.span(row), evidence) for s, row, evidence in passages]
    spans = [span for span in spans if span[2] > span[1]]
    if not spans:
        return []
    if vector is None:
        dense = np.zeros(sum(last - first for _, first, last, _ in spans), np.float32)
    else:
        quantised = np.concatenate([s.vectors[first:last] for s, first, last, _ in spans])
        scale = np.concatenate([np.full(last - first, s.scale) for s, first, last, _ in spans])
        dense = (quantised.astype(np.float32) @ vector) * scale
    counts = np.concatenate([np.diff(s.term_indptr[first : last + 1]) for s, first, last, _ in spans])
    found = weights.by_term[np.concatenate([s.terms(first, last) for s, first, last, _ in spans])]
    sums = np.concatenate([[0.0], np.cumsum(found, dtype=np.float64)])
    ends = np.cumsum(counts)
    coverage = (sums[ends] - sums[ends - counts]) / max(weights.total, 1e-9)
    total = settings.dense + settings.coverage
    score = (settings.dense * dense + settings.coverage * coverage) / (total or 1.0)
    evidence = [number for _, first, last, number in spans for _ in range(first, last)]
    columns = (
        [start for s, first, last, _ in spans for start in s.starts[first:last].tolist()],
        [end for s, first, last, _ in spans for end in s.ends[first:last].tolist()],
        score.tolist(),
        dense.tolist(),
        coverage.tolist(),
    )
    return [ScoredSentence(*values) for values in zip(evidence, *columns, strict=True)]


def held_together(passages: Sequence[tuple[ShardSentences, int]], pairs: Sequence[tuple[int, int]]) -> list[bool]:
    """For each pair of terms, whether a sentence of the passages, given as (sentences of its shard, row), has both."""
    if not pairs:
        return []
    wanted = {term for pair in pairs for term in pair}
    holding: dict[int, set[tuple[int, int]]] = {term: set() for term in wanted}
    for number, (sentences, row) in enumerate(passages):
        first, last = sentences.span(row)
        ends = sentences.term_indptr[first + 1 : last + 1] - sentences.term_indptr[first]
        for position, term in enumerate(sentences.terms(first, last).tolist()):
            if term in wanted:
                holding[term].add((number, int(np.searchsorted(ends, position, side="right"))))
    return [not holding[a].isdisjoint(holding[b]) for a, b in pairs]
