"""PDF to pieces of a document: pages in reading order, tables, figures, nothing of what runs along the margins."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import pypdfium2

from ingest.builder import DocumentBuilder, fold_line, row_line
from ingest.images import EncodedImage, encode_png
from ingest.limits import ParseLimits
from ingest.pdf_figures import clip, distance_to_caption, figure_boxes, place_of, repeated_images
from ingest.pdf_layout import Item, Line, Region, reading_order
from ingest.pdf_page import Box, PageContent, Segment, read_page
from ingest.pdf_structure import (
    FIGURE_CAPTION,
    HeadingRules,
    Paragraph,
    Style,
    fold_title,
    is_contents,
    item_text,
    paragraphs,
    running_segments,
    text_style,
    without_leader,
)
from ingest.pdf_tables import Grid, find_grids
from ingest.pdfium_lock import PDFIUM
from lineside.errors import ParseError

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BARE_CAPTION = re.compile(r"^\w+\.?\s*[A-Z]?\d{1,6}[a-z]?[.:]?$")
_MUCH_TEXT = 300  # characters after which a page's own text size counts
_EARLY = 8  # headings among which the document's title is looked for
_COVER = 2.2  # times the text size: a cover's type, which says nothing about the order of headings
_MARGIN = 0.13  # share of the page
_MAX_CAPTION_PT = 60.0
_RENDER_SCALE = 2.0  # 144 dpi
_POOR_TITLE = re.compile(
    r"\.(?:docx?|indd|qxd|pdf|rtf|p65|fm)$|^(?:untitled|microsoft word|slide 1|\d+)\b", re.IGNORECASE
)


@dataclass(slots=True)
class _Block:
    """A table or a figure: something that reading order moves as a whole."""

    box: Box
    grid: Grid | None = None
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Caption:
    """A figure's caption: where it stands on the page and in the text."""

    box: Box
    text: str
    start: int


@dataclass(slots=True)
class _Page:
    content: PageContent
    blocks: list[_Block] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    is_scan: bool = False
    is_contents: bool = False
    text_size: float = 0.0  # of most characters; 0 on pages with little text

    @property
    def lines(self) -> list[Line]:
        return [entry for region in self.regions for entry in region.content if isinstance(entry, Line)]


def parse_pdf(data: bytes, builder: DocumentBuilder, limits: ParseLimits) -> str:
    """Add a PDF's pages to the builder. Returns its title.

    Raises: ParseError when it is damaged, encrypted or over a limit.
    """
    if b"%PDF-" not in data[:1024]:
        raise ParseError("is not a PDF: check the file's extension")
    with PDFIUM:
        return _parse(data, builder, limits)


def _parse(data: bytes, builder: DocumentBuilder, limits: ParseLimits) -> str:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        reason = str(error).lower()
        if "password" in reason or "security" in reason:
            raise ParseError("is encrypted: remove its password and save it again") from error
        raise ParseError(f"is damaged or cut short ({error}): download or export it again") from error
    try:
        if len(document) > limits.max_pages:
            raise ParseError(f"has {len(document)} pages, over the limit of {limits.max_pages}: split it")
        if len(document) == 0:
            raise ParseError("has no page that can be read: export it again")
        return _Writer(document, builder, limits).write()
    except pypdfium2.PdfiumError as error:
        raise ParseError(f"is damaged ({error}): export it again") from error
    finally:
        document.close()


