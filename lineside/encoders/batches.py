"""How texts are put into batches, and how vectors get length 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def length_batches(
    lengths: Sequence[int], max_batch: int, pad_multiple: int = 0, max_length: int | None = None
) -> Iterator[tuple[list[int], int]]:
    """(places in `lengths`, tokens to pad them to) of batches of similar length, shortest first.

    Padding is computed like text, so a batch costs its longest row. With `pad_multiple`, a row is padded to the next
    multiple of it (at most `max_length`) whatever stands beside it: the shape, and with it every bit of the row's
    vector, then depends on the row alone.
    """
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    if not pad_multiple:
        for first in range(0, len(order), max_batch):
            places = order[first : first + max_batch]
            yield places, lengths[places[-1]]
        return
    widths: dict[int, list[int]] = {}
    for place in order:
        width = max(1, -(-lengths[place] // pad_multiple)) * pad_multiple
        widths.setdefault(width if max_length is None else min(width, max_length), []).append(place)
    for width, members in widths.items():
        for first in range(0, len(members), max_batch):
            yield members[first : first + max_batch], width


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(n, d) float32` → the same with every row of length 1 (a row of zeros stays)."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(norms, np.float32(1e-12))
