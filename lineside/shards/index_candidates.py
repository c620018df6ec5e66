"""Which kinds of vector index are worth building for a number of rows, in order, and what each takes.

The order was measured (docs/adr/0002-vector-index.md): the fastest at equal recall come first, and what reaches a bar
that those miss, or fits a budget that they exceed, comes after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TRAIN_ROWS_PER_LIST = 30  # fewer give poor centroids
_PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)
_EFS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
_RESCORED = (20, 30, 40, 50, 60, 80, 120, 160, 320)
_GRAPH_DEGREE = 32
_RABITQ_FACTOR_BYTES = 20
# Nanoseconds that these took where the order was measured; only their ratios matter.
_CENTROID_NS = 0.06  # a dimension of a centroid, compared in a row with the others
_ROW_NS = 0.15  # a dimension of a row, compared by 8-bit codes
_SUBCODE_NS = 0.15  # a 4-bit sub-code, compared by fast scan
_FETCH_NS = 250  # a row that lies in a place of its own


@dataclass(frozen=True, slots=True)
class Effort:
    """How far a search looks: lists probed or ef of a graph, and rows compared by finer codes for a top 10."""

    probes: int
    rescored: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A FAISS factory string, the bytes that an index of `n` rows takes, and the efforts to measure.

    `precision` orders the codes that decide the result by what they reach, roughly in bits a dimension: after one has
    missed the bar only finer ones are worth building. `lists` is 0 where there is no inverted file, `sub_codes` the
    4-bit codes of a row that fast scan compares first.
    """

    factory: str
    n: int
    d: int
    code_bytes: float
    precision: float
    lists: int = 0
    sub_codes: int = 0
    graph: bool = False
    refined: bool = False

    @property
    def bytes(self) -> float:
        """Bytes of the whole index: codes, ids, links, centroids, and what fast scan adds to fill blocks of 32."""
        ids = 8 * self.n if self.lists else 0
        links = self.n * (8 * _GRAPH_DEGREE * 1.05 + 16) if self.graph else 0
        padding = self.lists * 16 * self.sub_codes / 2
        return self.n * self.code_bytes + ids + links + padding + self.lists * (self.d * 4 + 16) + self.d * 256

    def efforts(self) -> list[Effort]:
        """Cheapest first."""
        if self.lists:
            probes = [p for p in _PROBES if p <= self.lists]
            efforts = [Effort(p, r) for p in probes for r in (_RESCORED if self.refined else (0,))]
        elif self.graph:
            efforts = [Effort(ef) for ef in _EFS]
        else:
            efforts = [Effort(0)]
        return sorted(efforts, key=self.cost)

    def cost(self, effort: Effort) -> float:
        """A query's expected nanoseconds; not measured, so that the same rows give the same choice everywhere."""
        row = self.d * _ROW_NS
        if self.lists:
            scanned = self.n * effort.probes / self.lists
            each = self.sub_codes * _SUBCODE_NS if self.sub_codes else row
            return self.lists * self.d * _CENTROID_NS + scanned * each + effort.rescored * (row + _FETCH_NS)
        if self.graph:
            return effort.probes * _GRAPH_DEGREE / 2 * (row + _FETCH_NS)
        return self.n * row


def list_counts(n: int, d: int, train_rows_max: int) -> tuple[int, ...]:
    """How many lists an inverted file of (n, d) vectors may have, in the order in which they are tried.

    Two and eight times the root of the number of rows, as far as there are rows to train them; none where there are too
    few rows, or where sub-codes do not divide the dimensions.
    """
    if d % 8:
        return ()
    first = 1 << max(6, round(np.log2(2 * np.sqrt(n))))
    trained = min(n, train_rows_max)
    return tuple(lists for lists in (first, 4 * first) if trained >= TRAIN_ROWS_PER_LIST * lists)


def candidates(n: int, d: int, lists: int | None = None) -> tuple[Candidate, ...]:
    """Kinds of index for (n, d) vectors in the order in which they are tried.

    `lists`: of inverted files; the first of `list_counts` by default, 0 for none.
    """
    if lists is None:
        lists = next(iter(list_counts(n, d, n)), 0)
    found: list[Candidate] = []
    if lists:
        quarter, eighth = d // 4, d // 8

        def two_stage(m: int, refinement: str, code_bytes: float, precision: float) -> Candidate:
            factory = f"IVF{lists},PQ{m}x4fs,Refine({refinement})"
            return Candidate(factory, n, d, m / 2 + code_bytes, precision, lists, m, refined=True)

        def rabitq(bits: int, precision: float) -> Candidate:
            return two_stage(eighth, f"RaBitQ{bits}", d / 8 * bits + _RABITQ_FACTOR_BYTES, precision)

        found = [
            two_stage(quarter, "SQ8", d, 8),
            rabitq(7, 8),
            Candidate(f"IVF{lists},SQ8", n, d, d, 8.5, lists),
            rabitq(8, 9),
            rabitq(6, 7),
            Candidate(f"IVF{lists},SQ6", n, d, 0.75 * d, 7.5, lists),
            rabitq(5, 6),
            rabitq(4, 5),
        ]
    return (
        *found,
        Candidate(f"HNSW{_GRAPH_DEGREE},SQ8", n, d, d, 8, graph=True),
        Candidate(f"HNSW{_GRAPH_DEGREE},SQfp16", n, d, 2 * d, 12, graph=True),
        Candidate(f"HNSW{_GRAPH_DEGREE},Flat", n, d, 4 * d, 30, graph=True),
        Candidate("Flat", n, d, 4 * d, 32),
    )
