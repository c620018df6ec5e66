"""One manual written in Markdown becomes one PDF as an equipment maker would print it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    FrameBreak,
    Image,
    KeepTogether,
    ListFlowable,
    ListItem,
    LongTable,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Spacer,
)

PLANT = "Norrbro strip mill, line 2"

_MARGIN = 22 * mm
_GUTTER = 8 * mm
_HEADER_BAND = 10 * mm
_TITLE_BLOCK = 46 * mm
_INK = colors.HexColor("#1c2733")
_ACCENT = colors.HexColor("#1f4e79")
_RULE = colors.HexColor("#9aa7b4")
_HEAD_FILL = colors.HexColor("#dde6ee")

# Characters outside the built-in fonts' code page that the Symbol font has.
_SYMBOLS = re.compile("([≤≥≈≠→←↑↓∆Ωαβφ√∞]+)")
_CAPTION_NUMBER = re.compile(r"^Figure\s+\d+\s*[:.]\s*")

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10.5, leading=15.5, spaceAfter=7, textColor=_INK)
_HEADINGS = {
    2: ParagraphStyle(
        "h2",
        parent=_BODY,
        fontName="Helvetica-Bold",
        fontSize=15,
        leading=19,
        spaceBefore=12,
        spaceAfter=6,
        textColor=_ACCENT,
    ),
    3: ParagraphStyle(
        "h3",
        parent=_BODY,
        fontName="Helvetica-Bold",
        fontSize=12,
        leading=16,
        spaceBefore=8,
        spaceAfter=4,
    ),
}
_TITLE = ParagraphStyle(
    "title",
    parent=_BODY,
    fontName="Helvetica-Bold",
    fontSize=22,
    leading=27,
    textColor=_ACCENT,
)
_SUBTITLE = ParagraphStyle(
    "subtitle",
    parent=_BODY,
    fontSize=10,
    leading=14,
    textColor=colors.HexColor("#4a5866"),
)
_CELL = ParagraphStyle("cell", parent=_BODY, fontSize=9, leading=12, spaceAfter=0)
_CELL_HEAD = ParagraphStyle("cell-head", parent=_CELL, fontName="Helvetica-Bold")
_CAPTION = ParagraphStyle(
    "caption",
    parent=_BODY,
    fontName="Helvetica-Oblique",
    fontSize=9,
    alignment=TA_CENTER,
)

LoadFigure = Callable[[str], bytes]
"""Gives the bytes of the image that a manual calls by a link such as `figures/pump-section.png`."""


@dataclass(frozen=True)
class FrontMatter:
    """The YAML head of a manual's source."""

    title: str
    family: str
    kind: str
    revision: str
    columns: int = 1

    @classmethod
    def parse(cls, text: str) -> tuple[FrontMatter, str]:
        """The head and the Markdown after it.

        Raises:
            ValueError: no head, or one without title, family, kind or revision.
        """
        match = re.match(r"---\n(.*?)\n---\n(.*)\Z", text, re.DOTALL)
        if match is None:
            raise ValueError("a manual starts with front matter between two lines of ---")
        head = yaml.safe_load(match.group(1))
        missing = {"title", "family", "kind", "revision"} - set(head)
        if missing:
            raise ValueError(f"front matter lacks {', '.join(sorted(missing))}")
        columns = int(head.get("columns", 1))
        if columns not in (1, 2):
            raise ValueError(f"columns must be 1 or 2, not {columns}")
        return cls(
            str(head["title"]),
            str(head["family"]),
            str(head["kind"]),
            str(head["revision"]),
            columns,
        ), match[2]


def render_manual(markdown: str, load_figure: LoadFigure) -> bytes:
    """The PDF of a manual; the same source gives the same bytes.

    Raises:
        ValueError: unusable front matter, Markdown that has no place in a manual, or a character without a glyph.
    """
    head, body = FrontMatter.parse(markdown)
    tokens = MarkdownIt("commonmark").enable("table").parse(body)

    def build(total_pages: int) -> tuple[bytes, int]:
        buffer = io.BytesIO()
        template = _ManualTemplate(buffer, head, total_pages)
        story = _StoryBuilder(template.column_width, load_figure).build(tokens)
        template.build([*_title_block(head), *story])
        return buffer.getvalue(), template.page

    _, pages = build(0)
    # The second pass knows the number of pages that the footer names.
    content, _ = build(pages)
    return content


