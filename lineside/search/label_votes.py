"""What the nearest labelled frames say an image shows, and what that adds to the question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lineside.schema import LabelVote
from lineside.search.settings import ImageSettings

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


def vote(
    rows: Rows,
    similarities: Floats,
    label_of: Callable[[int], str],
    caption_of: Callable[[int], str],
    settings: ImageSettings,
) -> list[tuple[LabelVote, list[int]]]:
    """Votes of the nearest labelled frames, by share, each with the rows of the label's voting frames, nearest first.

    A frame's vote weighs exp((cosine - best cosine) / temperature), as in kernel-weighted nearest neighbours (Wu et
    al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination"). Frames below the floor do
    not vote, so that a picture unlike anything indexed gets no label.
    """
    order = np.argsort(-similarities, kind="stable")[: settings.vote_frames]
    order = order[similarities[order] >= settings.vote_floor]
    if not len(order):
        return []
    best = float(similarities[order[0]])
    weight: dict[str, float] = defaultdict(float)
    voters: dict[str, list[int]] = defaultdict(list)
    for position in order:
        label = label_of(int(rows[position]))
        weight[label] += float(np.exp((similarities[position] - best) / settings.vote_temperature))
        voters[label].append(int(position))
    total = sum(weight.values())
    votes = [
        (
            LabelVote(
                label=label,
                caption=caption_of(int(rows[voters[label][0]])),
                share=min(share / total, 1.0),
                similarity=float(similarities[voters[label][0]]),
            ),
            [int(rows[position]) for position in voters[label]],
        )
        for label, share in weight.items()
    ]
    return sorted(votes, key=lambda v: (-v[0].share, v[0].label))
