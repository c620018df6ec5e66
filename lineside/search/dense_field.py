"""Cosines of questions to the rows of a release in one vector space, over flat and approximate shards alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineside.search.effort import EffortChooser, EffortUsed
from lineside.shards.vector_index import Allowed, VectorIndex

Vector = NDArray[np.float32]
Rows = NDArray[np.int64]
Span = tuple[int, int]

_SELECTIONS_MAX = 64
_BLOCK = 32
_UNFILTERED_SHARE = 0.9  # from here on a selector hardly changes a search's time


class _ApproximatePart:
    """The rows `[start, end)` of the release whose vectors are in an approximate index.

    `vector_of` (n,) gives the vector of every row (-1 for none); several rows may share one.
    """

    def __init__(self, index: VectorIndex, start: int, vector_of: NDArray[np.int32], effort: int | None) -> None:
        self.index, self.start, self.end, self.vector_of = index, start, start + len(vector_of), vector_of
        self.chooser = EffortChooser(index.curve, effort)
        by_vector = np.argsort(vector_of, kind="stable").astype(np.int64)
        self._rows = by_vector[np.searchsorted(vector_of[by_vector], 0) :]
        self._indptr = np.searchsorted(vector_of[self._rows], np.arange(len(index) + 1))

    def select(self, rows: Rows) -> _PartSelection | None:
        """The rows of this part among these ascending ones; None where there are none."""
        first, last = np.searchsorted(rows, (self.start, self.end))
        local = rows[first:last] - self.start
        if not len(local):
            return None
        if len(local) == len(self.vector_of):
            return _PartSelection(None, None)
        allowed_rows = np.zeros(len(self.vector_of), bool)
        allowed_rows[local] = True
        vectors = self.vector_of[local]
        allowed = np.zeros(len(self.index), bool)
        allowed[vectors[vectors >= 0]] = True
        return _PartSelection(allowed_rows, Allowed(allowed))

    def top(
        self, vector: Vector, selection: _PartSelection, n: int, budget_ms: float | None
    ) -> tuple[Rows, Vector, EffortUsed]:
        """About n best rows with their cosines; rows that share a vector come together."""
        point = self.chooser.choose(budget_ms)
        started = time.perf_counter()
        scores, ids = self.index.search(vector[None], n, point, selection.vectors)
        ms = (time.perf_counter() - started) * 1000
        if selection.vectors is None or selection.vectors.share > _UNFILTERED_SHARE:
            self.chooser.observe(point, ms)
        found = ids[0] >= 0
        ids, scores = ids[0][found], scores[0][found]
        counts = self._indptr[ids + 1] - self._indptr[ids]
        # The places `indptr[i], indptr[i] + 1, ...` of all ids in one array.
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows, row_scores = self._rows[np.repeat(self._indptr[ids], counts) + offsets], np.repeat(scores, counts)
        if selection.rows is not None:
            kept = selection.rows[rows]
            rows, row_scores = rows[kept], row_scores[kept]
        return rows + self.start, row_scores, EffortUsed(point.effort, point.rescored, point.recall, ms)

    def vectors(self, rows: Rows) -> Vector:
        ids = self.vector_of[rows - self.start]
        found = np.zeros((len(rows), self.index.dimension), np.float32)
        present = ids >= 0
        if present.any():
            found[present] = self.index.reconstruct(ids[present].astype(np.int64))
        return found


@dataclass(frozen=True, slots=True)
class _PartSelection:
    """Allowed rows (n,) of a part and the vectors that they use; None for all."""

    rows: NDArray[np.bool_] | None
    vectors: Allowed | None


@dataclass(frozen=True, slots=True)
class _Selection:
    """Allowed rows of the release, prepared: those compared exactly, and what each approximate part may return."""

    rows: Rows
    exact: Rows
    parts: tuple[_PartSelection | None, ...]


@dataclass(frozen=True, slots=True)
class FieldPart:
    """One shard's index in this vector space and the vector of each of its rows (-1: none)."""

    index: VectorIndex | None
    vector_of: NDArray[np.int32]


