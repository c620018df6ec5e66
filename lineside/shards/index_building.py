"""Builds a vector index that fits a memory budget and reaches a recall bar, and measures what effort buys.

Vectors are read in blocks and by sample, never as a whole, so that a memory-mapped array larger than memory can be
indexed. One thread gives the same bytes for the same vectors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from lineside.errors import ConfigurationError
from lineside.shards.index_candidates import Candidate, Effort, candidates
from lineside.shards.manifest import EffortCurve, EffortPoint
from lineside.shards.settings import VectorIndexSettings
from lineside.shards.vector_index import EXACT, VectorIndex, faiss_threads

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]

RECALL_AT = 10
_BLOCK_ROWS = 16_384
_CLUSTERING_ROUNDS = 10  # more change recall by less than its error
_TIMED_QUERIES = 200
_PROBED_SHARE = 16  # an inverted file of which more than one list in 16 is probed is compared with a graph
_GAIN_MIN = 0.001  # recall that a dearer effort must add to be a point of the curve
_HOPELESS = 8  # times the cost of the last gain: nothing more is to be had
_TIE = 3e-6  # scores this close are equal: rows with the same content


def build_vector_index(
    vectors: Vectors, settings: VectorIndexSettings, queries: Vectors | None = None
) -> tuple[VectorIndex, EffortCurve]:
    """The first candidate that fits the memory budget and is measured to reach the recall bar.

    Where an inverted file must probe many of its lists for that, a graph is built too and the one of less expected cost
    is taken.

    Recall counts the worst of several kinds of question: rows themselves (each searched without itself), which lie
    where the vectors lie; rows disturbed until their cosine to the row is about 0.8, which lie beside them; and
    `queries`, where given. The bar must be reached with a standard error to spare.

    Args:
        vectors: (n, d) float32, rows normalised (a zero row is never found); an array or a memory map.
        queries: (q, d) more held-out queries, such as sentences or questions; a sample of them is used.

    Raises:
        ConfigurationError: no index within the budget reaches the bar.
    """
    n, d = vectors.shape
    if n <= settings.flat_max_rows:
        flat = faiss.IndexFlatIP(d)
        _add(flat, vectors)
        return VectorIndex(flat, EXACT), EXACT
    budget = np.inf if settings.memory_budget_mib is None else settings.memory_budget_mib * 2**20
    with faiss_threads(settings.threads):
        held_out = _held_out(vectors, settings, queries)
        best, missed = 0.0, 0.0
        found: tuple[float, VectorIndex] | None = None
        for candidate in candidates(n, d):
            if candidate.bytes > budget or candidate.precision <= missed or (found and not candidate.graph):
                continue
            index = train_index(candidate, vectors, settings)
            curve, reached = _measure(index, candidate, vectors, held_out, settings.recall_bar)
            if reached:
                index.curve = curve
                default = curve.default
                cost = candidate.cost(Effort(default.effort, default.rescored))
                if found is None or cost < found[0]:
                    found = cost, index
                if default.effort * _PROBED_SHARE <= candidate.lists or not candidate.lists:
                    break
                continue  # clusters are cut by the lists: a graph may need less
            missed, best = candidate.precision, max(best, curve.points[-1].recall)
    if found is not None:
        return found[1], found[1].curve
    raise ConfigurationError(
        f"no index of {n} x {d} within {budget / 2**20:.0f} MiB reaches recall {settings.recall_bar} "
        f"(best {best:.3f}): raise memory_budget_mib, at most to {candidates(n, d)[-1].bytes / 2**20:.0f}, "
        "or lower recall_bar"
    )


def train_index(candidate: Candidate, vectors: Vectors, settings: VectorIndexSettings) -> VectorIndex:
    """The candidate trained on a sample and filled block by block, with no curve yet."""
    index = faiss.index_factory(vectors.shape[1], candidate.factory, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        if candidate.lists:
            clustering = faiss.extract_index_ivf(index.base_index if candidate.refined else index).cp
            clustering.niter, clustering.seed = _CLUSTERING_ROUNDS, settings.seed
        rng = np.random.default_rng(settings.seed)
        index.train(_sample(vectors, settings.train_rows_max, rng)[1])
    _add(index, vectors)
    return VectorIndex(index)


def _add(index: Any, vectors: Vectors) -> None:
    for _, block in _blocks(vectors):
        index.add(block)


def _blocks(vectors: Vectors) -> Iterator[tuple[int, Vectors]]:
    for start in range(0, len(vectors), _BLOCK_ROWS):
        yield start, np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS], np.float32)


def _sample(vectors: Vectors, count: int, rng: np.random.Generator) -> tuple[Ids, Vectors]:
    """Up to `count` distinct rows, ascending, with their vectors."""
    chosen = np.sort(rng.choice(len(vectors), min(count, len(vectors)), replace=False))
    return chosen, np.ascontiguousarray(vectors[chosen], np.float32)


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Queries (q, d) of one kind, the row that each must not find (-1: none), and what is a good find.

    `enough`: (q,) exact score of the 10th best row, or of the last where there are fewer than ten: `wanted` rows.
    """

    queries: Vectors
    own: Ids
    enough: Vectors
    wanted: int


