"""Tables on a PDF page, found by their ruling lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.pdf_layout import join_segments
from ingest.pdf_page import Box, PageContent, Segment, split_segment

_SNAP = 3.0  # points within which lines count as one, or as touching
_MIN_RULE = 12.0
_MAX_RULES = 3_000
_MAX_OPEN_LINES = 8


@dataclass(slots=True)
class Cell:
    """Lines of one cell and whether all of it is bold."""

    lines: list[str]
    bold: bool


@dataclass(slots=True)
class Grid:
    """A ruled table: column edges, row edges, and rows of cells (None where a cell of the row reaches over)."""

    box: Box
    xs: list[float]
    ys: list[float]
    rows: list[list[Cell | None]]


@dataclass(slots=True)
class _Rule:
    at: float  # y of a horizontal, x of a vertical line
    start: float
    end: float


def find_grids(content: PageContent) -> list[tuple[Grid, list[Segment]]]:
    """Ruled tables of a page, each with the segments inside it."""
    horizontal = _merge([_Rule((r.y0 + r.y1) / 2, r.x0, r.x1) for r in content.rules if r.width > r.height])
    vertical = _merge([_Rule((r.x0 + r.x1) / 2, r.y0, r.y1) for r in content.rules if r.height >= r.width])
    if len(horizontal) + len(vertical) > _MAX_RULES:
        return []
    found: list[tuple[Grid, list[Segment]]] = []
    taken: set[int] = set()
    for rows, columns in [*_components(horizontal, vertical), *_open_tables(horizontal, vertical)]:
        edges = _edges(rows, columns, content.segments)
        if edges is None:
            continue
        xs, ys = edges
        box = Box(xs[0], ys[0], xs[-1], ys[-1])
        inside = [
            s
            for s in content.segments
            if id(s) not in taken and box.holds((s.x0 + s.x1) / 2, s.base - 0.3 * s.size, _SNAP)
        ]
        grid = _fill(box, xs, ys, rows, columns, inside)
        if grid is not None:
            taken.update(id(s) for s in inside)
            found.append((grid, inside))
    return found


def _merge(rules: list[_Rule]) -> list[_Rule]:
    """Pieces of one line joined; short strokes left out."""
    merged: list[_Rule] = []
    for rule in sorted(rules, key=lambda r: (round(r.at / 1.5), r.start)):
        last = merged[-1] if merged else None
        if last and abs(last.at - rule.at) <= 1.6 and rule.start <= last.end + _SNAP:
            last.end = max(last.end, rule.end)
        else:
            merged.append(_Rule(rule.at, rule.start, rule.end))
    return [rule for rule in merged if rule.end - rule.start >= _MIN_RULE]


def _components(horizontal: list[_Rule], vertical: list[_Rule]) -> list[tuple[list[_Rule], list[_Rule]]]:
    """Lines that touch each other, directly or through others."""
    parent = list(range(len(horizontal) + len(vertical)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for h, row in enumerate(horizontal):
        for v, column in enumerate(vertical, start=len(horizontal)):
            if (
                row.start - _SNAP <= column.at <= row.end + _SNAP
                and column.start - _SNAP <= row.at <= column.end + _SNAP
            ):
                parent[root(h)] = root(v)
    groups: dict[int, tuple[list[_Rule], list[_Rule]]] = {}
    for h, row in enumerate(horizontal):
        groups.setdefault(root(h), ([], []))[0].append(row)
    for v, column in enumerate(vertical, start=len(horizontal)):
        groups.setdefault(root(v), ([], []))[1].append(column)
    return [group for group in groups.values() if len(group[0]) >= 2 and len(group[1]) >= 2]


def _open_tables(horizontal: list[_Rule], vertical: list[_Rule]) -> list[tuple[list[_Rule], list[_Rule]]]:
    """Tables drawn with horizontal lines only: three or more of the same extent."""
    groups: list[list[_Rule]] = []
    for rule in sorted(horizontal, key=lambda r: r.at):
        for group in groups:
            if abs(group[-1].start - rule.start) <= _SNAP and abs(group[-1].end - rule.end) <= _SNAP:
                group.append(rule)
                break
        else:
            groups.append([rule])
    return [(group, []) for group in groups if len(group) >= 3 and not _crossed(group, vertical)]


def _crossed(group: list[_Rule], vertical: list[_Rule]) -> bool:
    first, last = group[0], group[-1]
    return any(
        first.start - _SNAP <= v.at <= first.end + _SNAP and v.start < last.at and v.end > first.at for v in vertical
    )


def _cluster(values: Sequence[float]) -> list[float]:
    edges: list[float] = []
    for value in sorted(values):
        if not edges or value - edges[-1] > _SNAP:
            edges.append(value)
    return edges


def _edges(rows: list[_Rule], columns: list[_Rule], segments: list[Segment]) -> tuple[list[float], list[float]] | None:
    """(column edges, row edges) where lines form a table of at least two columns and two rows, else None."""
    ys = _cluster([r.at for r in rows] + [end for c in columns for end in (c.start, c.end)])
    left, right = min(r.start for r in rows), max(r.end for r in rows)
    if columns:
        high = ys[-1] - ys[0]
        reach = [c for c in columns if c.end - c.start >= 0.3 * high] or columns
        xs = _cluster([left, right, *(c.at for c in reach)])
        full = [r for r in rows if r.end - r.start >= 0.5 * (right - left)]
        inner = [x for x in xs[1:-1] if _covered(x, columns) >= 0.4 * high]
        if len(full) < 2 or not inner:
            return None
        xs = [xs[0], *inner, xs[-1]]
        ys = _cluster([r.at for r in full] + [ys[0], ys[-1]])
    else:
        inside = [s for s in segments if ys[0] < s.base < ys[-1] + 1 and left - _SNAP <= s.x0 and s.x1 <= right + _SNAP]
        xs = _white_columns(inside, left, right)
    return (xs, ys) if len(xs) >= 3 and len(ys) >= 3 else None


def _covered(x: float, columns: list[_Rule]) -> float:
    return sum(c.end - c.start for c in columns if abs(c.at - x) <= _SNAP)


def _white_columns(segments: list[Segment], left: float, right: float) -> list[float]:
    """Column edges in the middle of the white stripes that cross no segment."""
    edges = [left]
    reach: float | None = None
    for segment in sorted(segments, key=lambda s: s.x0):
        if reach is not None and segment.x0 - reach >= 5.0:
            edges.append((reach + segment.x0) / 2)
        reach = segment.x1 if reach is None else max(reach, segment.x1)
    return [*edges, right]


def _fill(
    box: Box, xs: list[float], ys: list[float], rows: list[_Rule], columns: list[_Rule], segments: list[Segment]
) -> Grid | None:
    """Put segments into cells; a segment that crosses column edges where no line is drawn makes a wide cell."""
    table: list[list[list[Segment]]] = [[[] for _ in xs[1:]] for _ in ys[1:]]
    wide: list[set[int]] = [set() for _ in ys[1:]]
    for segment in [piece for whole in segments for piece in split_segment(whole, _lines_at(whole, columns))]:
        y = segment.base - 0.3 * segment.size
        row = min(max(bisect_right(ys, y) - 1, 0), len(ys) - 2)
        first = min(max(bisect_right(xs, segment.x0 + 1.0) - 1, 0), len(xs) - 2)
        last = min(max(bisect_right(xs, segment.x1 - 1.0) - 1, 0), len(xs) - 2)
        if last > first and columns and not any(_drawn(x, y, columns) for x in xs[first + 1 : last + 1]):
            wide[row].add(first)
        elif last > first:
            first = min(max(bisect_right(xs, (segment.x0 + segment.x1) / 2) - 1, 0), len(xs) - 2)
        table[row][first].append(segment)
    filled = [[_cell(cell) for cell in row] for row in table]
    kept: list[list[Cell | None]] = []
    for cells, spans in zip(filled, wide, strict=True):
        if any(cell.lines for cell in cells):
            alone = sum(bool(cell.lines) for cell in cells) == 1
            kept.append([cell if cell.lines or not (spans and alone) else None for cell in cells])
    used = {n for cells in filled for n, cell in enumerate(cells) if cell.lines}
    if len(kept) < 2 or len(used) < 2 or sum(len(s.text) for s in segments) < 8:
        return None
    if not columns:  # lines alone also part boxes of running text
        several = sum(sum(bool(cell.lines) for cell in cells) >= 2 for cells in filled)
        if several < 0.6 * len(kept) or any(len(cell.lines) > _MAX_OPEN_LINES for cells in filled for cell in cells):
            return None
    return Grid(box, xs, ys, kept)


def _lines_at(segment: Segment, columns: list[_Rule]) -> list[float]:
    """Vertical lines that run through a segment: it was set without a gap between two cells."""
    y = segment.base - 0.3 * segment.size
    return [c.at for c in columns if segment.x0 < c.at < segment.x1 and c.start - 1 <= y <= c.end + 1]


def _drawn(x: float, y: float, columns: list[_Rule]) -> bool:
    return any(abs(c.at - x) <= _SNAP and c.start - 1 <= y <= c.end + 1 for c in columns)


def _cell(segments: list[Segment]) -> Cell:
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: (s.base, s.x0)):
        if rows and abs(rows[-1][0].base - segment.base) < 0.5 * segment.size:
            rows[-1].append(segment)
        else:
            rows.append([segment])
    lines = [join_segments(row) for row in rows]
    return Cell([line.text for line in lines], bool(lines) and all(line.bold for line in lines))
