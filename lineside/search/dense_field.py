"""Cosines of questions to the rows of a release in one vector space, over flat and approximate shards alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineside.shards.vector_index import VectorIndex

Vector = NDArray[np.float32]
Rows = NDArray[np.int64]
Span = tuple[int, int]

_EMPTY_ROWS = np.empty(0, np.int64)
_EMPTY_SCORES = np.empty(0, np.float32)


class _ApproximatePart:
    """The rows `[start, end)` of the release whose vectors are in an approximate index.

    `vector_of` (n,) gives the vector of every row (-1 for none); several rows may share one.
    """

    def __init__(self, index: VectorIndex, start: int, vector_of: NDArray[np.int32]) -> None:
        self.index, self.start, self.end, self.vector_of = index, start, start + len(vector_of), vector_of
        by_vector = np.argsort(vector_of, kind="stable").astype(np.int64)
        self._rows = by_vector[np.searchsorted(vector_of[by_vector], 0) :]
        self._indptr = np.searchsorted(vector_of[self._rows], np.arange(len(index) + 1))

    def top(self, vector: Vector, rows: Rows, n: int, effort: int | None) -> tuple[Rows, Vector]:
        local = rows - self.start
        allowed_rows = np.zeros(len(self.vector_of), bool)
        allowed_rows[local] = True
        vectors = self.vector_of[local]
        allowed = np.zeros(len(self.index), bool)
        allowed[vectors[vectors >= 0]] = True
        scores, ids = self.index.search(vector[None], n, effort, None if allowed.all() else allowed)
        found, found_scores = [_EMPTY_ROWS], [_EMPTY_SCORES]
        for vector_id, score in zip(ids[0], scores[0], strict=True):
            if vector_id >= 0:
                sharing = self._rows[self._indptr[vector_id] : self._indptr[vector_id + 1]]
                sharing = sharing[allowed_rows[sharing]]
                found.append(sharing + self.start)
                found_scores.append(np.full(len(sharing), score, np.float32))
        return np.concatenate(found), np.concatenate(found_scores)

    def vectors(self, rows: Rows) -> Vector:
        ids = self.vector_of[rows - self.start]
        found = np.zeros((len(rows), self.index.dimension), np.float32)
        present = ids >= 0
        if present.any():
            found[present] = self.index.reconstruct(ids[present].astype(np.int64))
        return found


@dataclass(frozen=True, slots=True)
class FieldPart:
    """One shard's index in this vector space and the vector of each of its rows (-1: none)."""

    index: VectorIndex | None
    vector_of: NDArray[np.int32]


class DenseField:
    """All vectors of one space. Flat shards are one matrix, so that a batch is one product."""

    def __init__(self, parts: Sequence[FieldPart], dimension: int, effort: int | None = None) -> None:
        self.dimension = dimension
        self._effort = effort
        self._approximate: list[_ApproximatePart] = []
        n = sum(len(p.vector_of) for p in parts)
        self._place = np.full(n, -1, np.int64)  # row of the release -> row of the matrix
        blocks, start, place = [np.empty((0, dimension), np.float32)], 0, 0
        self.has_vector = np.zeros(n, bool)
        for part in parts:
            size = len(part.vector_of)
            self.has_vector[start : start + size] = part.vector_of >= 0 if part.index is not None else False
            if part.index is not None and not part.index.is_flat:
                self._approximate.append(_ApproximatePart(part.index, start, part.vector_of))
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
        self._all_flat = not self._approximate

    def scan(self, queries: Sequence[Vector | None], spans: Sequence[Span]) -> list[DenseScan | None]:
        """One matrix product for all queries over the same rows; None without a query or without any vectors."""
        groups: dict[Span, list[int]] = defaultdict(list)
        for i, query in enumerate(queries):
            if query is not None and self.dimension:
                groups[spans[i]].append(i)
        scans: list[DenseScan | None] = [None] * len(queries)
        for (start, end), members in groups.items():
            stacked = np.stack([q for i in members if (q := queries[i]) is not None])
            places = self._place[start:end]
            flat = places[places >= 0]
            first, last = (int(flat[0]), int(flat[-1]) + 1) if len(flat) else (0, 0)
            scores = stacked @ self._matrix[first:last].T
            for i, vector, row in zip(members, stacked, scores, strict=True):
                scans[i] = DenseScan(self, vector, row, first, (start, end))
        return scans

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

    def __init__(self, field: DenseField, vector: Vector, scores: Vector, first: int, span: Span) -> None:
        self._field, self.vector, self._scores, self._first, self._span = field, vector, scores, first, span

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
        places = self._field._place[rows]
        exact = rows[places >= 0]
        found, scores = [exact], [self.at(exact)]
        for part in self._field._approximate:
            inside = rows[(rows >= part.start) & (rows < part.end)]
            if len(inside):
                part_rows, part_scores = part.top(self.vector, inside, n, self._field._effort)
                found.append(part_rows)
                scores.append(part_scores)
        return best(np.concatenate(found), np.concatenate(scores), n)


def best(rows: Rows, scores: Vector, n: int) -> tuple[Rows, Vector]:
    """The n rows with the highest scores, in no order."""
    if len(rows) <= n:
        return rows, scores
    chosen = np.argpartition(scores, len(scores) - n)[-n:]
    return rows[chosen], scores[chosen]
