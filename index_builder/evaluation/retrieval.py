"""Retrieval quality on a judged corpus with the production settings: nDCG, recall, MRR and latency.

A document ranks where its best passage ranks. The same settings serve every set: nothing is fitted to one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from index_builder.evaluation.beir import JudgedSet
from index_builder.evaluation.corpus_shard import Report, encode_texts, write_corpus
from index_builder.evaluation.vector_cache import VectorCache
from lineside.encoders import TextEncoder
from lineside.evaluation.ranking_metrics import RankingScores, mean_scores, score_ranking
from lineside.search import ReleaseIndex, SearchQuery, SearchResult, SearchSettings
from lineside.search.settings import FeedbackSettings, FusionSettings

Item = TypeVar("Item")

PASSAGES_READ = 400
"""Passages read for one ranking of documents: enough for 100 documents that are cut into four passages each."""
_TIMED_QUESTIONS = 200

_ALONE = FeedbackSettings(passages=0)
SYSTEMS: Mapping[str, SearchSettings] = {
    "dense": SearchSettings(fusion=FusionSettings(dense=1, lexical=0, identifier=0), feedback=_ALONE),
    "lexical": SearchSettings(fusion=FusionSettings(dense=0, lexical=1, identifier=0), feedback=_ALONE),
    "hybrid": SearchSettings(),
}
"""The default is `hybrid`; the others show what each signal is worth without the rest and without feedback."""


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Latency(_Figures):
    """Milliseconds of one question at a time."""

    p50: float
    p95: float


class SystemFigures(_Figures):
    """Means over the questions; `latency_ms` is one search that returns what a client gets, without encoding."""

    ndcg_at_10: float = Field(serialization_alias="ndcg@10")
    recall_at_10: float = Field(serialization_alias="recall@10")
    recall_at_100: float = Field(serialization_alias="recall@100")
    mrr: float
    latency_ms: Latency


class RetrievalReport(_Figures):
    """What `lineside eval retrieval` prints."""

    dataset: str
    documents: int
    passages: int
    questions: int
    gain: str = "linear"
    warnings: tuple[str, ...]
    encode_ms: Latency
    systems: dict[str, SystemFigures]


def evaluate_retrieval(
    judged: JudgedSet,
    encoder: TextEncoder,
    cache: VectorCache,
    *,
    systems: Mapping[str, SearchSettings] = SYSTEMS,
    report: Report = lambda stage, done, total: None,
) -> RetrievalReport:
    """Builds a shard of the corpus in a temporary folder and measures every system on it.

    Raises:
        LinesideError: the corpus cannot be written or searched.
    """
    names = list(judged.queries)
    texts = [judged.queries[name].text for name in names]
    with tempfile.TemporaryDirectory() as folder:
        shard = write_corpus(judged.corpus, encoder, cache, Path(folder), report=report)
        vectors = encode_texts(texts, encoder, cache, "questions encoded", report)
        figures = {}
        for name, settings in systems.items():
            index = ReleaseIndex.open([shard.ref.path], 1, settings)
            rankings = rank_documents(index, texts, vectors, partial(report, f"questions searched, {name}"))
            scores = [score_ranking(r, judged.grades[q]) for q, r in zip(names, rankings, strict=True)]
            figures[name] = _figures(mean_scores(scores), _search_latency(index, texts, vectors))
    return RetrievalReport(
        dataset=judged.name,
        documents=len(judged.corpus.documents),
        passages=shard.passages,
        questions=len(names),
        warnings=judged.warnings,
        encode_ms=_encode_latency(encoder, texts),
        systems=figures,
    )


def rank_documents(
    index: ReleaseIndex,
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[str]]:
    """Document ids in the order of their best passages, for every question with its vector (n, d)."""
    document_of = dict(index.passages())
    rankings: list[list[str]] = []
    for query in _queries(index, texts, vectors, k=PASSAGES_READ, k_images=0):
        result = index.search(query)
        rankings.append(ranked_documents(result, document_of))
        progress(len(rankings), len(texts))
    return rankings


def ranked_documents(result: SearchResult, document_of: Mapping[str, str]) -> list[str]:
    """Documents in the order of their best passages; folded duplicates follow the passage that stands for them."""
    found = (document_of[row] for e in result.evidence if e.kind == "passage" for row in (e.id, *e.duplicates))
    return list(dict.fromkeys(found))


def _figures(scores: RankingScores, latency: Latency) -> SystemFigures:
    return SystemFigures(**{name: round(value, 5) for name, value in scores._asdict().items()}, latency_ms=latency)


def _queries(
    index: ReleaseIndex, texts: Sequence[str], vectors: NDArray[np.float32], k: int = 8, k_images: int = 4
) -> list[SearchQuery]:
    """Questions; without vectors where they do not count, so that nothing is found by a signal that is switched off."""
    dense = index.settings.fusion.dense > 0
    return [
        SearchQuery(text, text_vector=vector if dense else None, k=k, k_images=k_images)
        for text, vector in zip(texts, vectors, strict=True)
    ]


def _search_latency(index: ReleaseIndex, texts: Sequence[str], vectors: NDArray[np.float32]) -> Latency:
    return _latency(index.search, _queries(index, texts[:_TIMED_QUESTIONS], vectors[:_TIMED_QUESTIONS]))


def _encode_latency(encoder: TextEncoder, texts: Sequence[str]) -> Latency:
    return _latency(lambda text: encoder.encode([text]), texts[:_TIMED_QUESTIONS])


def _latency(act: Callable[[Item], object], items: Sequence[Item]) -> Latency:
    act(items[0])  # the first one compiles, loads and allocates
    spent = []
    for item in items:
        started = time.perf_counter()
        act(item)
        spent.append((time.perf_counter() - started) * 1000)
    p50, p95 = np.percentile(spent, [50, 95])
    return Latency(p50=round(float(p50), 3), p95=round(float(p95), 3))


def render_retrieval(report: RetrievalReport) -> str:
    """The report as text."""
    lines = [
        f"{report.dataset}: {report.documents:,} documents, {report.passages:,} passages, "
        f"{report.questions:,} judged questions; nDCG with {report.gain} gain",
        *(f"  warning: {warning}" for warning in report.warnings),
        f"  {'':<10}{'nDCG@10':>9}{'R@10':>8}{'R@100':>8}{'MRR':>8}{'p50 ms':>9}{'p95 ms':>9}",
    ]
    for name, s in report.systems.items():
        quality = f"{s.ndcg_at_10:9.4f}{s.recall_at_10:8.3f}{s.recall_at_100:8.3f}{s.mrr:8.3f}"
        lines.append(f"  {name:<10}{quality}{s.latency_ms.p50:9.2f}{s.latency_ms.p95:9.2f}")
    lines.append(f"  encoding a question: p50 {report.encode_ms.p50:.2f} ms, p95 {report.encode_ms.p95:.2f} ms")
    return "\n".join(lines)