class _Writer:
    """Reads all pages, learns the document's fonts and margins from them, then writes page by page."""

    def __init__(self, document: pypdfium2.PdfDocument, builder: DocumentBuilder, limits: ParseLimits) -> None:
        self.document = document
        self.builder = builder
        self.limits = limits
        self.vocabulary: Counter[str] = Counter()
        self.last_header: list[str] = []
        self.last_edges: list[float] = []

    def write(self) -> str:
        contents = [self._read(number) for number in range(len(self.document))]
        running = running_segments(contents)
        repeated = repeated_images(contents)
        pages = [self._arrange(c, running.get(c.number, set()), repeated) for c in contents]
        lines = [line for page in pages for line in page.lines]
        for line in lines:
            self.vocabulary.update(word.casefold() for word in _WORD.findall(line.text))
        style = text_style(lines)
        rules = HeadingRules(style, self._outline())
        headings: list[tuple[Paragraph, str]] = []
        for page in pages:
            page.is_contents = is_contents(page.lines)
            letters = sum(len(line.text) for line in page.lines)
            page.text_size = text_style(page.lines).size if letters >= _MUCH_TEXT else 0.0
            for region in page.regions:
                found = paragraphs([entry for entry in region.content if isinstance(entry, Line)], style)
                texts = [(paragraph, self._text(paragraph)) for paragraph in found]
                headings += [(p, t) for p, t in texts if self._is_heading(page, rules, p, t)]
        title = self._title(headings)
        if any(fold_title(text) == fold_title(title) for _, text in headings[:_EARLY]):
            rules.title = fold_title(title)
        rules.learn((p, t) for p, t in headings if fold_title(t) != rules.title and p.first.size <= _COVER * style.size)
        for page in pages:
            self._write_page(page, style, rules)
        scans = [page.content.number for page in pages if page.is_scan]
        if scans:
            numbers = ", ".join(str(n) for n in scans[:20]) + (" ..." if len(scans) > 20 else "")
            self.builder.warn(
                f"pages without text, only images: {numbers}; run OCR on the file to make them searchable"
            )
        return title

    @staticmethod
    def _is_heading(page: _Page, rules: HeadingRules, paragraph: Paragraph, text: str) -> bool:
        return not page.is_contents and rules.is_heading(paragraph, text, page.text_size)

    def _read(self, index: int) -> PageContent:
        try:
            page = self.document[index]
        except pypdfium2.PdfiumError:
            self.builder.warn(f"page {index + 1} was left out: it is damaged")
            return PageContent(index + 1, 612.0, 792.0)
        try:
            return read_page(page, index + 1)
        finally:
            page.close()

    def _outline(self) -> dict[str, int]:
        found: dict[str, int] = {}
        try:
            for count, bookmark in enumerate(self.document.get_toc(max_depth=6)):
                if count > 5_000:
                    break
                title = fold_title(bookmark.get_title())
                if len(title) >= 3:
                    found.setdefault(title, bookmark.level + 1)
        except (pypdfium2.PdfiumError, UnicodeDecodeError):
            return {}
        return found

    def _title(self, headings: list[tuple[Paragraph, str]]) -> str:
        """What the file's properties say, else the largest of the first headings."""
        stated = fold_line(self.document.get_metadata_value("Title"))
        if len(stated) >= 4 and not _POOR_TITLE.search(stated):
            return stated
        early = headings[:_EARLY]
        return max(early, key=lambda pair: pair[0].first.size)[1] if early else ""

    def _arrange(self, content: PageContent, running: set[int], repeated: set[tuple[int, ...]]) -> _Page:
        """Sort a page's segments into tables, figures and running text, and bring all of it into reading order."""
        page = _Page(content)
        content.segments = [s for s in content.segments if id(s) not in running]
        page_box = Box(0, 0, content.width, content.height)
        images = [box for box in content.images if place_of(box) not in repeated]
        letters = sum(len(s.text) for s in content.segments)
        page.is_scan = letters < 20 and any(clip(box, page_box).area > 0.5 * page_box.area for box in images)
        taken: set[int] = set()
        for grid, inside in find_grids(content):
            page.blocks.append(_Block(grid.box, grid))
            taken.update(id(s) for s in inside)
        for box in figure_boxes(images, page_box):
            inside = [s for s in content.segments if id(s) not in taken and box.holds(*_centre(s))]
            if sum(len(s.text) for s in inside) > 400:
                continue  # a background, not a figure
            taken.update(id(s) for s in inside)
            page.blocks.append(_Block(box, None, [s.text for s in sorted(inside, key=lambda s: (s.base, s.x0))]))
        items = [Item(s.box, segment=s) for s in content.segments if id(s) not in taken]
        in_tables = [b for b in page.blocks if b.grid]
        for index, block in enumerate(page.blocks):
            inner = block.grid is None and any(t.box.holds(*_middle(block.box)) for t in in_tables)
            if not inner:
                items.append(Item(block.box, block=index))
        page.regions = reading_order(items)
        placed = {entry for region in page.regions for entry in region.content if isinstance(entry, int)}
        for index, _ in enumerate(page.blocks):
            if index not in placed:  # a figure inside a table follows it
                page.regions.append(Region([index]))
        return page

    def _write_page(self, page: _Page, style: Style, rules: HeadingRules) -> None:
        self.builder.begin_page(page.content.number)
        captions: list[_Caption] = []
        figures: list[tuple[Box, int]] = []
        for region in page.regions:
            lines: list[Line] = []
            for entry in region.content:
                if isinstance(entry, Line):
                    lines.append(entry)
                    continue
                self._write_lines(page, lines, style, rules, captions)
                lines = []
                block = page.blocks[entry]
                if block.grid is not None:
                    self._write_table(block.grid)
                else:
                    start = self.builder.paragraph("; ".join(dict.fromkeys(fold_line(label) for label in block.labels)))
                    figures.append((block.box, self.builder.length if start is None else start))
            self._write_lines(page, lines, style, rules, captions)
        self._write_figures(page.content, figures, captions)

    def _write_figures(self, content: PageContent, figures: list[tuple[Box, int]], captions: list[_Caption]) -> None:
        """Every figure with the nearest caption above or below it that no nearer figure has."""
        pairs = sorted(
            (distance, f, c)
            for f, (box, _) in enumerate(figures)
            for c, caption in enumerate(captions)
            if (distance := distance_to_caption(box, caption.box)) < _MAX_CAPTION_PT
        )
        chosen: dict[int, int] = {}
        for _, f, c in pairs:
            if f not in chosen and c not in chosen.values():
                chosen[f] = c
        for f, (box, start) in enumerate(figures):
            caption = captions[chosen[f]] if f in chosen else None
            middle = (box.y0 + box.y1) / (2 * content.height)
            if caption is None and not _MARGIN < middle < 1 - _MARGIN:
                continue  # an emblem beside a running title
            image = self._render(content, box)
            if image is None:
                continue
            self.builder.figure(image, caption.text if caption else "", caption.start if caption else start)

    def _write_lines(
        self, page: _Page, lines: list[Line], style: Style, rules: HeadingRules, captions: list[_Caption]
    ) -> None:
        if page.is_contents:
            self.builder.lines([without_leader(line.text) for line in lines])
            return
        items: list[str] = []
        found = paragraphs(lines, style)
        for place, paragraph in enumerate(found):
            text = self._text(paragraph)
            heading = self._is_heading(page, rules, paragraph, text)
            if heading or not paragraph.is_item:
                self.builder.lines(items)
                items = []
            if heading:
                self.builder.heading(rules.level(paragraph, text), text)
            elif paragraph.is_item:
                items.append(item_text(text))
            else:
                start = self.builder.paragraph(without_leader(text))
                if start is not None and FIGURE_CAPTION.match(text):
                    if _BARE_CAPTION.match(text) and place + 1 < len(found):  # "Figure 3:" on a line of its own
                        text = f"{text} {self._text(found[place + 1])}"
                    captions.append(_Caption(_around(paragraph), text, start))
        self.builder.lines(items)

    def _write_table(self, grid: Grid) -> None:
        rows = [[self._join(cell.lines) if cell else "" for cell in row] for row in grid.rows]
        bold = [all(cell.bold for cell in row if cell and cell.lines) for row in grid.rows]
        caption = ""
        if len(rows) > 2 and sum(bool(text) for text in rows[0]) == 1 and bold[0]:
            caption = next(text for text in rows[0] if text)
            rows, bold = rows[1:], bold[1:]
        continued = len(grid.xs) == len(self.last_edges) and all(
            abs(a - b) < 4 for a, b in zip(grid.xs, self.last_edges, strict=True)
        )
        named = sum(bool(text) for text in rows[0]) >= 2
        if continued and self.last_header and (rows[0] == self.last_header or not bold[0]):
            header = self.last_header
            rows = rows[1:] if rows[0] == header else rows
        elif named and (bold[0] or not any(bold)) and len(rows) > 1:
            header, rows = rows[0], rows[1:]
        else:
            header = []
        self.last_header, self.last_edges = header, grid.xs
        self.builder.table_lines([row_line(row, header) for row in rows], caption)

    def _render(self, content: PageContent, box: Box) -> EncodedImage | None:
        """The part of the page that a figure covers, as a person sees it."""
        shown = clip(box, Box(0, 0, content.width, content.height))
        if shown.width < 8 or shown.height < 8:
            return None
        scale = min(_RENDER_SCALE, self.limits.max_figure_side_px / max(shown.width, shown.height))
        page = self.document[content.number - 1]
        try:
            bitmap = page.render(
                scale=scale,
                crop=(shown.x0, content.height - shown.y1, content.width - shown.x1, shown.y0),
            )
            return encode_png(bitmap.to_pil().convert("RGB"), self.limits)
        except (ValueError, pypdfium2.PdfiumError) as error:
            self.builder.warn(f"a figure on page {content.number} was left out: {error}")
            return None
        finally:
            page.close()

    def _text(self, paragraph: Paragraph) -> str:
        return fold_line(self._join([line.text for line in paragraph.lines]))

    def _join(self, lines: list[str]) -> str:
        """Lines as one, words that were divided at a line's end put together again.

        A hyphen stays where the document writes the word with it elsewhere and never without.
        """
        text = ""
        for line in lines:
            line = line.strip()
            before = text[:-1].rsplit(None, 1)[-1] if text.endswith("-") and len(text) > 1 else ""
            if before and before[-1:].isalpha() and line[:1].islower():
                after = re.match(r"[^\W\d_]+", line)
                tail = after.group() if after else ""
                head = re.search(r"[^\W\d_]+(?:-[^\W\d_]+)*$", before)
                whole = (head.group() if head else before).casefold()
                whole_known = self.vocabulary[whole + tail.casefold()]
                kept = self.vocabulary[f"{whole}-{tail.casefold()}"] > whole_known
                text = (text if kept else text[:-1]) + line
            elif before and before[-1:].isalnum():
                text += line
            else:
                text = f"{text} {line}" if text else line
        return text


def _centre(segment: Segment) -> tuple[float, float]:
    return (segment.x0 + segment.x1) / 2, segment.base - 0.3 * segment.size


def _middle(box: Box) -> tuple[float, float]:
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def _around(paragraph: Paragraph) -> Box:
    box = paragraph.first.box
    for line in paragraph.lines[1:]:
        box = box.union(line.box)
    return box
