"""One manual written in Markdown becomes one PDF as an equipment maker would print it."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import yaml
from markdown_it import MarkdownIt
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Spacer,
)

from demo.manual_story import LoadFigure, StoryBuilder
from demo.manual_type import MUTED, RULE, SUBTITLE, TITLE, glyphs

PLANT = "Norrbro strip mill, line 2"

_MARGIN = 22 * mm
_GUTTER = 8 * mm
_HEADER_BAND = 10 * mm
_TITLE_BLOCK = 46 * mm


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
        story = StoryBuilder(template.column_width, load_figure).build(tokens)
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
        canvas.setStrokeColor(RULE)
        canvas.setFillColor(MUTED)
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
        Paragraph(glyphs(head.title), TITLE),
        Spacer(1, 2 * mm),
        Paragraph(glyphs(f"{kinds.get(head.kind, head.kind)} · {PLANT}"), SUBTITLE),
        Paragraph(
            glyphs(f"Equipment family: {head.family} · Revision {head.revision}"),
            SUBTITLE,
        ),
        NextPageTemplate("later"),
        FrameBreak(),
    ]
