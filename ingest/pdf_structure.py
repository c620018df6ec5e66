"""What PDF lines mean: running headers and footers, paragraphs, list items, headings and their levels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ingest.pdf_layout import Line
from ingest.pdf_page import PageContent, Segment

_DIGITS = re.compile(r"\d+|\b[ivxl]{1,6}\b")
_BULLET = re.compile(r"^[•●▪■◦‣○·∙\u2013\u2014\uf0b7\uf0a7*]\s*(?=\S)|^-\s+(?=\S)")
_ENUMERATOR = re.compile(r"^(?:\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\([ivxl]{1,5}\)|[ivxl]{1,5}[.)])\s+(?=\S)")
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,3}){0,5})\.?\s+(?=\S)")
_NAMED = re.compile(
    r"^(PART|TITLE|ANNEX|APPENDIX|CHAPTER|SECTION|ARTICLE)\s+([0-9IVXLC]{1,6}|[A-Z])\b\W*", re.IGNORECASE
)
_NAMED_ALONE = re.compile(_NAMED.pattern + "$", re.IGNORECASE)
_NAMED_LEVEL = {"PART": 2, "TITLE": 1, "ANNEX": 1, "APPENDIX": 1, "CHAPTER": 1, "SECTION": 2, "ARTICLE": 3}
CAPTION = re.compile(r"^(?:Figure|Fig\.?|Table|Abbildung|Tabelle|Photo)\s*[A-Z]?\d+", re.IGNORECASE)
FIGURE_CAPTION = re.compile(r"^(?:Figure|Fig\.?|Abbildung|Photo)\s*[A-Z]?\d+", re.IGNORECASE)
_PAGE_NUMBER = re.compile(r"^[\W\d_]*[^\W\d_].*(?:\s|\.{3})\d{1,3}$")
_LEADER = re.compile(r"(?<![\s.])(?:\s*\.){4,}\s*")
_DOT_LEADER = re.compile(_LEADER.pattern + r"\d*$")
_MAX_HEADING_CHARS = 160
_MIN_NAMED = 8  # headings such as "Article 7" before they are taken for the document's order
_DEEPEST_NAMED = 1
_TOP, _BOTTOM = 0.13, 0.14  # shares of the page where running lines stand


@dataclass(slots=True)
class Paragraph:
    """Lines read as one; `indent` is what its first line's bullet or number makes of it."""

    lines: list[Line]
    is_item: bool = False
    level: int = 0  # of a heading; 0 for text

    @property
    def first(self) -> Line:
        return self.lines[0]


@dataclass(frozen=True, slots=True)
class Style:
    """The document's running text: font size and distance of baselines, in points."""

    size: float
    leading: float


def running_segments(pages: Sequence[PageContent]) -> dict[int, set[int]]:
    """Page number → ids of the segments that are running headers, footers and page numbers.

    A line counts as running when its text stands at the same height in the top or bottom margin of at least three
    pages (two in a document of up to four), the same or with a number that counts the pages, or when it stands in
    the very place, font and size where such lines stand on a third of the pages (running titles that change from
    chapter to chapter).
    """
    needed = 2 if len(pages) <= 4 else 3
    if len(pages) < 2:
        return {}
    margins = {page.number: [s for s in page.segments if _in_margin(s, page)] for page in pages}
    seen: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for page in pages:
        for segment in margins[page.number]:
            for key in _keys(segment, page):
                seen.setdefault(key, []).append((page.number, segment.text))
    repeated = {(key, text) for key, found in seen.items() for text in _repeated_texts(found, needed)}
    places: dict[tuple[str, int, int], set[int]] = {}
    running: dict[int, set[int]] = {}
    for page in pages:
        for segment in margins[page.number]:
            if any((key, segment.text) in repeated for key in _keys(segment, page)):
                running.setdefault(page.number, set()).add(id(segment))
                places.setdefault(_place(segment, page), set()).add(page.number)
    fixed = {place for place, numbers in places.items() if len(numbers) >= max(needed, len(pages) / 3)}
    for page in pages:
        found = running.get(page.number, set())
        edges = _edges_of_text(page, found)
        for segment in margins[page.number]:
            outside = edges is None or segment.base < edges[0] or segment.base > edges[1]
            if _place(segment, page) in fixed and outside:
                found.add(id(segment))
        # A number alone repeats easily: a chapter's number at the same height on several pages. Whole lines only.
        running[page.number] = {
            id(s)
            for s in margins[page.number]
            if id(s) in found
            and all(
                id(o) in found or _mask(o.text) == "#"
                for o in margins[page.number]
                if abs(o.base - s.base) < 0.3 * max(o.size, s.size)
            )
        }
    return running