class DenseField:
    """All vectors of one space. Flat shards are one matrix, so that a batch is one product."""

    def __init__(self, parts: Sequence[FieldPart], dimension: int, effort: int | None = None) -> None:
        self.dimension = dimension
        self._selections: dict[int, _Selection] = {}
        self._approximate: list[_ApproximatePart] = []
        n = sum(len(p.vector_of) for p in parts)
        self._place = np.full(n, -1, np.int64)  # row of the release -> row of the matrix
        blocks, start, place = [np.empty((0, dimension), np.float32)], 0, 0
        self.has_vector = np.zeros(n, bool)
        for part in parts:
            size = len(part.vector_of)
            self.has_vector[start : start + size] = part.vector_of >= 0 if part.index is not None else False
            if part.index is not None and not part.index.is_flat:
                self._approximate.append(_ApproximatePart(part.index, start, part.vector_of, effort))
            else:
                block = np.zeros((size, dimension), np.float32)
                if part.index is not None:
                    present = part.vector_of >= 0
                    block[present] = part.index.matrix()[part.vector_of[present]]
                blocks.append(block)
                self._place[start : start + size] = np.arange(place, place + size)
                place += size
            start += size
        self._matrix = np.ascontiguousarray(np.concatenate(blocks))
        self._flat_rows = np.flatnonzero(self._place >= 0)  # ascending, as their places are
        self._all_flat = not self._approximate

    def approximate_count(self, span: Span) -> int:
        """How many approximate indexes a search of these rows goes through."""
        return sum(part.start < span[1] and part.end > span[0] for part in self._approximate)

    def scan(
        self, queries: Sequence[Vector | None], spans: Sequence[Span], budgets_ms: Sequence[float | None] | None = None
    ) -> list[DenseScan | None]:
        """One matrix product for all queries over the same rows; None without a query or without any vectors.

        `budgets_ms`: the time that one search of one approximate index may take for each query; None: not limited.
        """
        groups: dict[Span, list[int]] = defaultdict(list)
        for i, query in enumerate(queries):
            if query is not None and self.dimension:
                groups[spans[i]].append(i)
        scans: list[DenseScan | None] = [None] * len(queries)
        for (start, end), members in groups.items():
            stacked = np.stack([q for i in members if (q := queries[i]) is not None])
            first, last = np.searchsorted(self._flat_rows, (start, end)).tolist()
            scores = stacked @ self._matrix[first:last].T
            for i, vector, row in zip(members, stacked, scores, strict=True):
                scans[i] = DenseScan(self, vector, row, first, None if budgets_ms is None else budgets_ms[i])
        return scans

    def select(self, rows: Rows) -> _Selection:
        """What a search needs to know of these allowed rows, ascending; kept while the same array comes again.

        So only the first search with a filter costs a look at every row.
        """
        selection = self._selections.get(id(rows))
        if selection is None or selection.rows is not rows:
            if len(self._selections) >= _SELECTIONS_MAX:
                self._selections.clear()
            exact = rows[self._place[rows] >= 0]
            selection = _Selection(rows, exact, tuple(part.select(rows) for part in self._approximate))
            self._selections[id(rows)] = selection
        return selection

    def vectors(self, rows: Rows) -> Vector:
        """Vectors (m, d) of these rows; zero where there is none."""
        if self._all_flat:
            return self._matrix[rows]
        places = self._place[rows]
        found = np.zeros((len(rows), self.dimension), np.float32)
        found[places >= 0] = self._matrix[places[places >= 0]]
        for part in self._approximate:
            inside = (rows >= part.start) & (rows < part.end)
            if inside.any():
                found[inside] = part.vectors(rows[inside])
        return found


class DenseScan:
    """The cosines of one query: known for flat shards, looked up for approximate ones."""

    def __init__(self, field: DenseField, vector: Vector, scores: Vector, first: int, budget_ms: float | None) -> None:
        self._field, self.vector, self._scores, self._first = field, vector, scores, first
        self._budget_ms = budget_ms
        self.used: list[EffortUsed] = []

    def at(self, rows: Rows) -> Vector:
        """Cosines (m,) of these rows, 0 for rows without a vector."""
        if self._field._all_flat:
            return self._scores[rows - self._first]
        places = self._field._place[rows]
        flat = places >= 0
        found = np.empty(len(rows), np.float32)
        found[flat] = self._scores[places[flat] - self._first]
        if not flat.all():
            found[~flat] = self._field.vectors(rows[~flat]) @ self.vector
        return found

    def top(self, rows: Rows, n: int) -> tuple[Rows, Vector]:
        """The n best among `rows` with their cosines, in no order."""
        if self._field._all_flat:
            return best(rows, self.at(rows), n)
        selection = self._field.select(rows)
        found, scores = [selection.exact], [self.at(selection.exact)]
        for part, chosen in zip(self._field._approximate, selection.parts, strict=True):
            if chosen is not None:
                part_rows, part_scores, used = part.top(self.vector, chosen, n, self._budget_ms)
                found.append(part_rows)
                scores.append(part_scores)
                self.used.append(used)
        return best(np.concatenate(found), np.concatenate(scores), n)


def best(rows: Rows, scores: Vector, n: int) -> tuple[Rows, Vector]:
    """The n rows with the highest scores, in no order.

    Of many scores only those are partitioned that are not below the n-th highest of blocks' maxima, which n scores
    reach for certain: two passes instead of a partition of everything, which takes many times as long.
    """
    if len(rows) <= n:
        return rows, scores
    if len(rows) >= _BLOCK * 2 * n:
        whole = len(rows) - len(rows) % _BLOCK
        maxima = scores[:whole].reshape(-1, _BLOCK).max(axis=1)
        floor = np.partition(maxima, len(maxima) - n)[len(maxima) - n]
        reaching = np.flatnonzero(scores >= floor)
        if len(reaching) < len(rows) // 2:  # many equal scores may all reach it
            rows, scores = rows[reaching], scores[reaching]
    chosen = np.argpartition(scores, len(scores) - n)[-n:]
    return rows[chosen], scores[chosen]
