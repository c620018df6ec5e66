"""What is known about questions like this one: whether the documents of their families answered them.

A property that the manuals do not state cannot be told from one that they do by how near the passages are: both speak
of the thing. Questions that were looked up before can tell: one is judged by those beside it, the nearer the more
(Nadaraya 1964, Watson 1964). That answers are surer where such a question is near is also what Lewis et al. found
("PAQ: 65 Million Probably-Asked Questions and What You Can Do With Them", 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineside.search.contract import KnownNeighbour, Vector
from lineside.search.question_metric import metric_of
from lineside.shards.reader import Shard

WIDTH = 0.05
"""Of the kernel, in cosines: a question that is so much farther weighs e times less."""

_FAR = 0.4
"""A cosine at which a question tells little: one alone there moves the lean half way."""

_CANDIDATES = 512
_SHORT = 64
"""How many questions are compared in full, and by how many directions they are chosen."""

_NOTHING_NEAR = float(np.exp((_FAR - 1) / WIDTH))


@dataclass(frozen=True, slots=True)
class KnownLean:
    """Which way the known questions lean: from -1 (not answered) over 0 (nothing near) to 1; and the nearest one."""

    lean: float = 0.0
    nearest: KnownNeighbour | None = None


NOTHING_KNOWN = KnownLean()


class KnownQuestions:
    """The known questions of a release; those of a family are one span, as its rows are.

    Cosines are those of `lineside/search/question_metric.py` where it has learnt any for the text encoder. In memory:
    4 bytes a dimension and the text, for every question.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        """`shards`: sorted by family."""
        with_any = [s for s in shards if len(s.known)]
        self._texts = [s.known.texts for s in with_any]
        self._starts = np.cumsum([0, *(len(s.known) for s in with_any)]).tolist()
        self._spans: dict[str, tuple[int, int]] = {}
        for shard, first in zip(with_any, self._starts, strict=False):
            begun = self._spans.get(shard.family, (first, first))[0]
            self._spans[shard.family] = (begun, first + len(shard.known))
        self._vectors = self._short = self._directions = np.zeros((0, 0), np.float32)
        self._signs = np.zeros(0, np.float32)
        self._metric = metric_of(with_any[0].manifest.fingerprints.get("text", "")) if with_any else None
        if with_any:
            self._vectors = self._placed(np.concatenate([s.known.vectors for s in with_any]).astype(np.float32))
            self._directions = _main_directions(self._vectors, _SHORT)
            self._short = self._vectors @ self._directions
            answered = np.concatenate([s.known.answered for s in with_any])
            self._signs = np.where(answered, np.float32(1), np.float32(-1))

    def __len__(self) -> int:
        return len(self._signs)

    def cover(self, family: str) -> bool:
        """Whether any question of the family is known: elsewhere nothing near means nothing."""
        return family in self._spans

    def lean(self, question: Vector | None, family: str | None) -> KnownLean:
        """Of a question's vector (d,), float32 and L2-normalised, among the questions of one family or of all."""
        first, last = (0, len(self)) if family is None else self._spans.get(family, (0, 0))
        if question is None or first == last:
            return NOTHING_KNOWN
        placed = self._placed(question[None])[0]
        rows = first + self._candidates(placed, first, last)
        cosines = self._vectors[rows] @ placed
        weights = np.exp((cosines - 1) / WIDTH)
        lean = weights @ self._signs[rows] / (weights.sum() + _NOTHING_NEAR)
        nearest = int(cosines.argmax())
        place = int(rows[nearest])
        neighbour = KnownNeighbour(self._text(place), bool(self._signs[place] > 0), float(cosines[nearest]))
        return KnownLean(float(lean), neighbour)

    def _candidates(self, placed: Vector, first: int, last: int) -> NDArray[np.int64]:
        """The questions of a span that are nearest by their main directions: reading all of all vectors is what costs.

        What is left out weighs next to nothing: the kernel is narrow.
        """
        if last - first <= _CANDIDATES:
            return np.arange(last - first)
        near = self._short[first:last] @ (placed @ self._directions)
        return np.argpartition(near, -_CANDIDATES)[-_CANDIDATES:]

    def _placed(self, rows: Vector) -> Vector:
        return rows if self._metric is None else self._metric(rows)

    def _text(self, place: int) -> str:
        part = int(np.searchsorted(self._starts, place, side="right")) - 1
        return str(self._texts[part][place - self._starts[part]].as_py())


def _main_directions(rows: Vector, count: int) -> Vector:
    """(d, count): orthonormal, those in which the rows are largest (principal components, not centred)."""
    _, directions = np.linalg.eigh(rows.T @ rows)
    return np.ascontiguousarray(directions[:, -count:], np.float32)
