"""What stands on a PDF page: words with their place and font, ruling lines, images. No meaning yet."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pypdfium2
import pypdfium2.raw as pdfium

_SPACE = frozenset(" \t\r\n\u00a0\u2002\u2003\u2009\u200a\u202f\u3000")
_HYPHEN_MARKS = frozenset({0x02, 0xFFFE, 0xAD})  # what PDFium gives for a hyphen at a line's end
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st"}
_MAX_PATHS = 20_000
_MAX_RULES = 5_000
_MAX_PATH_SEGMENTS = 2_000
_RULE_THICKNESS = 3.0  # points; a thinner shape is a line
_MIN_RULE = 3.0
_LEAN = 0.01  # share of its length that a line may lean


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in points; y grows downwards from the page's top."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def holds(self, x: float, y: float, margin: float = 0.0) -> bool:
        return self.x0 - margin <= x <= self.x1 + margin and self.y0 - margin <= y <= self.y1 + margin

    def touches(self, other: Box, margin: float = 0.0) -> bool:
        return (
            self.x0 <= other.x1 + margin
            and other.x0 <= self.x1 + margin
            and self.y0 <= other.y1 + margin
            and other.y0 <= self.y1 + margin
        )

    def union(self, other: Box) -> Box:
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))


@dataclass(slots=True)
class Segment:
    """Words that follow each other on one line. `base` is the baseline's y, `size` the font size, both in points."""

    text: str
    x0: float
    x1: float
    base: float
    size: float
    bold: bool
    italic: bool
    font: str
    spaced: bool = True  # white space stands before it
    gaps: list[tuple[int, float, float]] = field(default_factory=list)  # of its spaces: place in text, from x, to x

    @property
    def box(self) -> Box:
        return Box(self.x0, self.base - 0.75 * self.size, self.x1, self.base + 0.22 * self.size)


@dataclass(slots=True)
class PageContent:
    """A page as found."""

    number: int
    width: float
    height: float
    segments: list[Segment] = field(default_factory=list)
    rules: list[Box] = field(default_factory=list)  # horizontal and vertical lines
    shapes: list[Box] = field(default_factory=list)  # paths with an area
    images: list[Box] = field(default_factory=list)


def split_segment(segment: Segment, at: Sequence[float]) -> list[Segment]:
    """The segment cut at those of its spaces that a vertical line at one of `at` runs through."""
    cuts = [gap for gap in segment.gaps if any(gap[1] - 1.0 <= x <= gap[2] + 1.0 for x in at)]
    if not cuts:
        return [segment]
    pieces = []
    start, left = 0, segment.x0
    for place, end, resume in [*cuts, (len(segment.text), segment.x1, segment.x1)]:
        text = segment.text[start:place].strip()
        if text:
            pieces.append(replace(segment, text=text, x0=left, x1=end, spaced=True, gaps=[]))
        start, left = place, resume
    return pieces


def read_page(page: pypdfium2.PdfPage, number: int) -> PageContent:
    """Words, lines and images of a page, turned as a reader sees it."""
    place = _Placement(page)
    content = PageContent(number, place.width, place.height)
    textpage = page.get_textpage()
    try:
        content.segments = _segments(textpage.raw, place)
    finally:
        textpage.close()
    _objects(page, place, content)
    return content