class _ManualTemplate(BaseDocTemplate):
    """Page layout: running header and footer, one or two columns, bookmarks from headings."""

    def __init__(self, buffer: io.BytesIO, head: FrontMatter, total_pages: int) -> None:
        super().__init__(
            buffer,
            pagesize=A4,
            title=head.title,
            author=PLANT,
            subject=f"{head.family} {head.kind}, revision {head.revision}",
            invariant=1,
            pageCompression=1,
        )
        self._head = head
        self._total_pages = total_pages
        self._bookmarks = 0
        width, height = A4
        left, bottom = _MARGIN, _MARGIN + 4 * mm
        inner_width = width - 2 * _MARGIN
        inner_height = height - bottom - _MARGIN - _HEADER_BAND
        columns = head.columns
        self.column_width = (inner_width - (columns - 1) * _GUTTER) / columns

        def frames(usable_height: float) -> list[Frame]:
            return [
                Frame(
                    left + i * (self.column_width + _GUTTER),
                    bottom,
                    self.column_width,
                    usable_height,
                    leftPadding=0,
                    rightPadding=0,
                    topPadding=0,
                    bottomPadding=0,
                )
                for i in range(columns)
            ]

        title = Frame(
            left,
            bottom + inner_height - _TITLE_BLOCK,
            inner_width,
            _TITLE_BLOCK,
            leftPadding=0,
            rightPadding=0,
            topPadding=0,
            bottomPadding=0,
        )
        self.addPageTemplates(
            [
                PageTemplate(
                    "first",
                    [title, *frames(inner_height - _TITLE_BLOCK)],
                    onPage=self._decorate,
                ),
                PageTemplate("later", frames(inner_height), onPage=self._decorate),
            ]
        )

    def _decorate(self, canvas: Canvas, _template: BaseDocTemplate) -> None:
        width, height = A4
        top, foot = height - _MARGIN, _MARGIN - 4 * mm
        canvas.saveState()
        canvas.setStrokeColor(_RULE)
        canvas.setFillColor(colors.HexColor("#4a5866"))
        canvas.setFont("Helvetica", 8)
        canvas.line(_MARGIN, top - 2 * mm, width - _MARGIN, top - 2 * mm)
        canvas.drawString(_MARGIN, top, self._head.title)
        canvas.drawRightString(width - _MARGIN, top, PLANT)
        canvas.line(_MARGIN, foot + 5 * mm, width - _MARGIN, foot + 5 * mm)
        canvas.drawString(_MARGIN, foot, f"Revision {self._head.revision}")
        canvas.drawRightString(
            width - _MARGIN,
            foot,
            f"Page {canvas.getPageNumber()} of {self._total_pages}",
        )
        canvas.restoreState()

    def afterFlowable(self, flowable: Flowable) -> None:
        level = getattr(flowable, "outline_level", None)
        if level is None:
            return
        key = f"section-{self._bookmarks}"
        self._bookmarks += 1
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(flowable.outline_title, key, level=level)


def _title_block(head: FrontMatter) -> list[Flowable]:
    kinds = {
        "manual": "Operating and maintenance manual",
        "sop": "Standard operating procedure",
    }
    return [
        Spacer(1, 4 * mm),
        Paragraph(_glyphs(head.title), _TITLE),
        Spacer(1, 2 * mm),
        Paragraph(_glyphs(f"{kinds.get(head.kind, head.kind)} · {PLANT}"), _SUBTITLE),
        Paragraph(
            _glyphs(f"Equipment family: {head.family} · Revision {head.revision}"),
            _SUBTITLE,
        ),
        NextPageTemplate("later"),
        FrameBreak(),
    ]


class _Figure(KeepTogether):
    """An image with its caption; a heading directly before it joins them on the page."""

    def __init__(self, parts: list[Flowable]) -> None:
        super().__init__(parts)
        self.parts = parts


