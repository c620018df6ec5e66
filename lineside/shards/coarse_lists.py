"""How many lists an inverted file gets, decided before a row is encoded.

Rows that belong together must lie in few lists. How well they do shows from the centroids alone: the held-out queries'
exact neighbours are assigned to lists, and the share of them that the nearest lists hold is what no code can exceed.
Few lists are cheap to compare and to train, but cut clusters of which there are many more than lists; more are tried
until a query need look into few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from lineside.shards.held_out_queries import HeldOut, sample
from lineside.shards.index_candidates import TRAIN_ROWS_PER_LIST, Effort, candidates, list_counts
from lineside.shards.settings import VectorIndexSettings

Vectors = NDArray[np.float32]

_ROUNDS = 10  # more change recall by less than its error
_FEW = 128  # of so many lists one is looked into at most: more lists would not pay
_ROWS_PER_LIST = 64  # more train centroids no better


@dataclass(frozen=True, slots=True)
class CoarseLists:
    """Centroids (lists, d), and the share of ten neighbours in the nearest lists, of the worst kind of query.

    `shares[i]` belongs to `probes[i]` lists; `sure[i]` is the same less a standard error.
    """

    centroids: Vectors
    probes: tuple[int, ...]
    shares: tuple[float, ...]
    sure: tuple[float, ...]

    @property
    def lists(self) -> int:
        return len(self.centroids)

    def share(self, probes: int) -> float:
        """The recall that no search of so many lists exceeds."""
        return self.shares[self.probes.index(probes)]

    def probes_for(self, recall: float) -> int | None:
        """The fewest lists that surely hold that share of the neighbours; None where all that are tried do not."""
        return next((p for p, sure in zip(self.probes, self.sure, strict=True) if sure >= recall), None)


def choose_lists(
    vectors: Vectors, settings: VectorIndexSettings, held_out: Sequence[HeldOut], budget: float
) -> CoarseLists | None:
    """The number of lists of which the fewest expected nanoseconds reach the recall bar; None where none can be had.

    Half of what the bar allows to be lost may be lost here, the other half by the codes. `budget`: bytes of the index.
    """
    n, d = vectors.shape
    wanted = (1 + settings.recall_bar) / 2
    best: tuple[float, CoarseLists] | None = None
    for lists in list_counts(n, d, settings.train_rows_max):
        inverted = [c for c in candidates(n, d, lists) if c.lists]
        if min(c.bytes for c in inverted) > budget:
            break
        coarse = _measured(train_centroids(vectors, lists, settings), vectors, held_out)
        probes = coarse.probes_for(wanted)
        cost = inverted[0].cost(Effort(probes or lists))
        if best is None or cost < best[0]:
            best = cost, coarse
        if probes is not None and probes * _FEW <= lists:
            break
    return None if best is None else best[1]


def train_centroids(vectors: Vectors, lists: int, settings: VectorIndexSettings) -> Vectors:
    """Spherical k-means over a sample."""
    count = min(settings.train_rows_max, _ROWS_PER_LIST * lists)
    rows = sample(vectors, count, np.random.default_rng(settings.seed))[1]
    clustering = faiss.Clustering(vectors.shape[1], lists)
    clustering.niter, clustering.seed, clustering.spherical = _ROUNDS, settings.seed, True
    clustering.min_points_per_centroid = TRAIN_ROWS_PER_LIST
    assigning = faiss.IndexFlatIP(vectors.shape[1])
    clustering.train(rows, assigning)
    return faiss.vector_to_array(clustering.centroids).reshape(lists, -1)


def _measured(centroids: Vectors, vectors: Vectors, held_out: Sequence[HeldOut]) -> CoarseLists:
    flat = faiss.IndexFlatIP(centroids.shape[1])
    flat.add(centroids)
    efforts = candidates(len(vectors), centroids.shape[1], len(centroids))[0].efforts()
    probes = sorted({effort.probes for effort in efforts})
    needed = np.unique(np.concatenate([kind.best.ravel() for kind in held_out]))
    needed = needed[needed >= 0]
    lists_of = flat.search(np.ascontiguousarray(vectors[needed], np.float32), 1)[1][:, 0]
    shares, sure = np.ones(len(probes)), np.ones(len(probes))
    for kind in held_out:
        places = np.searchsorted(needed, kind.best.clip(min=0)).clip(max=len(needed) - 1)
        neighbours = np.where(kind.best < 0, -1, lists_of[places])
        nearest = flat.search(kind.queries, probes[-1])[1]
        for i, count in enumerate(probes):
            held = (neighbours[:, :, None] == nearest[:, None, :count]).any(axis=2).mean(axis=1)
            shares[i] = min(shares[i], held.mean())
            sure[i] = min(sure[i], held.mean() - held.std() / np.sqrt(len(held)))
    return CoarseLists(centroids, tuple(probes), tuple(shares.tolist()), tuple(sure.tolist()))
