"""Vector indexes behind one interface: this project's candidates and builder, hnswlib, usearch, ScaNN.

Every system builds to a path, is opened from it, and is searched by one thread with a ladder of its own efforts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lineside.errors import ConfigurationError
from lineside.shards.index_building import build_vector_index, train_index
from lineside.shards.index_candidates import Candidate, candidates
from lineside.shards.manifest import EffortCurve, EffortPoint
from lineside.shards.settings import VectorIndexSettings
from lineside.shards.vector_index import read_vector_index

Search = Callable[[np.ndarray, int], np.ndarray]
"""(q, d) queries and k to ids (q, k)."""

_EFS: Final = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True)
class System:
    """`build` writes below a path that does not exist yet; `open` gives (effort, search) pairs, cheapest first."""

    name: str
    build: Callable[[np.ndarray, Path], None]
    open: Callable[[Path, int], Iterator[tuple[str, Search]]]


def systems(n: int, d: int) -> list[System]:
    """Everything that is compared on (n, d) vectors."""
    found = [_candidate(c) for c in candidates(n, d)]
    found += [_builder("no budget, .98", None, 0.98)]
    if n >= 50_000:
        found += [
            _builder("650 B a row, .98", 650 * n / 2**20, 0.98),
            _builder("480 B a row, .95", 480 * n / 2**20, 0.95),
        ]
    found += [System("hnswlib M16", _build_hnswlib, _open_hnswlib)]
    found += [
        System(f"usearch {kind}", _usearch_builder(kind, d), _usearch_opener(kind, d)) for kind in ("f32", "f16", "i8")
    ]
    found += [System("ScaNN", _build_scann, _open_scann)]
    return found


# ---- This project ------------------------------------------------------------------------------------------------


def _candidate(candidate: Candidate) -> System:
    def build(vectors: np.ndarray, path: Path) -> None:
        train_index(candidate, vectors, VectorIndexSettings()).write(path)

    def open_(path: Path, n: int) -> Iterator[tuple[str, Search]]:
        points = [EffortPoint(effort=e.probes, rescored=e.rescored, recall=0, ms=0) for e in candidate.efforts()]
        curve = EffortCurve(index=candidate.factory, points=tuple(points), default_effort=0)
        yield from _points(path, curve, points)

    return System(candidate.factory, build, open_)


def _builder(name: str, budget_mib: float | None, bar: float) -> System:
    """`build_vector_index` as a shard's writer calls it; the curve lies beside the index."""

    def build(vectors: np.ndarray, path: Path) -> None:
        settings = VectorIndexSettings(memory_budget_mib=budget_mib, recall_bar=bar)
        try:
            index, curve = build_vector_index(vectors, settings)
        except ConfigurationError as error:
            path.with_suffix(".refused").write_text(str(error), encoding="utf-8")
            raise
        path.with_suffix(".json").write_text(curve.model_dump_json(), encoding="utf-8")
        index.write(path)

    def open_(path: Path, n: int) -> Iterator[tuple[str, Search]]:
        curve = EffortCurve.model_validate_json(path.with_suffix(".json").read_text(encoding="utf-8"))
        yield from _points(path, curve, [curve.default])

    return System(f"builder: {name}", build, open_)


def _points(path: Path, curve: EffortCurve, points: Sequence[EffortPoint]) -> Iterator[tuple[str, Search]]:
    index = read_vector_index(path, curve)
    for point in points:
        label = f"{point.effort}" + (f"/{point.rescored}" if point.rescored else "")
        yield label, lambda queries, k, point=point: index.search(queries, k, point)[1]  # type: ignore[misc]


# ---- Others ------------------------------------------------------------------------------------------------------


def _build_hnswlib(vectors: np.ndarray, path: Path) -> None:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=16, ef_construction=200, random_seed=1)
    index.set_num_threads(1)
    for start in range(0, len(vectors), 50_000):
        index.add_items(np.ascontiguousarray(vectors[start : start + 50_000]))
    index.save_index(str(path))


def _open_hnswlib(path: Path, n: int) -> Iterator[tuple[str, Search]]:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=_dimension(path))
    index.load_index(str(path), max_elements=n)
    index.set_num_threads(1)
    for ef in _EFS:
        index.set_ef(ef)
        yield f"{ef}", lambda queries, k: index.knn_query(queries, k)[0]


def _usearch_builder(kind: str, d: int) -> Callable[[np.ndarray, Path], None]:
    def build(vectors: np.ndarray, path: Path) -> None:
        index = _usearch(kind, d)
        for start in range(0, len(vectors), 50_000):
            block = np.ascontiguousarray(vectors[start : start + 50_000])
            index.add(np.arange(start, start + len(block), dtype=np.uint64), block, threads=1)
        index.save(str(path))

    return build


def _usearch_opener(kind: str, d: int) -> Callable[[Path, int], Iterator[tuple[str, Search]]]:
    def open_(path: Path, n: int) -> Iterator[tuple[str, Search]]:
        index = _usearch(kind, d)
        index.load(str(path))
        for ef in _EFS:
            index.expansion_search = ef

            def search(queries: np.ndarray, k: int) -> np.ndarray:
                keys: np.ndarray = index.search(queries, k, threads=1).keys
                return keys.reshape(len(queries), k).astype(np.int64)

            yield f"{ef}", search

    return open_


def _usearch(kind: str, d: int) -> Any:
    from usearch.index import Index

    return Index(ndim=d, metric="ip", dtype=kind, connectivity=16, expansion_add=200)


def _build_scann(vectors: np.ndarray, path: Path) -> None:
    from scann import scann_ops_pybind

    n = len(vectors)
    leaves = int(max(10, 2 * np.sqrt(n)))
    rows = np.ascontiguousarray(vectors)
    builder = scann_ops_pybind.builder(rows, 10, "dot_product").tree(
        leaves, num_leaves_to_search=10, training_sample_size=min(n, 60_000), spherical=True
    )
    # As in the library's example for cosine data: 2 dimensions a code, anisotropic weight 0.2. Without spherical
    # partitions leaves with long centroids win, and recall in 128 leaves of clustered-200000 is 0.90.
    searcher = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()
    path.mkdir()
    searcher.serialize(str(path))


def _open_scann(path: Path, n: int) -> Iterator[tuple[str, Search]]:
    from scann import scann_ops_pybind

    searcher = scann_ops_pybind.load_searcher(str(path))
    for leaves in (2, 4, 8, 16, 32, 64, 128):
        for reorder in (30, 100):

            def search(queries: np.ndarray, k: int, leaves: int = leaves, reorder: int = reorder) -> np.ndarray:
                if len(queries) == 1:
                    ids, _ = searcher.search(queries[0], k, reorder, leaves)
                    return ids[None]
                ids, _ = searcher.search_batched(queries, k, reorder, leaves)
                return ids

            yield f"{leaves}/{reorder}", search


def _dimension(path: Path) -> int:
    return int(json.loads(path.with_suffix(".shape").read_text(encoding="utf-8"))["d"])
