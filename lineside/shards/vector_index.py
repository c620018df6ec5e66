"""A vector index as it is searched: whatever its kind, at an effort chosen by the caller, within allowed rows.

Rows are L2-normalised, so inner product is cosine. `lineside.shards.index_building` makes indexes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from lineside.errors import ShardError
from lineside.shards.manifest import EffortCurve, EffortPoint
from lineside.shards.rabitq_codes import RaBitQCodes

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

EXACT = EffortCurve(
    index="Flat", points=(EffortPoint(effort=0, recall=1, ms=0),), default_effort=0
)  # every row is compared

_EXACT_ALLOWED_MAX = 4_000  # about 1 us each; more are found sooner by probing lists with a selector
_RESCORED_PER_WANTED = 2  # rows compared by finer codes for each row asked for, at least


class Allowed:
    """Rows that may be found, prepared once for any number of searches of one index."""

    def __init__(self, mask: Mask) -> None:
        """`mask` (n,): whether row i of the index may be found."""
        rows = np.flatnonzero(mask)
        self.share = len(rows) / max(len(mask), 1)
        self.few = len(rows) <= _EXACT_ALLOWED_MAX  # compared exactly, so that a narrow filter loses nothing
        self.rows: Ids = rows if self.few else rows[:0]
        self._packed = np.packbits(mask, bitorder="little")  # the selector does not keep it alive
        self.selector = faiss.IDSelectorBitmap(len(self._packed), faiss.swig_ptr(self._packed))


class VectorIndex:
    """A FAISS index with one way to search it, whatever its kind. Reading is thread-safe."""

    def __init__(self, index: Any, curve: EffortCurve = EXACT) -> None:
        self.curve = curve
        self._owner = index  # the downcast views below do not keep the C++ object alive
        self._index = faiss.downcast_index(index)
        self._refined = isinstance(self._index, faiss.IndexRefine)
        self._base = faiss.downcast_index(self._index.base_index) if self._refined else self._index
        self._parameters: dict[tuple[int, float], Any] = {}
        self._map_rows()
        finest = faiss.downcast_index(self._index.refine_index if self._refined else self._base)
        self._rabitq = RaBitQCodes(finest) if isinstance(finest, faiss.IndexRaBitQ) else None

    @property
    def is_flat(self) -> bool:
        """Whether every vector is compared exactly."""
        return isinstance(self._index, faiss.IndexFlat)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(
        self,
        queries: Vectors,
        k: int,
        effort: EffortPoint | None = None,
        allowed: Allowed | None = None,
    ) -> tuple[Vectors, Ids]:
        """The `k` best rows for every query.

        Args:
            queries: (q, d) float32.
            effort: how far to look; the curve's default when None.
            allowed: rows that may be returned, all when None. Few of them are compared exactly, so that a narrow
                filter loses nothing; with many the effort grows as the share falls.

        Returns:
            scores (q, k) float32, -inf where there are fewer rows; ids (q, k) int64, -1 there.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        effort = effort or self.curve.default
        probes, rescored, selector = effort.effort, effort.rescored, None
        if allowed is not None and allowed.share < 1:
            if allowed.few:
                return self._search_exact(queries, k, allowed.rows)
            selector = allowed.selector
            # Few allowed rows lie in a near list, and the best of them are less far above the rest than usual.
            probes = round(probes * (2 / allowed.share - 1))
            rescored = round(rescored * min(1 / allowed.share, 2))
        k_found = max(1, min(k, len(self)))
        factor = max(_RESCORED_PER_WANTED, rescored / k_found) if self._refined else 1.0
        parameters = self._search_parameters(probes, factor, selector)
        scores, ids = self._index.search(queries, k_found, params=parameters)
        if ids[:, -1].min() < 0:  # missing ones come last
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
        if self._rabitq is not None:
            return self._rabitq.decode(ids)
        source = self._index.refine_index if self._refined else self._base
        return cast(
            Vectors,
            faiss.downcast_index(source).reconstruct_batch(np.ascontiguousarray(ids, np.int64)),
        )

    def matrix(self) -> Vectors:
        """All vectors (n, d) of a flat index, without a copy; valid as long as this object."""
        view = faiss.rev_swig_ptr(self._index.get_xb(), len(self) * self.dimension)
        return cast(Vectors, view.reshape(len(self), self.dimension))

    def write(self, path: Path) -> None:
        """Writes FAISS's own format, without what is made again when it is read. Nobody may search meanwhile."""
        if self._scans_lists:
            self._base.set_direct_map_type(faiss.DirectMap.NoMap)
        faiss.write_index(self._index, str(path))
        self._map_rows()

    @property
    def _scans_lists(self) -> bool:
        """Whether an inverted file holds the codes that decide."""
        return isinstance(self._base, faiss.IndexIVF) and not self._refined

    def _map_rows(self) -> None:
        """Notes where each row lies in the inverted lists, for `reconstruct`."""
        if self._scans_lists:
            self._base.make_direct_map()

    def _search_parameters(self, probes: int, factor: float, selector: Any) -> Any:
        """Kept for the next search: making them takes longer than probing a list."""
        found = None if selector is not None else self._parameters.get((probes, factor))
        if found is None:
            chosen = {} if selector is None else {"sel": selector}
            if isinstance(self._base, faiss.IndexIVF):
                found = faiss.SearchParametersIVF(nprobe=min(max(probes, 1), self._base.nlist), **chosen)
            elif isinstance(self._base, faiss.IndexHNSW):
                found = faiss.SearchParametersHNSW(efSearch=max(probes, 1), **chosen)
            else:
                found = faiss.SearchParameters(**chosen)
            if self._refined:
                found = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=found)
            if selector is None:
                self._parameters[probes, factor] = found
        return found


def read_vector_index(path: Path, curve: EffortCurve) -> VectorIndex:
    """Reads an index, by memory map where FAISS can.

    Raises:
        ShardError: FAISS cannot read the file.
    """
    try:
        return VectorIndex(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), curve)
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
