"""Ranks figures and frames: against the frame itself, the question in the joint space, and their captions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineside.search.dense_field import DenseScan, best
from lineside.search.passage_ranking import Ranking
from lineside.search.settings import ImageSettings

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


def rank_images(
    allowed: Rows,
    image: DenseScan | None,
    joint_text: DenseScan | None,
    text: DenseScan | None,
    lexical: Floats,
    lexical_best: float,
    candidates: int,
    wanted: int,
    settings: ImageSettings,
) -> Ranking:
    """Images whose weighted mean of cosines and lexical share reaches the floor, best first.

    Args:
        lexical: (m,) lexical scores of `allowed`.
        lexical_best: the score that counts as full lexical agreement.
        wanted: how many are returned at most.

    Cosines are not standardised here: an absolute floor keeps unrelated pictures out.
    """
    named = {"image": image, "joint": joint_text, "dense": text}
    scans = {name: scan for name, scan in named.items() if scan is not None}
    weights = {
        "image": settings.image_weight,
        "joint": settings.joint_text_weight,
        "dense": settings.caption_weight,
        "lexical": settings.caption_lexical_weight,
    }
    rows = allowed
    if len(allowed) > candidates * 8:  # fewer are all scored: cheaper than choosing among them
        found = [scan.top(allowed, candidates)[0] for scan in scans.values()]
        lexical_rows, top = best(allowed, lexical, candidates)
        rows = np.unique(np.concatenate([*found, lexical_rows[top > 0]]))
        lexical = lexical[np.searchsorted(allowed, rows)]
    scores = {name: scan.at(rows) for name, scan in scans.items()}
    total = weights["lexical"] + sum(weights[name] for name in scans)
    fused = (weights["lexical"] / (total * max(lexical_best, 1e-9))) * lexical
    for name, values in scores.items():
        fused = fused + np.float32(weights[name] / total) * values
    scores["lexical"] = lexical
    reaching = np.flatnonzero(fused >= settings.score_floor)
    order = reaching[np.argsort(-fused[reaching], kind="stable")][:wanted]
    return Ranking(rows, fused, scores).reordered(order, fused.astype(np.float32))
