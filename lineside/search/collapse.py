"""Near-duplicates: the same passage in two manuals, or the next frame of the same camera, is one piece of evidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def collapse(
    rows: Rows,
    vectors: NDArray[np.float32],
    hashes: NDArray[np.int64],
    limit: int,
    cosine: float,
    is_same: Callable[[int, int], bool],
) -> list[tuple[int, list[int]]]:
    """The first `limit` distinct rows of a ranking, each with the later rows folded into it.

    Args:
        rows: (m,) ranked best first.
        vectors: (m, d) normalised.
        hashes: (m,) of the folded text; equal ones are duplicates.
        cosine: vectors at least this close are duplicates when `is_same(kept_row, row)` agrees.

    Returns:
        Positions in `rows` with the later positions folded into each, those after the last kept one included.
    """
    similar = vectors @ vectors.T >= cosine
    similar |= hashes[:, None] == hashes[None, :]
    np.fill_diagonal(similar, True)
    if np.count_nonzero(similar) == len(rows):  # nothing resembles anything but itself
        return [(position, []) for position in range(min(limit, len(rows)))]
    kept: list[tuple[int, list[int]]] = []
    for position in range(len(rows)):
        row = similar[position]
        for original, folded in kept:
            if row[original] and (
                hashes[original] == hashes[position] or is_same(int(rows[original]), int(rows[position]))
            ):
                folded.append(position)
                break
        else:
            if len(kept) < limit:
                kept.append((position, []))
    return kept
