"""BM25F over all shards of a release: postings merged at load, so that idf and lengths are the release's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lineside.search.settings import LexicalSettings
from lineside.shards.lexical import LexicalPostings

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class LexicalIndex:
    """Merged postings. Rows are the release's: shard after shard in the given order.

    Score of row r for a query of weighted terms (Robertson and Zaragoza 2009):
        sum over t of weight(t) * idf(t) * (k1 + 1) * tf(t, r) / (k1 + tf(t, r)), with
        tf = body_tf / (1 - b + b * body_len / mean) + heading_weight * heading_tf / (1 - b' + b' * heading_len / mean')
        idf = ln(1 + (n - df + 0.5) / (df + 0.5))
    """

    def __init__(self, shards: Sequence[LexicalPostings], settings: LexicalSettings) -> None:
        vocabulary = sorted(set().union(*(s.vocabulary for s in shards)))
        self.term_ids = {term: i for i, term in enumerate(vocabulary)}
        self.terms = vocabulary
        self.to_release = [np.array([self.term_ids[t] for t in s.vocabulary], np.int32) for s in shards]
        offsets = np.concatenate([[0], np.cumsum([len(s.body_len) for s in shards])])
        self.n_rows = int(offsets[-1])

        term_of = [np.repeat(m, np.diff(s.indptr)) for m, s in zip(self.to_release, shards, strict=True)]
        term = np.concatenate([*term_of, np.empty(0, np.int32)])
        rows = np.concatenate(
            [*(np.asarray(s.rows, np.int32) + np.int32(o) for s, o in zip(shards, offsets, strict=False)), _NO_ROWS]
        )
        order = np.argsort(term, kind="stable")
        counts = np.bincount(term, minlength=len(vocabulary))
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.rows = rows[order]
        self.tf_part = _tf_part(shards, rows, settings)[order]
        self._in_heading = (np.concatenate([s.heading_tf for s in shards]) > 0)[order]
        self.idf = np.log1p((self.n_rows - counts + 0.5) / (counts + 0.5)).astype(np.float32)
        self.unseen_idf = float(np.log1p((self.n_rows + 0.5) / 0.5))

        by_row = np.argsort(self.rows, kind="stable")
        self._row_tf_part = self.tf_part[by_row]
        self._row_terms = np.repeat(np.arange(len(vocabulary), dtype=np.int32), counts)[by_row]
        self._row_indptr = np.concatenate([[0], np.cumsum(np.bincount(self.rows, minlength=self.n_rows))])

    def scores(self, weights: Iterable[tuple[int, float]], span: tuple[int, int]) -> Floats:
        """BM25F of the rows `[span)` for term ids with weights, (n,) float32."""
        start, end = span
        whole = end - start == self.n_rows
        rows, parts, factors, counts = [_NO_ROWS], [_NO_SCORES], [0.0], [0]
        for term, weight in weights:
            first, last = int(self.indptr[term]), int(self.indptr[term + 1])
            if not whole:
                left, right = np.searchsorted(self.rows[first:last], (start, end))
                first, last = first + int(left), first + int(right)
            rows.append(self.rows[first:last])
            parts.append(self.tf_part[first:last])
            factors.append(weight * self.idf[term])
            counts.append(last - first)
        # One pass over all postings: an addition per term costs more in calls than in arithmetic.
        values = np.concatenate(parts) * np.repeat(np.array(factors, np.float32), counts)
        return np.bincount(np.concatenate(rows) - start, values, end - start).astype(np.float32)

    def occurs(self, term: int, span: tuple[int, int]) -> bool:
        """Whether the term occurs in a row of `[span)`."""
        if span == (0, self.n_rows):
            return bool(self.indptr[term + 1] > self.indptr[term])
        rows = self.rows[self.indptr[term] : self.indptr[term + 1]]
        left = int(np.searchsorted(rows, span[0]))
        return left < len(rows) and int(rows[left]) < span[1]

    def expansion(self, rows: Rows, weights: Floats, count: int) -> tuple[NDArray[np.int32], Floats]:
        """The terms that best tell these weighted rows from the rest: (t,) ids and weights that sum to 1.

        Weight of a term: idf times the weighted mean of its saturated frequency, in the manner of relevance models
        (Lavrenko and Croft 2001; Abdul-Jaleel et al. 2004, "UMass at TREC 2004", RM3).
        """
        spans = [(int(self._row_indptr[row]), int(self._row_indptr[row + 1])) for row in rows]
        terms = np.concatenate([self._row_terms[a:b] for a, b in spans])
        if not len(terms) or not count:
            return _NO_ROWS, np.empty(0, np.float32)
        values = np.concatenate([self._row_tf_part[a:b] * w for (a, b), w in zip(spans, weights, strict=True)])
        values *= self.idf[terms]
        distinct, place = np.unique(terms, return_inverse=True)
        mass = np.bincount(place, weights=values).astype(np.float32)
        if len(distinct) > count:
            chosen = np.argpartition(mass, len(mass) - count)[-count:]
            distinct, mass = distinct[chosen], mass[chosen]
        return distinct, mass / max(float(mass.sum()), 1e-9)

    def share(self, rows: Rows, idf: Mapping[int, float], total: float, in_body: float, places: int) -> Floats:
        """Share (m,) of the idf mass of these terms that each ascending row contains.

        A term counts in full where the heading holds it and `in_body` where only the body does. One that stands in more
        headings than `places` (or, in no heading, in more bodies) points at none of them: it counts less in proportion.
        """
        found = np.zeros(len(rows), np.float32)
        for term, value in idf.items():
            first, last = self.indptr[term], self.indptr[term + 1]
            containing = self.rows[first:last]
            place = np.searchsorted(containing, rows).clip(max=max(last - first - 1, 0))
            holds = containing[place] == rows if last > first else np.zeros(len(rows), bool)
            in_heading = self._in_heading[first:last]
            part = np.where(in_heading[place], 1.0, in_body) if last > first else 0.0
            occurrences = int(np.count_nonzero(in_heading)) or last - first
            found += np.float32(value * min(1.0, places / max(occurrences, 1))) * holds * part
        return found / np.float32(max(total, 1e-9))

    def coverage(self, rows: Sequence[int], idf: Mapping[int, float]) -> float:
        """The greatest idf mass of these terms that one of the rows contains."""
        if not rows or not idf:
            return 0.0
        weight = np.zeros(len(self.terms), np.float32)
        weight[list(idf)] = list(idf.values())
        return max(float(weight[self.row_terms(row)].sum()) for row in rows)

    def row_terms(self, row: int) -> NDArray[np.int32]:
        """Distinct term ids of a row, ascending."""
        return self._row_terms[self._row_indptr[row] : self._row_indptr[row + 1]]


_NO_ROWS = np.empty(0, np.int32)
_NO_SCORES = np.empty(0, np.float32)


def _tf_part(shards: Sequence[LexicalPostings], rows: NDArray[np.int32], settings: LexicalSettings) -> Floats:
    """The saturated, length-normalised part of the score of every posting, without idf."""
    body_norm = _length_norm(np.concatenate([s.body_len for s in shards]), settings.body_b)
    heading_norm = _length_norm(np.concatenate([s.heading_len for s in shards]), settings.heading_b)
    tf = np.concatenate([s.body_tf for s in shards]).astype(np.float32) / body_norm[rows]
    heading_tf = np.concatenate([s.heading_tf for s in shards]).astype(np.float32)
    tf += np.float32(settings.heading_weight) * heading_tf / heading_norm[rows]
    return ((settings.k1 + 1) * tf / (settings.k1 + tf + 1e-9)).astype(np.float32)


def _length_norm(lengths: NDArray[np.int32], b: float) -> Floats:
    filled = lengths[lengths > 0]
    mean = float(filled.mean()) if len(filled) else 1.0
    return (1 - b + b * lengths / mean).clip(min=0.05).astype(np.float32)