def _held_out(vectors: Vectors, settings: VectorIndexSettings, queries: Vectors | None) -> list[_HeldOut]:
    rng = np.random.default_rng(settings.seed + 1)
    count = settings.held_out_queries
    own, rows = _sample(vectors, count, rng)
    noise = rng.standard_normal(rows.shape, np.float32)
    disturbed = rows + np.float32(0.75) * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    disturbed /= np.linalg.norm(disturbed, axis=1, keepdims=True)
    kinds = [(rows, own), (disturbed, np.full(len(rows), -1, np.int64))]
    if queries is not None and len(queries):
        given = _sample(queries, count, rng)[1]
        kinds.append((given, np.full(len(given), -1, np.int64)))
    best = _best_scores(vectors, np.concatenate([q for q, _ in kinds]), np.concatenate([o for _, o in kinds]))
    held_out, start = [], 0
    for asked, not_found in kinds:
        wanted = min(RECALL_AT, len(vectors) - int(not_found[0] >= 0))
        held_out.append(_HeldOut(asked, not_found, best[start : start + len(asked), wanted - 1], wanted))
        start += len(asked)
    return held_out


def _best_scores(vectors: Vectors, queries: Vectors, own: Ids) -> Vectors:
    """The exact scores (q, 10) of the best rows of each query, its own row left out."""
    flat = faiss.IndexFlatIP(vectors.shape[1])
    best = np.full((len(queries), RECALL_AT), -np.inf, np.float32)
    for start, block in _blocks(vectors):
        flat.reset()
        flat.add(block)
        scores, ids = flat.search(queries, RECALL_AT + 1)
        scores[(ids < 0) | (ids + start == own[:, None])] = -np.inf
        best = -np.sort(-np.concatenate([best, scores], axis=1), axis=1)[:, :RECALL_AT]
    return best


def _measure(
    searched: VectorIndex, candidate: Candidate, vectors: Vectors, held_out: Sequence[_HeldOut], bar: float
) -> tuple[EffortCurve, bool]:
    """The efforts that are worth their expected cost, and whether the last of them reaches the bar.

    Which efforts make the curve depends on expected cost and measured recall alone, so that it is the same on every
    machine; their milliseconds are measured.
    """
    efforts, recalls, reaching = list[Effort](), list[float](), list[Effort]()
    for effort in candidate.efforts():
        if efforts and candidate.cost(effort) > _HOPELESS * candidate.cost(efforts[-1]):
            break
        point = EffortPoint(effort=effort.probes, rescored=effort.rescored, recall=0, ms=0)
        shares = [_found(searched, kind, point, vectors) for kind in held_out]
        recall = min(float(s.mean()) for s in shares)
        if recalls and recall < recalls[-1] + _GAIN_MIN:
            continue
        efforts.append(effort)
        recalls.append(recall)
        if all(s.mean() - s.std() / np.sqrt(len(s)) >= bar for s in shares):
            reaching.append(effort)
        if recall >= 1 - _GAIN_MIN:
            break
    timed = np.concatenate([kind.queries for kind in held_out])
    timed = timed[:: max(1, len(timed) // _TIMED_QUERIES)]
    points = []
    for effort, recall in zip(efforts, recalls, strict=True):
        point = EffortPoint(effort=effort.probes, rescored=effort.rescored, recall=round(recall, 4), ms=0)
        ms, ms_p95 = _times(searched, point, timed)
        points.append(point.model_copy(update={"ms": round(ms, 4), "ms_p95": round(ms_p95, 4)}))
    default = reaching[0] if reaching else efforts[-1]
    curve = EffortCurve(
        index=candidate.factory,
        points=tuple(points),
        default_effort=default.probes,
        default_rescored=default.rescored,
    )
    return curve, bool(reaching)


def _found(index: VectorIndex, kind: _HeldOut, point: EffortPoint, vectors: Vectors) -> Vectors:
    """The share (q,) of each query's ten best that is found; a row that is as good as the tenth counts as one."""
    _, ids = index.search(kind.queries, RECALL_AT + 1, point)
    ids[ids == kind.own[:, None]] = -1
    places = np.argsort(ids < 0, axis=1, kind="stable")[:, : kind.wanted]
    ids = np.take_along_axis(ids, places, axis=1)
    distinct, inverse = np.unique(ids.clip(min=0), return_inverse=True)
    rows = np.asarray(vectors[distinct], np.float32)[inverse.reshape(ids.shape)]
    scores = np.einsum("qkd,qd->qk", rows, kind.queries)
    good = (scores >= kind.enough[:, None] - _TIE) & (ids >= 0)
    return cast(Vectors, good.sum(axis=1, dtype=np.float32) / np.float32(kind.wanted))


def _times(index: VectorIndex, point: EffortPoint, queries: Vectors) -> tuple[float, float]:
    """Median and 95th percentile of milliseconds for one query."""
    seconds = []
    for query in queries:
        started = time.perf_counter()
        index.search(query[None], RECALL_AT, point)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) * 1000, float(np.quantile(seconds, 0.95)) * 1000
