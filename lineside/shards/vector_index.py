"""Vector indexes: chosen by size and memory budget, measured on held-out queries, searched at a chosen effort.

Rows are L2-normalised, so inner product is cosine. Which factory strings are worth trying, and in which order, was
measured on 200 000 x 512 clustered vectors (docs/adr/0002-vector-index.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from lineside.errors import ConfigurationError, ShardError
from lineside.shards.manifest import EffortCurve, EffortPoint
from lineside.shards.settings import VectorIndexSettings

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]

RECALL_AT = 10
_REFINE_FACTOR = 8.0
_EXACT_ALLOWED_MAX = 20_000
_TRAIN_ROWS_PER_LIST = 30  # fewer give poor centroids
_NPROBES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_EFS = (16, 32, 64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A FAISS factory string and the bytes it takes for a row."""

    factory: str
    bytes_per_row: float


def build_vector_index(
    vectors: Vectors, settings: VectorIndexSettings, queries: Vectors | None = None
) -> tuple[VectorIndex, EffortCurve]:
    """The first index, fast and small ones first, that fits the memory budget and reaches the recall bar.

    Args:
        vectors: (n, d) float32, rows normalised (a zero row is never found).
        queries: (q, d) held-out queries; without them rows are disturbed until their cosine to the row is about 0.8.

    Raises:
        ConfigurationError: no index within the budget reaches the bar.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    n, d = vectors.shape
    if n <= settings.flat_max_rows:
        flat = faiss.IndexFlatIP(d)
        flat.add(vectors)
        curve = EffortCurve(
            index="Flat",
            points=(EffortPoint(effort=0, recall=1, ms=0),),
            default_effort=0,
        )
        return VectorIndex(flat, 0), curve
    budget = np.inf if settings.memory_budget_mib is None else settings.memory_budget_mib * 2**20
    with faiss_threads(settings.threads):
        held_out = _held_out(vectors, settings) if queries is None else np.ascontiguousarray(queries, np.float32)
        truth = _exact(vectors, held_out, RECALL_AT)
        best = 0.0
        for choice in _choices(n, d):
            if choice.bytes_per_row * n > budget:
                continue
            index = _train(choice.factory, vectors, settings)
            curve = _measure(index, choice.factory, held_out, truth, settings.recall_bar)
            best = max(best, max(p.recall for p in curve.points))
            if best >= settings.recall_bar:
                return VectorIndex(index, curve.default_effort), curve
    raise ConfigurationError(
        f"no index of {n} x {d} within {budget / 2**20:.0f} MiB reaches recall {settings.recall_bar} "
        f"(best {best:.3f}): raise memory_budget_mib to {n * d * 4 / 2**20:.0f} or lower recall_bar"
    )


def _choices(n: int, d: int) -> list[_Choice]:
    lists = 1 << max(6, round(np.log2(2 * np.sqrt(n))))
    quarter = d // 4 if d % 4 == 0 else 0
    by_speed = []
    for refinement, refined_bytes in (("SQ8", 1.0), ("SQ6", 0.75), ("SQfp16", 2.0)):
        if quarter and n >= _TRAIN_ROWS_PER_LIST * lists:
            factory = f"IVF{lists},PQ{quarter}x4fs,Refine({refinement})"
            by_speed.append(_Choice(factory, quarter / 2 + refined_bytes * d + 12))
        if refinement == "SQ8":
            by_speed.append(_Choice("HNSW32,SQ8", d + 32 * 2 * 4 * 1.05))
    return [
        *by_speed,
        _Choice("HNSW32,Flat", d * 4 + 32 * 2 * 4 * 1.05),
        _Choice("Flat", d * 4),
    ]


def _train(factory: str, vectors: Vectors, settings: VectorIndexSettings) -> Any:
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        rng = np.random.default_rng(settings.seed)
        count = min(len(vectors), settings.train_rows_max)
        chosen = np.sort(rng.choice(len(vectors), count, replace=False))
        index.train(vectors[chosen])
    index.add(vectors)
    return index


def _held_out(vectors: Vectors, settings: VectorIndexSettings) -> Vectors:
    rng = np.random.default_rng(settings.seed)
    rows = vectors[rng.choice(len(vectors), min(settings.held_out_queries, len(vectors)), replace=False)]
    noise = rng.standard_normal(rows.shape).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    disturbed = rows + 0.75 * noise
    return cast(Vectors, disturbed / np.linalg.norm(disturbed, axis=1, keepdims=True))


def _exact(vectors: Vectors, queries: Vectors, k: int) -> Ids:
    flat = faiss.IndexFlatIP(vectors.shape[1])
    best_scores = np.full((len(queries), k), -np.inf, np.float32)
    best_ids = np.full((len(queries), k), -1, np.int64)
    for start in range(0, len(vectors), 65_536):  # bounded memory: one block at a time
        flat.reset()
        flat.add(vectors[start : start + 65_536])
        scores, ids = flat.search(queries, k)
        scores = np.concatenate([best_scores, scores], axis=1)
        ids = np.concatenate([best_ids, np.where(ids < 0, -1, ids + start)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best_scores, best_ids = (
            np.take_along_axis(scores, order, 1),
            np.take_along_axis(ids, order, 1),
        )
    return best_ids


def _measure(index: Any, factory: str, queries: Vectors, truth: Ids, bar: float) -> EffortCurve:
    wrapped = VectorIndex(index, 0)
    points: list[EffortPoint] = []
    for effort in wrapped.efforts():
        seconds = []
        hits = 0
        for row, query in enumerate(queries):
            started = time.perf_counter()
            _, ids = wrapped.search(query[None], RECALL_AT, effort)
            seconds.append(time.perf_counter() - started)
            hits += len(np.intersect1d(ids[0], truth[row]))
        points.append(
            EffortPoint(
                effort=effort,
                recall=hits / truth.size,
                ms=round(float(np.median(seconds)) * 1000, 4),
            )
        )
        if points[-1].recall >= 0.9995:
            break
    reaching = [p.effort for p in points if p.recall >= bar]
    default = reaching[0] if reaching else max(points, key=lambda p: p.recall).effort
    return EffortCurve(index=factory, points=tuple(points), default_effort=default)


class VectorIndex:
    """A FAISS index with one way to search it, whatever its kind. Reading is thread-safe."""

    def __init__(self, index: Any, default_effort: int) -> None:
        self._owner = index  # the downcast views below do not keep the C++ object alive
        self._index = faiss.downcast_index(index)
        self._default_effort = default_effort
        refined = isinstance(self._index, faiss.IndexRefine)
        self._base = faiss.downcast_index(self._index.base_index) if refined else self._index
        self._refined = refined

    @property
    def is_flat(self) -> bool:
        """Whether every vector is compared exactly."""
        return isinstance(self._index, faiss.IndexFlat)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def efforts(self) -> tuple[int, ...]:
        """The efforts worth measuring: nprobe of an inverted file, ef of a graph, 0 for flat."""
        if isinstance(self._base, faiss.IndexIVF):
            return tuple(p for p in _NPROBES if p <= self._base.nlist)
        return _EFS if isinstance(self._base, faiss.IndexHNSW) else (0,)

    def search(
        self,
        queries: Vectors,
        k: int,
        effort: int | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[Vectors, Ids]:
        """The `k` best rows for every query.

        Args:
            queries: (q, d) float32.
            effort: nprobe or ef; the index's default when None.
            allowed: (n,) rows that may be returned. Few of them are compared exactly, so that a narrow filter
                loses nothing; with many the effort grows as the share falls.

        Returns:
            scores (q, k) float32, -inf where there are fewer rows; ids (q, k) int64, -1 there.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        effort = self._default_effort if effort is None else effort
        selector = None
        if allowed is not None:
            rows = np.flatnonzero(allowed)
            if len(rows) <= _EXACT_ALLOWED_MAX or self.is_flat:
                return self._search_exact(queries, k, rows)
            packed = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(packed), faiss.swig_ptr(packed))
            effort = max(effort, round(effort * len(allowed) / len(rows)))
        k_found = min(k, len(self))
        scores, ids = self._index.search(queries, k_found, params=self._parameters(effort, selector))
        scores[ids < 0] = -np.inf
        if k_found < k:
            scores = np.pad(scores, ((0, 0), (0, k - k_found)), constant_values=-np.inf)
            ids = np.pad(ids, ((0, 0), (0, k - k_found)), constant_values=-1)
        return scores, ids

    def _search_exact(self, queries: Vectors, k: int, rows: Ids) -> tuple[Vectors, Ids]:
        scores = np.full((len(queries), k), -np.inf, np.float32)
        ids = np.full((len(queries), k), -1, np.int64)
        if len(rows):
            found = queries @ self.reconstruct(rows).T
            best = np.argsort(-found, axis=1, kind="stable")[:, :k]
            scores[:, : best.shape[1]] = np.take_along_axis(found, best, 1)
            ids[:, : best.shape[1]] = rows[best]
        return scores, ids

    def reconstruct(self, ids: Ids) -> Vectors:
        """The stored vectors (m, d) float32 of these rows, as exact as the index keeps them."""
        if self.is_flat:
            return self.matrix()[ids]
        source = self._index.refine_index if self._refined else self._base
        return cast(
            Vectors,
            faiss.downcast_index(source).reconstruct_batch(np.ascontiguousarray(ids, np.int64)),
        )

    def matrix(self) -> Vectors:
        """All vectors (n, d) of a flat index, without a copy; valid as long as this object."""
        view = faiss.rev_swig_ptr(self._index.get_xb(), len(self) * self.dimension)
        return cast(Vectors, view.reshape(len(self), self.dimension))

    def _parameters(self, effort: int, selector: Any) -> Any:
        chosen = {} if selector is None else {"sel": selector}
        if isinstance(self._base, faiss.IndexIVF):
            base = faiss.SearchParametersIVF(nprobe=min(max(effort, 1), self._base.nlist), **chosen)
        elif isinstance(self._base, faiss.IndexHNSW):
            base = faiss.SearchParametersHNSW(efSearch=max(effort, 16), **chosen)
        else:
            base = faiss.SearchParameters(**chosen)
        if not self._refined:
            return base
        return faiss.IndexRefineSearchParameters(k_factor=_REFINE_FACTOR, base_index_params=base)


def write_vector_index(index: VectorIndex, path: Path) -> None:
    """Writes FAISS's own format."""
    faiss.write_index(index._index, str(path))


def read_vector_index(path: Path, default_effort: int) -> VectorIndex:
    """Reads an index, by memory map where FAISS can.

    Raises:
        ShardError: FAISS cannot read the file.
    """
    try:
        return VectorIndex(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), default_effort)
    except RuntimeError as error:
        raise ShardError(f"{path} cannot be read: {error}") from error


@contextmanager
def faiss_threads(count: int) -> Iterator[None]:
    """FAISS's OpenMP threads within the block; the setting is the process's."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