class _StoryBuilder:
    """Turns Markdown tokens into flowables for a column of a given width (points)."""

    def __init__(self, column_width: float, load_figure: LoadFigure) -> None:
        self._width = column_width
        self._load_figure = load_figure
        self._figures = 0

    def build(self, tokens: list[Token]) -> list[Flowable]:
        story: list[Flowable] = []
        for flowable in self._blocks(iter(tokens)):
            if isinstance(flowable, _Figure):
                headings: list[Flowable] = []
                while story and hasattr(story[-1], "outline_level"):
                    headings.insert(0, story.pop())
                flowable = KeepTogether([*headings, *flowable.parts])
            elif isinstance(flowable, CondPageBreak) and story and hasattr(story[-1], "outline_level"):
                continue  # a heading stays with the heading above it
            story.append(flowable)
        return story

    def _blocks(self, tokens: Iterator[Token]) -> Iterator[Flowable]:
        for token in tokens:
            match token.type:
                case "heading_open":
                    yield from self._heading(int(token.tag[1]), next(tokens))
                case "paragraph_open":
                    yield from self._paragraph(next(tokens))
                case "ordered_list_open" | "bullet_list_open":
                    yield self._list(token, tokens)
                case "table_open":
                    yield from self._table(tokens)
                case "heading_close" | "paragraph_close":
                    pass
                case _:
                    raise ValueError(f"no place in a manual for Markdown's {token.type}")

    def _heading(self, level: int, inline: Token) -> Iterator[Flowable]:
        if level == 1:  # the title block shows it
            return
        paragraph = Paragraph(_inline(inline), _HEADINGS[min(level, 3)])
        paragraph.outline_level = min(level, 3) - 2
        paragraph.outline_title = inline.content
        # Not keepWithNext: it would push a table longer than a page away from its heading.
        yield CondPageBreak(42 * mm)
        yield paragraph

    def _paragraph(self, inline: Token) -> Iterator[Flowable]:
        children = inline.children or []
        if len(children) == 1 and children[0].type == "image":
            yield self._figure(children[0])
        else:
            yield Paragraph(_inline(inline), _BODY)

    def _figure(self, token: Token) -> _Figure:
        self._figures += 1
        data = self._load_figure(str(token.attrs["src"]))
        width_px, height_px = ImageReader(io.BytesIO(data)).getSize()
        width = min(self._width, 125 * mm)
        caption = f"Figure {self._figures}: {_CAPTION_NUMBER.sub('', token.content)}"
        return _Figure(
            [
                Image(io.BytesIO(data), width=width, height=width * height_px / width_px),
                Spacer(1, 3),
                Paragraph(_glyphs(caption), _CAPTION),
                Spacer(1, 4),
            ]
        )

    def _list(self, opening: Token, tokens: Iterator[Token]) -> Flowable:
        ordered = opening.type == "ordered_list_open"
        items: list[ListItem] = []
        for token in tokens:
            if token.type in ("ordered_list_close", "bullet_list_close"):
                break
            if token.type == "list_item_open":
                content = list(self._blocks(_until(tokens, "list_item_close")))
                items.append(ListItem(content, spaceAfter=2))
        return ListFlowable(
            items,
            bulletType="1" if ordered else "bullet",
            start=int(opening.attrs.get("start", 1)) if ordered else "•",
            bulletFormat="%s." if ordered else None,
            bulletFontName="Helvetica",
            bulletFontSize=10.5 if ordered else 8,
            leftIndent=16,
            spaceAfter=6,
        )

    def _table(self, tokens: Iterator[Token]) -> Iterator[Flowable]:
        rows: list[list[str]] = []
        plain: list[list[str]] = []
        for token in _until(tokens, "table_close"):
            if token.type == "tr_open":
                rows.append([])
                plain.append([])
            elif token.type == "inline":
                rows[-1].append(_inline(token))
                plain[-1].append(token.content)
        cells = [[Paragraph(c, _CELL if i else _CELL_HEAD) for c in row] for i, row in enumerate(rows)]
        table = LongTable(
            cells,
            colWidths=_column_widths(plain, self._width),
            repeatRows=1,
            hAlign="LEFT",
        )
        table.setStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.5, _RULE),
                ("BACKGROUND", (0, 0), (-1, 0), _HEAD_FILL),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 4),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
        yield table
        yield Spacer(1, 8)


def _until(tokens: Iterator[Token], closing: str) -> Iterator[Token]:
    """Tokens up to the closing one, which is consumed; nested blocks of the same type stay whole."""
    opening = closing.removesuffix("close") + "open"
    depth = 0
    for token in tokens:
        if token.type == opening:
            depth += 1
        elif token.type == closing:
            if depth == 0:
                return
            depth -= 1
        yield token


def _column_widths(rows: list[list[str]], total: float) -> list[float]:
    """Widths in points: by the mean length of the cells, no column narrower than its longest word."""
    padding = 9.0
    weights, floors = [], []
    for column in zip(*rows, strict=True):
        weights.append(sum(len(cell) for cell in column) / len(column) + 4)
        longest = max((word for cell in column for word in cell.split()), key=len, default="")
        floors.append(min(len(longest) * 5.2 + padding, total / 3))
    spare = max(total - sum(floors), 0.0)
    scale = min(1.0, total / sum(floors))
    return [floor * scale + spare * weight / sum(weights) for floor, weight in zip(floors, weights, strict=True)]


def _inline(token: Token) -> str:
    """reportlab's paragraph mark-up of an inline token."""
    parts: list[str] = []
    for child in token.children or []:
        match child.type:
            case "text":
                parts.append(_glyphs(child.content))
            case "softbreak" | "hardbreak":
                parts.append(" " if child.type == "softbreak" else "<br/>")
            case "strong_open" | "strong_close":
                parts.append("<b>" if child.nesting > 0 else "</b>")
            case "em_open" | "em_close":
                parts.append("<i>" if child.nesting > 0 else "</i>")
            case "code_inline":
                parts.append(f'<font face="Courier">{_glyphs(child.content)}</font>')
            case "link_open" | "link_close":
                pass
            case _:
                raise ValueError(f"no place in a manual for Markdown's inline {child.type}: {token.content[:60]!r}")
    return "".join(parts)


def _glyphs(text: str) -> str:
    """Text escaped for a paragraph, with the Symbol font for what the built-in fonts lack.

    Raises:
        ValueError: a character that neither has; it would print as a black box.
    """
    parts = []
    for piece in _SYMBOLS.split(text):
        if _SYMBOLS.fullmatch(piece):
            parts.append(f'<font face="Symbol">{piece}</font>')
            continue
        try:
            piece.encode("cp1252")
        except UnicodeEncodeError as error:
            raise ValueError(f"no glyph for {piece[error.start]!r} in {text[:60]!r}") from error
        parts.append(escape(piece))
    return "".join(parts)