def _repeated_texts(found: list[tuple[int, str]], needed: int) -> set[str]:
    """Texts that run along: the same on enough pages, or alike on them with a number that counts the pages.

    Numbers that do not count pages tell headings apart ("ANNEX IV" on top of a page), so those stay.
    """
    if len({number for number, _ in found}) < needed:
        return set()
    offsets: Counter[int] = Counter()
    for number, text in found:
        offsets.update({_value(token) - number for token in _DIGITS.findall(_tight(text).casefold())})
    counting = offsets.most_common(1)
    if counting and counting[0][1] >= max(needed, 0.6 * len(found)):
        return {text for _, text in found}
    pages: dict[str, set[int]] = {}
    for number, text in found:
        pages.setdefault(text, set()).add(number)
    return {text for text, numbers in pages.items() if len(numbers) >= needed}


_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}


def _value(token: str) -> int:
    if token.isdigit():
        return int(token[:9])
    values = [_ROMAN[c] for c in token]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _edges_of_text(page: PageContent, running: set[int]) -> tuple[float, float] | None:
    """Baselines of the first and last line outside the margins."""
    bases = [s.base for s in page.segments if id(s) not in running and not _in_margin(s, page)]
    return (min(bases), max(bases)) if bases else None


def _in_margin(segment: Segment, page: PageContent) -> bool:
    return segment.base < _TOP * page.height or segment.base > (1 - _BOTTOM) * page.height


def _tight(text: str) -> str:
    """Letter-spaced text ("1 2") without its spaces."""
    parts = text.split()
    return "".join(parts) if len(parts) > 1 and all(len(part) == 1 for part in parts) else " ".join(parts)


def _mask(text: str) -> str:
    return _DIGITS.sub("#", _tight(text).casefold())


def _edge(segment: Segment, page: PageContent) -> float:
    """Points from the top, or less than zero from the bottom: the same on upright and on wide pages."""
    return segment.base if segment.base < page.height / 2 else segment.base - page.height


def _keys(segment: Segment, page: PageContent) -> set[tuple[str, int]]:
    """Text and height, in two overlapping grids, so that neighbours across a cell's border still meet."""
    masked, edge = _mask(segment.text), _edge(segment, page)
    return {(masked, round(edge / 6)), (masked, round((edge + 3) / 6) + 10_000)}


def _place(segment: Segment, page: PageContent) -> tuple[str, int, int]:
    return segment.font, round(segment.size * 2), round(_edge(segment, page))


def text_style(lines: Iterable[Line]) -> Style:
    """Size and leading that most characters of a document have."""
    sizes: Counter[float] = Counter()
    leadings: Counter[float] = Counter()
    previous: Line | None = None
    for line in lines:
        size = round(line.size * 2) / 2
        sizes[size] += len(line.text)
        if previous is not None and abs(previous.size - line.size) < 0.3:
            step = round((line.base - previous.base) * 2) / 2
            if 0.8 * size <= step <= 2.2 * size:
                leadings[round(step / size, 2)] += len(line.text)
        previous = line
    size = sizes.most_common(1)[0][0] if sizes else 10.0
    ratio = leadings.most_common(1)[0][0] if leadings else 1.2
    return Style(size, ratio * size)


def paragraphs(lines: Sequence[Line], style: Style) -> list[Paragraph]:
    """Lines of one column as paragraphs and list items."""
    found: list[Paragraph] = []
    right = max((line.box.x1 for line in lines), default=0.0)
    left = min((line.box.x0 for line in lines), default=0.0)
    for line in lines:
        is_item = bool(_BULLET.match(line.text) or _ENUMERATOR.match(line.text))
        if not found or _starts(line, found[-1], is_item, left, right, style):
            found.append(Paragraph([line], is_item))
        else:
            found[-1].lines.append(line)
    return found


def _starts(line: Line, open_: Paragraph, is_item: bool, left: float, right: float, style: Style) -> bool:
    """Whether a line starts a new paragraph after the open one."""
    last = open_.lines[-1]
    ratio = style.leading / style.size
    gap = line.base - last.base
    width = max(right - left, 1.0)
    short = last.box.x1 < right - 0.12 * width
    ended = last.text.rstrip("\"'”’)")[-1:] in (".", ":", ";", "!", "?")
    if gap <= 0 or gap > 1.28 * ratio * max(line.size, last.size):
        return True
    if abs(line.size - last.size) > 0.6:
        return True
    if line.bold != last.bold and not line.text[:1].islower() and (short or gap > 1.1 * ratio * line.size):
        return True
    if is_item and (ended or short or open_.is_item or _BULLET.match(line.text)):
        return True
    shift = line.box.x0 - last.box.x0
    if shift > 5 and len(open_.lines) > 1 and ended:
        return True
    if shift < -5 and len(open_.lines) > 1 and (ended or short):
        return True
    return ended and last.box.x1 < right - 0.25 * width


