"""Held-out queries that an index is judged by, with their exact neighbours, found block by block.

Vectors may be a memory map larger than memory: a block of them and a bounded number of queries are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from lineside.shards.settings import VectorIndexSettings

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]

RECALL_AT = 10
_BLOCK_ROWS = 16_384
_DISTURBANCE = np.float32(0.75)  # length of the noise that leaves a cosine of about 0.8


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Queries (q, d) of one kind, the row that each must not find (-1: none), and what is a good find.

    `best`: (q, wanted) ids of the exact best rows, -1 where there are fewer; `enough`: (q,) the score of the last of
    them. `wanted` is 10, or the number of rows where there are fewer.
    """

    queries: Vectors
    own: Ids
    best: Ids
    enough: Vectors

    @property
    def wanted(self) -> int:
        return int(self.best.shape[1])


def hold_out(vectors: Vectors, settings: VectorIndexSettings, queries: Vectors | None) -> list[HeldOut]:
    """Rows searched without themselves, rows disturbed to a cosine of about 0.8, and a sample of `queries`."""
    rng = np.random.default_rng(settings.seed + 1)
    count = settings.held_out_queries
    own, rows = sample(vectors, count, rng)
    noise = rng.standard_normal(rows.shape, np.float32)
    disturbed = rows + _DISTURBANCE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    disturbed /= np.linalg.norm(disturbed, axis=1, keepdims=True)
    kinds = [(rows, own), (disturbed, np.full(len(rows), -1, np.int64))]
    if queries is not None and len(queries):
        given = sample(queries, count, rng)[1]
        kinds.append((given, np.full(len(given), -1, np.int64)))
    asked, not_found = np.concatenate([q for q, _ in kinds]), np.concatenate([o for _, o in kinds])
    scores, ids = _best(vectors, asked, not_found)
    held_out, start = [], 0
    for kind, own in kinds:
        wanted = min(RECALL_AT, len(vectors) - int(own[0] >= 0))
        span = slice(start, start + len(kind))
        held_out.append(HeldOut(kind, own, ids[span, :wanted], scores[span, wanted - 1]))
        start += len(kind)
    return held_out


def sample(vectors: Vectors, count: int, rng: np.random.Generator) -> tuple[Ids, Vectors]:
    """Up to `count` distinct rows, ascending, with their vectors."""
    chosen = np.sort(rng.choice(len(vectors), min(count, len(vectors)), replace=False))
    return chosen, np.ascontiguousarray(vectors[chosen], np.float32)


def blocks(vectors: Vectors) -> Iterator[tuple[int, Vectors]]:
    """The rows in contiguous blocks, each with the number of its first row."""
    for start in range(0, len(vectors), _BLOCK_ROWS):
        yield start, np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS], np.float32)


def _best(vectors: Vectors, queries: Vectors, own: Ids) -> tuple[Vectors, Ids]:
    """The exact scores and ids (q, 10) of the best rows of each query, best first, its own row left out."""
    flat = faiss.IndexFlatIP(vectors.shape[1])
    best = np.full((len(queries), RECALL_AT), -np.inf, np.float32)
    best_ids = np.full((len(queries), RECALL_AT), -1, np.int64)
    for start, block in blocks(vectors):
        flat.reset()
        flat.add(block)
        scores, ids = flat.search(queries, RECALL_AT + 1)
        ids[ids >= 0] += start
        scores[(ids < 0) | (ids == own[:, None])] = -np.inf
        scores, ids = np.concatenate([best, scores], axis=1), np.concatenate([best_ids, ids], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :RECALL_AT]
        best, best_ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
    best_ids[np.isneginf(best)] = -1
    return best, best_ids
