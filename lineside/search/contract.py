"""What search takes and gives: plain data that crosses process borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lineside.schema import Evidence, Filters, LabelVote
from lineside.search.answerability import AnswerabilityFeatures
from lineside.search.effort import EffortUsed

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One question as the retriever receives it.

    `budget_ms`: the time that the search of approximate vector indexes may take, in which the effort is chosen that
    finds most; without it every index is searched with the effort that reaches its recall bar.

    Vectors are float32, L2-normalised, of shape (d,): `text_vector` from the sentence encoder, `joint_text_vector`
    and `image_vector` from the joint encoder. A missing vector switches its signal off. Sentences and signals, from
    which answers are made, are left out where `for_answer` is False.
    """

    text: str
    text_vector: Vector | None = None
    joint_text_vector: Vector | None = None
    image_vector: Vector | None = None
    context: str = ""
    family: str | None = None
    filters: Filters = field(default_factory=Filters)
    k: int = 8
    k_images: int = 4
    for_answer: bool = True
    budget_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence of a retrieved passage and how well it answers the question.

    `evidence` is the `n` of the evidence; `start` and `end` count characters of that evidence's text.
    """

    evidence: int
    start: int
    end: int
    score: float
    dense: float
    coverage: float


@dataclass(frozen=True, slots=True)
class KnownNeighbour:
    """The known question nearest to the one asked: whether it is answered, and the cosine of the two."""

    text: str
    answered: bool
    cosine: float


@dataclass(frozen=True, slots=True)
class Signals:
    """What abstention is decided from; every value is about the whole result.

    `dense`: best cosine of the question to a passage. `coverage`: share of the question's idf mass (over the release)
    found in the best-covering passage. `unknown_terms`: content terms of the question that occur nowhere in the
    searched knowledge. `missing_identifiers`: identifiers in the question that no retrieved passage contains.
    `answerability` in [0, 1]: the calibrated combination; below the bar the answer abstains. `features`: what it was
    estimated from, to calibrate it; None where nothing was estimated. `known`: the known question nearest to this one.
    """

    dense: float
    coverage: float
    unknown_terms: tuple[str, ...]
    missing_identifiers: tuple[str, ...]
    answerability: float
    features: AnswerabilityFeatures | None = None
    known: KnownNeighbour | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Everything the answer needs, in one hop. Evidence is ranked and numbered 1..n: passages first, then images.

    `efforts`: what every search of an approximate vector index spent; empty where all vectors were compared.
    """

    release: int
    evidence: tuple[Evidence, ...]
    sentences: tuple[ScoredSentence, ...]
    labels: tuple[LabelVote, ...]
    signals: Signals
    stages_ms: dict[str, float]
    efforts: tuple[EffortUsed, ...] = ()

    @property
    def dense_recall(self) -> float:
        """The lowest recall@10 that the curves promise for the efforts spent; 1 where all vectors were compared."""
        return min((used.recall for used in self.efforts), default=1.0)


class Reranker(Protocol):
    """Scores question-passage pairs; `lineside.search.rerank` has one, which needs torch."""

    def score(self, question: str, passages: Sequence[str]) -> Vector:
        """Relevance (m,) float32 in [0, 1], higher is better."""
        ...
