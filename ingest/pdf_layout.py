"""Reading order of a PDF page: columns by recursive cuts along white space, then lines.

The recursive X-Y cut (Nagy and Seth, 1984) with one change: a vertical cut is taken over the longest run of
neighbouring bands that allows it, so that a headline or a table across the page does not break up the columns below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from ingest.pdf_page import Box, Segment

_MIN_GUTTER_EM = 0.8
_MIN_COLUMN_CHARS = 9  # shorter lines are numbers, codes or list markers, read along their row
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a place on the page: a segment, or a block (table, figure) by its index."""

    box: Box
    segment: Segment | None = None
    block: int | None = None


@dataclass(slots=True)
class Line:
    """Segments that share a baseline inside one column."""

    text: str
    box: Box
    base: float
    size: float
    bold: bool
    italic: bool


@dataclass(slots=True)
class Region:
    """Lines and blocks of one column stretch, top to bottom."""

    content: list[Line | int]


def reading_order(items: Sequence[Item]) -> list[Region]:
    """Regions of a page in the order in which a person reads them."""
    return [Region(_lines(part)) for part in _order(list(items), 0) if part]


def _order(items: list[Item], depth: int) -> list[list[Item]]:
    if len(items) <= 1 or depth > _MAX_DEPTH:
        return [items]
    if cut := _vertical_cut(items):
        left, right = _split(items, cut)
        return _order(left, depth + 1) + _order(right, depth + 1)
    bands = _bands(items)
    if len(bands) == 1:
        return [items]
    ordered: list[list[Item]] = []
    plain: list[Item] = []
    place = 0
    while place < len(bands):
        end, cut = _longest_run(bands, place)
        if cut is None:
            plain += bands[place]
            place += 1
            continue
        ordered.append(plain)
        plain = []
        left, right = _split([item for band in bands[place:end] for item in band], cut)
        ordered += _order(left, depth + 1) + _order(right, depth + 1)
        place = end
    return [*ordered, plain]


def _split(items: list[Item], x: float) -> tuple[list[Item], list[Item]]:
    left = [item for item in items if (item.box.x0 + item.box.x1) / 2 < x]
    return left, [item for item in items if (item.box.x0 + item.box.x1) / 2 >= x]


def _bands(items: list[Item]) -> list[list[Item]]:
    """Groups of items that overlap vertically, from top to bottom."""
    bands: list[list[Item]] = []
    bottom = float("-inf")
    for item in sorted(items, key=lambda i: i.box.y0):
        shrink = 0.12 * item.box.height if item.segment else 0.0
        if item.box.y0 + shrink >= bottom:
            bands.append([])
        bands[-1].append(item)
        bottom = max(bottom, item.box.y1 - shrink)
    return bands


def _longest_run(bands: list[list[Item]], start: int) -> tuple[int, float | None]:
    """(end, cut) of the longest run of bands from `start` that a vertical cut divides into columns."""
    found: tuple[int, float | None] = (start, None)
    items: list[Item] = []
    for end in range(start, len(bands)):
        items = items + bands[end]
        gaps = _gaps(items)
        if not gaps and end > start:
            break
        if not gaps:
            return found
        cut = _best_cut(items, gaps)
        if cut is not None:
            found = (end + 1, cut)
    return found


def _gaps(items: list[Item]) -> list[tuple[float, float]]:
    """(left, right) of the white stripes that cross no item and are wide enough for a gutter."""
    sizes = [item.segment.size for item in items if item.segment]
    least = max(6.0, _MIN_GUTTER_EM * median(sizes)) if sizes else 6.0
    gaps: list[tuple[float, float]] = []
    right: float | None = None
    for item in sorted(items, key=lambda i: i.box.x0):
        if right is not None and item.box.x0 - right >= least:
            gaps.append((right, item.box.x0))
        right = item.box.x1 if right is None else max(right, item.box.x1)
    return gaps


def _vertical_cut(items: list[Item]) -> float | None:
    return _best_cut(items, _gaps(items))


def _best_cut(items: list[Item], gaps: list[tuple[float, float]]) -> float | None:
    for left, right in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
        middle = (left + right) / 2
        parts = _split(items, middle)
        if (all(_is_column(part) for part in parts) or _is_side_title(*parts)) and not _is_row_wise(*parts):
            return middle
    return None


def _is_column(items: list[Item]) -> bool:
    texts = [item.segment.text for item in items if item.segment]
    if any(item.block is not None for item in items):
        return True
    return len(_bands(items)) >= 2 and fmean(len(text) for text in texts) >= _MIN_COLUMN_CHARS


def _is_side_title(left: list[Item], right: list[Item]) -> bool:
    """Whether one side is a title in large type beside running text."""
    few, many = sorted((left, right), key=len)
    sizes = [item.segment.size for item in many if item.segment]
    return (
        bool(sizes)
        and len(many) >= 3
        and all(item.segment is not None and item.segment.size >= 1.6 * median(sizes) for item in few)
    )


def _is_row_wise(left: list[Item], right: list[Item]) -> bool:
    """Whether two sides are names and values that belong together line by line, not columns of running text."""
    if any(item.block is not None for item in left + right):
        return False
    few, many = sorted((left, right), key=len)
    bases = [item.segment.base for item in many if item.segment]
    matched = [any(abs(item.segment.base - base) < 1.5 for base in bases) for item in few if item.segment]
    width = max(item.box.x1 for item in left) - min(item.box.x0 for item in left)
    fill = fmean(item.box.width for item in left) / width if width > 0 else 1.0
    longest = max(len(item.segment.text) for item in left if item.segment)
    return fmean(matched) >= 0.8 and fill < 0.7 and longest < 40


def _lines(items: list[Item]) -> list[Line | int]:
    """Items of one column from top to bottom, segments on one baseline joined."""
    rows: list[tuple[Box, list[Segment]]] = []
    blocks: list[tuple[float, int]] = []
    for item in sorted(items, key=lambda i: (i.segment.base if i.segment else i.box.y0, i.box.x0)):
        if item.block is not None:
            blocks.append((item.box.y0, item.block))
        elif item.segment is not None:
            for place, (box, segments) in enumerate(rows[-3:], start=max(0, len(rows) - 3)):
                overlap = min(box.y1, item.box.y1) - max(box.y0, item.box.y0)
                if overlap > 0.5 * min(box.height, item.box.height):
                    segments.append(item.segment)
                    rows[place] = (box if box.height >= item.box.height else item.box, segments)
                    break
            else:
                rows.append((item.box, [item.segment]))
    placed: list[tuple[float, Line | int]] = [(y, block) for y, block in blocks]
    for _, segments in rows:
        line = join_segments(segments)
        placed.append((line.base - 0.5 * line.size, line))
    return [entry for _, entry in sorted(placed, key=lambda pair: pair[0])]


def join_segments(segments: list[Segment]) -> Line:
    """One line of segments that share a baseline; the widest gives baseline and size."""
    segments = sorted(segments, key=lambda s: s.x0)
    box = segments[0].box
    text = segments[0].text
    for before, segment in pairwise(segments):
        box = box.union(segment.box)
        joined = not segment.spaced and segment.x0 - before.x1 < 0.15 * min(segment.size, before.size)
        text += segment.text if joined else " " + segment.text
    main = max(segments, key=lambda s: s.x1 - s.x0)
    words = [s for s in segments if any(c.isalpha() for c in s.text)] or segments
    return Line(text, box, main.base, main.size, all(s.bold for s in words), all(s.italic for s in words))