class _Placement:
    """From PDF coordinates to a page as displayed: turned, cropped, y downwards."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        left, bottom, right, top = page.get_cropbox()
        self.left, self.bottom, self.right, self.top = left, bottom, right, top
        self.rotation = page.get_rotation() % 360
        wide, high = right - left, top - bottom
        self.width, self.height = (high, wide) if self.rotation in (90, 270) else (wide, high)

    def point(self, x: float, y: float) -> tuple[float, float]:
        if self.rotation == 90:
            return y - self.bottom, x - self.left
        if self.rotation == 180:
            return self.right - x, y - self.bottom
        if self.rotation == 270:
            return self.top - y, self.right - x
        return x - self.left, self.top - y

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        (ax, ay), (bx, by) = self.point(left, bottom), self.point(right, top)
        return Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))


@dataclass(slots=True)
class _Font:
    name: str
    bold: bool
    italic: bool


def _font(textpage: object, index: int) -> _Font:
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(textpage, index, buffer, 128, flags)
    name = buffer.value.decode("utf-8", "replace").split("+")[-1]
    lower = name.lower()
    weight = pdfium.FPDFText_GetFontWeight(textpage, index)
    bold = weight >= 600 or any(mark in lower for mark in ("bold", "black", "heavy", "semib", "demi"))
    return _Font(name, bold, bool(flags.value & 64) or "ital" in lower or "obli" in lower)


def _size(textpage: object, index: int) -> float:
    matrix = pdfium.FS_MATRIX()
    size = float(pdfium.FPDFText_GetFontSize(textpage, index))
    if pdfium.FPDFText_GetMatrix(textpage, index, matrix):
        scale = math.hypot(matrix.c, matrix.d)
        if 0.01 < scale < 1000:
            size *= scale
    return min(max(size, 1.0), 500.0)


def _segments(textpage: object, place: _Placement) -> list[Segment]:
    """Runs of characters that follow each other on one baseline, in the order of the file."""
    found: list[Segment] = []
    current: Segment | None = None
    characters: list[str] = []
    box = pdfium.FS_RECTF()
    space_due = False
    font, size = _Font("", False, False), 10.0
    at_word_start = True
    pending_high = 0

    spaced = True

    def close() -> None:
        nonlocal current, space_due, spaced
        spaced = space_due
        if current is not None:
            current.text = "".join(characters).strip()
            if current.text:
                found.append(current)
        current, space_due = None, False
        characters.clear()

    for index in range(pdfium.FPDFText_CountChars(textpage)):
        code = pdfium.FPDFText_GetUnicode(textpage, index)
        if 0xD800 <= code < 0xDC00:
            pending_high = code
            continue
        if 0xDC00 <= code < 0xE000:
            if not pending_high:
                continue
            code = 0x10000 + ((pending_high - 0xD800) << 10) + (code - 0xDC00)
        pending_high = 0
        character = "-" if code in _HYPHEN_MARKS else chr(code) if code else " "
        if character in _SPACE or (code < 32 and code not in _HYPHEN_MARKS):
            space_due = spaced = True
            at_word_start = True
            if character == "\n":
                close()
            continue
        if not pdfium.FPDFText_GetLooseCharBox(textpage, index, box):
            continue
        glyph = place.box(box.left, box.bottom, box.right, box.top)
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(textpage, index, x, y)
        origin_x, base = place.point(x.value, y.value)
        if at_word_start:
            font, size = _font(textpage, index), _size(textpage, index)
            at_word_start = False
        x0, x1 = min(glyph.x0, origin_x) if glyph.width <= 0 else glyph.x0, max(glyph.x1, glyph.x0)
        if current is not None:
            gap = x0 - current.x1
            same_line = abs(base - current.base) < 0.45 * max(size, current.size)
            if not same_line or gap > 1.5 * current.size or gap < -1.0 * max(size, current.size):
                close()
            elif gap > 0.22 * min(size, current.size):
                space_due = True
        if current is None:
            font, size = _font(textpage, index), _size(textpage, index)
            current = Segment("", x0, x1, base, size, font.bold, font.italic, font.name, spaced)
        elif space_due:
            current.gaps.append((sum(map(len, characters)), current.x1, x0))
            characters.append(" ")
            current.bold &= font.bold
            current.italic &= font.italic
            if size > current.size:
                current.size, current.base = size, base
        space_due = False
        characters.append(_LIGATURES.get(character, character))
        current.x0, current.x1 = min(current.x0, x0), max(current.x1, x1)
    close()
    return found


def _objects(page: pypdfium2.PdfPage, place: _Placement, content: PageContent) -> None:
    paths = 0
    for item in page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_PATH), max_depth=4):
        try:
            box = place.box(*item.get_bounds())
        except pypdfium2.PdfiumError:
            continue
        if item.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            content.images.append(box)
            continue
        paths += 1
        if paths > _MAX_PATHS:
            break
        thin = box.width <= _RULE_THICKNESS or box.height <= _RULE_THICKNESS
        if not thin:
            content.shapes.append(box)
        if len(content.rules) < _MAX_RULES and (thin or _is_stroked(item)):
            content.rules += _straight_lines(item, place)


def _is_stroked(item: pypdfium2.PdfObject) -> bool:
    """Whether a path's outline is drawn; a fill alone is a background, often one of many that make a gradient."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    return bool(pdfium.FPDFPath_GetDrawMode(item.raw, fill, stroke)) and bool(stroke.value)


def _straight_lines(item: pypdfium2.PdfObject, place: _Placement) -> list[Box]:
    """Horizontal and vertical strokes of a path: a whole grid is often one path."""
    count = min(pdfium.FPDFPath_CountSegments(item.raw), _MAX_PATH_SEGMENTS)
    matrix = item.get_matrix()
    container = item.container
    while container is not None:
        matrix = matrix.multiply(container.get_matrix())
        container = container.container
    lines: list[Box] = []
    start = last = (0.0, 0.0)
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(item.raw, index)
        x, y = ctypes.c_float(), ctypes.c_float()
        if not segment or not pdfium.FPDFPathSegment_GetPoint(segment, x, y):
            continue
        point = place.point(*matrix.on_point(x.value, y.value))
        kind = pdfium.FPDFPathSegment_GetType(segment)
        ends = []
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            ends.append((last, point))
        last = point
        if pdfium.FPDFPathSegment_GetClose(segment):
            ends.append((point, start))
        for (ax, ay), (bx, by) in ends:
            length = max(abs(ax - bx), abs(ay - by))
            if length >= _MIN_RULE and min(abs(ax - bx), abs(ay - by)) <= max(0.5, min(3.0, _LEAN * length)):
                lines.append(Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)))
    return lines
