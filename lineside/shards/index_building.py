"""Builds a vector index that fits a memory budget and reaches a recall bar, and measures what effort buys.

Vectors are read in blocks and by sample, never as a whole, so that a memory-mapped array larger than memory can be
indexed: what is held is the index itself, `train_rows_max` rows, and a block. One thread gives the same bytes for the
same vectors.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from lineside.errors import ConfigurationError
from lineside.shards.coarse_lists import CoarseLists, choose_lists, train_centroids
from lineside.shards.held_out_queries import RECALL_AT, HeldOut, blocks, hold_out, sample
from lineside.shards.index_candidates import Candidate, Effort, candidates
from lineside.shards.manifest import EffortCurve, EffortPoint
from lineside.shards.settings import VectorIndexSettings
from lineside.shards.vector_index import EXACT, VectorIndex, faiss_threads

Vectors = NDArray[np.float32]

_CODES_TRAIN_ROWS = 65_536  # product and scalar quantisers need no more
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
        held_out = hold_out(vectors, settings, queries)
        coarse = choose_lists(vectors, settings, held_out, budget)
        best, missed = 0.0, 0.0
        found: tuple[float, VectorIndex] | None = None
        for candidate in candidates(n, d, 0 if coarse is None else coarse.lists):
            if candidate.bytes > budget or candidate.precision <= missed or (found and not candidate.graph):
                continue
            if coarse is not None and candidate.lists and coarse.shares[-1] < settings.recall_bar:
                continue  # the neighbours are not in the lists: no code finds them there
            index = train_index(candidate, vectors, settings, coarse)
            curve, reached = _measure(index, candidate, vectors, held_out, settings.recall_bar, coarse)
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


def train_index(
    candidate: Candidate, vectors: Vectors, settings: VectorIndexSettings, coarse: CoarseLists | None = None
) -> VectorIndex:
    """The candidate trained on a sample and filled block by block, with no curve yet.

    `coarse`: centroids of its lists, where they are known already.
    """
    index = faiss.index_factory(vectors.shape[1], candidate.factory, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        if candidate.lists:
            centroids = train_centroids(vectors, candidate.lists, settings) if coarse is None else coarse.centroids
            inverted = faiss.extract_index_ivf(index.base_index if candidate.refined else index)
            inverted.quantizer.add(centroids)  # FAISS trains no quantiser that is filled
        count = min(settings.train_rows_max, _CODES_TRAIN_ROWS)
        index.train(sample(vectors, count, np.random.default_rng(settings.seed))[1])
    _add(index, vectors)
    return VectorIndex(index)


def _add(index: Any, vectors: Vectors) -> None:
    for _, block in blocks(vectors):
        index.add(block)


def _measure(
    searched: VectorIndex,
    candidate: Candidate,
    vectors: Vectors,
    held_out: Sequence[HeldOut],
    bar: float,
    coarse: CoarseLists | None,
) -> tuple[EffortCurve, bool]:
    """The efforts that are worth their expected cost, and whether the last of them reaches the bar.

    Which efforts make the curve depends on expected cost and measured recall alone, so that it is the same on every
    machine; their milliseconds are measured.
    """
    efforts, recalls, reaching = list[Effort](), list[float](), list[Effort]()
    for effort in candidate.efforts():
        if efforts and candidate.cost(effort) > _HOPELESS * candidate.cost(efforts[-1]):
            break
        if candidate.lists and coarse is not None and recalls and coarse.share(effort.probes) < recalls[-1] + _GAIN_MIN:
            continue  # more is not in so few lists
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


def _found(index: VectorIndex, kind: HeldOut, point: EffortPoint, vectors: Vectors) -> Vectors:
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
