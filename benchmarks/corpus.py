"""What the baseline searches: the passages and images of the current release, with the vectors stored there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lineside.releases.catalogue import Catalogue
from lineside.shards import Shard

_PROVENANCE: Final = ("id", "kind", "text", "document_id", "title", "version", "source", "page", "section_id")
_PROVENANCE_MORE: Final = ("section_path", "start", "end", "label", "camera_id")


@dataclass(frozen=True)
class Corpus:
    """Records as they are returned, beside L2-normalised float32 vectors of shape (n, d), row by row."""

    passages: list[dict[str, Any]]
    text_vectors: np.ndarray
    images: list[dict[str, Any]]
    image_vectors: np.ndarray


def load_corpus(store: Path) -> Corpus:
    """Every passage, and every figure and frame, of the current release.

    Raises:
        NotFound: nothing has been published in `store`.
    """
    catalogue = Catalogue(store)
    passages: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    text_vectors: list[np.ndarray] = []
    image_vectors: list[np.ndarray] = []
    for path in catalogue.paths(catalogue.current()):
        shard = Shard.open(path)
        kinds = np.array(shard.rows.column("kind").to_pylist())
        records = shard.rows.select([*_PROVENANCE, *_PROVENANCE_MORE]).to_pylist()
        text_rows = np.flatnonzero(kinds == "passage")
        passages += [{**records[row], "family": shard.family} for row in text_rows]
        text_vectors.append(shard.text.reconstruct(text_rows))
        if shard.joint is not None:
            image_rows = np.flatnonzero((kinds != "passage") & (np.asarray(shard.joint_rows) >= 0))
            images += [{**records[row], "family": shard.family} for row in image_rows]
            image_vectors.append(shard.joint.reconstruct(np.asarray(shard.joint_rows)[image_rows].astype(np.int64)))
    empty = np.zeros((0, 1), dtype=np.float32)
    return Corpus(
        passages, np.concatenate(text_vectors), images, np.concatenate(image_vectors) if image_vectors else empty
    )
