"""Figures on a PDF page: images with their fragments put together, without backgrounds and logos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ingest.pdf_page import Box, PageContent

_MIN_FIGURE_PT = 40.0
_MAX_FRAGMENTS = 500

Place = tuple[int, ...]


def repeated_images(contents: Iterable[PageContent]) -> set[Place]:
    """Places where an image stands on three pages or more: logos, not figures."""
    places: Counter[Place] = Counter()
    for content in contents:
        places.update({place_of(box) for box in content.images})
    return {place for place, count in places.items() if count >= 3}


def place_of(box: Box) -> Place:
    """A box in steps of three points, so that nearly the same place is the same."""
    return tuple(round(value / 3) for value in (box.x0, box.y0, box.x1, box.y1))


def clip(box: Box, limits: Box) -> Box:
    """The part of a box inside another."""
    return Box(max(box.x0, limits.x0), max(box.y0, limits.y0), min(box.x1, limits.x1), min(box.y1, limits.y1))


def distance_to_caption(figure: Box, caption: Box) -> float:
    """Points between a figure and a caption above or below it; infinite where they stand side by side."""
    if caption.x1 < figure.x0 - 5 or caption.x0 > figure.x1 + 5:
        return float("inf")
    below, above = caption.y0 - figure.y1, figure.y0 - caption.y1
    return max(below, above, 0.0)


def figure_boxes(images: list[Box], page: Box) -> list[Box]:
    """Images with their fragments put together; slivers, icons and page backgrounds are left out."""
    shown = [clip(box, page) for box in images]
    boxes = [box for box in shown if box.width > 0 and box.height > 0 and box.area < 0.7 * page.area]
    if len(boxes) > _MAX_FRAGMENTS:
        return []
    merged = True
    while merged:
        merged = False
        for a in range(len(boxes)):
            for b in range(len(boxes) - 1, a, -1):
                if boxes[a].touches(boxes[b], 2.0):
                    boxes[a] = boxes[a].union(boxes.pop(b))
                    merged = True
    return [b for b in boxes if b.width >= _MIN_FIGURE_PT and b.height >= _MIN_FIGURE_PT and b.area < 0.85 * page.area]
