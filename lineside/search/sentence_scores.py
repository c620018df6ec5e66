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
        self._vectors = shard.sentence_vectors
        self._scale = np.float32(shard.sentence_scale)
        self._starts, self._ends = shard.sentence_starts, shard.sentence_ends
        self._term_indptr = shard.lexical.sentence_indptr
        self._terms = shard.lexical.sentence_terms
        self._to_release = to_release
        self._indptr = np.searchsorted(shard.sentence_rows, np.arange(len(shard) + 1))

    def score(
        self, row: int, evidence: int, vector: Floats | None, weights: QuestionWeights, settings: SentenceSettings
    ) -> list[ScoredSentence]:
        """Sentences of the shard's row: score = (dense * cosine + coverage * share of idf mass) / sum of weights."""
        first, last = int(self._indptr[row]), int(self._indptr[row + 1])
        if first == last:
            return []
        if vector is None:
            dense = np.zeros(last - first, np.float32)
        else:
            dense = (self._vectors[first:last].astype(np.float32) @ vector) * self._scale
        bounds = self._term_indptr[first : last + 1]
        found = weights.by_term[self._to_release[self._terms[bounds[0] : bounds[-1]]]]
        sums = np.concatenate([[0], np.cumsum(found)])
        local = bounds - bounds[0]
        coverage = (sums[local[1:]] - sums[local[:-1]]) / max(weights.total, 1e-9)
        total = settings.dense + settings.coverage
        score = (settings.dense * dense + settings.coverage * coverage) / (total or 1.0)
        return [
            ScoredSentence(evidence, *values)
            for values in zip(
                self._starts[first:last].tolist(),
                self._ends[first:last].tolist(),
                score.tolist(),
                dense.tolist(),
                coverage.tolist(),
                strict=True,
            )
        ]