def is_contents(lines: Sequence[Line]) -> bool:
    """Whether a page lists contents: most lines end in a page number."""
    numbered = sum(bool(_PAGE_NUMBER.search(line.text)) for line in lines)
    return len(lines) >= 6 and numbered >= 0.6 * len(lines)


def without_leader(text: str) -> str:
    """A line without the dots that lead to a page number."""
    return _LEADER.sub(" ", text)


def item_text(text: str) -> str:
    """A list item without its bullet; numbers stay."""
    return _BULLET.sub("", text)


@dataclass(slots=True)
class HeadingRules:
    """Decides which paragraphs are headings, and their levels, from the whole document's fonts."""

    style: Style
    outline: dict[str, int] = field(default_factory=dict)  # folded title → depth in the bookmarks, from 1
    title: str = ""  # folded title of the document where one of the headings repeats it: all others are below that
    _sizes: list[float] = field(default_factory=list)
    _named: bool = False
    _depth: int = 0

    def is_heading(self, paragraph: Paragraph, text: str, page_size: float) -> bool:
        """Whether a paragraph reads as a heading; `page_size` is the size of most text on its page."""
        if len(text) > _MAX_HEADING_CHARS or len(paragraph.lines) > 4 or CAPTION.match(text):
            return False
        if not any(c.isalpha() for c in text) or _DOT_LEADER.search(text) or _BULLET.match(text):
            return False
        if fold_title(text) in self.outline or _NAMED_ALONE.match(text):
            return True
        if text[-1] in ".;,":
            return False
        lines = paragraph.lines
        normal = max(self.style.size, page_size)
        if all(line.size >= 1.12 * normal for line in lines) and sum(c.isalpha() for c in text) >= 3:
            return True
        bold = all(line.bold for line in lines) and paragraph.first.size >= 0.94 * self.style.size
        if bold and len(lines) <= 3 and len(text) >= 3:
            return text[:1].isupper() or text[:1].isdigit() or text[:1] in '(“"'
        number = _NUMBERED.match(text)
        if number is None or len(lines) > 3:
            return False
        italic = "." in number.group(1) and all(line.italic for line in lines)
        return italic or (text[number.end() :].isupper() and len(text) > number.end() + 8)

    def learn(self, headings: Iterable[tuple[Paragraph, str]]) -> None:
        """Take the sizes that headings have (larger is higher), and whether parts are named (`Article 7`)."""
        known = list(headings)
        self._sizes = sorted({round(p.first.size * 2) / 2 for p, _ in known}, reverse=True)
        self._named = sum(bool(_NAMED.match(text)) for _, text in known) >= _MIN_NAMED

    def level(self, paragraph: Paragraph, text: str) -> int:
        """Level of a heading: by its name or number where it has one, by the bookmarks, else by its size."""
        if self.title and fold_title(text) == self.title:
            self._depth = 0
            return 1
        return self._level(paragraph, text) + bool(self.title)

    def _level(self, paragraph: Paragraph, text: str) -> int:
        named = _NAMED.match(text)
        if named and self._named:
            self._depth = _NAMED_LEVEL[named.group(1).upper()]
            return self._depth
        number = _NUMBERED.match(text)
        rest = text[number.end() :] if number else ""
        if number and ("." in number.group(1) or rest.isupper() or paragraph.first.size >= 1.12 * self.style.size):
            self._depth = number.group(1).count(".") + 1 + (_DEEPEST_NAMED if self._named else 0)
            return self._depth
        if depth := self.outline.get(fold_title(text), 0):
            self._depth = depth
            return depth
        size = round(paragraph.first.size * 2) / 2
        rank = 1 + sum(known > size + 0.7 for known in self._sizes)
        if paragraph.first.size < 1.12 * self.style.size:
            rank = max(rank, self._depth + 1) + int(paragraph.first.italic)
        else:
            self._depth = rank
        return min(rank, 10)


def fold_title(text: str) -> str:
    """A title for comparison: letters and digits only, case folded."""
    return "".join(c for c in text.casefold() if c.isalnum())
