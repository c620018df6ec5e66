"""A manual's Markdown becomes what stands in its columns: paragraphs, lists, tables, figures."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

from markdown_it.token import Token
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Image,
    KeepTogether,
    ListFlowable,
    ListItem,
    LongTable,
    Paragraph,
    Spacer,
)

from demo.manual_type import BODY, CAPTION, CELL, CELL_HEAD, HEAD_FILL, HEADINGS, RULE, glyphs

_CAPTION_NUMBER = re.compile(r"^Figure\s+\d+\s*[:.]\s*")

LoadFigure = Callable[[str], bytes]
"""Gives the bytes of the image that a manual calls by a link such as `figures/pump-section.png`."""


class _Figure(KeepTogether):
    """An image with its caption; a heading directly before it joins them on the page."""

    def __init__(self, parts: list[Flowable]) -> None:
        super().__init__(parts)
        self.parts = parts


class StoryBuilder:
    """Turns Markdown tokens into flowables for a column of a given width (points)."""

    def __init__(self, column_width: float, load_figure: LoadFigure) -> None:
        self._width = column_width
        self._load_figure = load_figure
        self._figures = 0

    def build(self, tokens: list[Token]) -> list[Flowable]:
        """What the tokens say, in order; figures are numbered from 1 and stay with the headings right above them.

        Raises:
            ValueError: Markdown that has no place in a manual, or a character without a glyph.
        """
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
        paragraph = Paragraph(_inline(inline), HEADINGS[min(level, 3)])
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
            yield Paragraph(_inline(inline), BODY)

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
                Paragraph(glyphs(caption), CAPTION),
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
        cells = [[Paragraph(c, CELL if i else CELL_HEAD) for c in row] for i, row in enumerate(rows)]
        table = LongTable(
            cells,
            colWidths=_column_widths(plain, self._width),
            repeatRows=1,
            hAlign="LEFT",
        )
        table.setStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.5, RULE),
                ("BACKGROUND", (0, 0), (-1, 0), HEAD_FILL),
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
                parts.append(glyphs(child.content))
            case "softbreak" | "hardbreak":
                parts.append(" " if child.type == "softbreak" else "<br/>")
            case "strong_open" | "strong_close":
                parts.append("<b>" if child.nesting > 0 else "</b>")
            case "em_open" | "em_close":
                parts.append("<i>" if child.nesting > 0 else "</i>")
            case "code_inline":
                parts.append(f'<font face="Courier">{glyphs(child.content)}</font>')
            case "link_open" | "link_close":
                pass
            case _:
                raise ValueError(f"no place in a manual for Markdown's inline {child.type}: {token.content[:60]!r}")
    return "".join(parts)
