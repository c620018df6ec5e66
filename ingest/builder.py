"""Builds a document's canonical text piece by piece, so that pages, sections, tables and figures are its spans."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from ingest.identity import slug
from ingest.images import EncodedImage, check_image, is_svg
from ingest.limits import ParseLimits
from ingest.source import Resolve
from ingest.svg import render_svg
from lineside.documents import Document, DocumentKind, Figure, Page, Section, Table
from lineside.errors import ParseError

Separator = Literal["\n", "\n\n"]

_INVISIBLE = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff\ud800-\udfff]|[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MAX_TITLE_CHARS = 300
_MAX_LEVEL = 12


def fold_line(text: str) -> str:
    """The text as one line: composed (NFC), white space folded, control and invisible characters left out."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def row_line(cells: Sequence[str], header: Sequence[str]) -> str:
    """One table row that is understood alone: `Code: E-452; Meaning: overcurrent`. Empty cells are left out.

    Without a header two cells read as name and value, more are joined by semicolons.
    """
    folded = [fold_line(cell) for cell in cells]
    names = [fold_line(name).rstrip(":") for name in header]
    if not any(names):
        if len(folded) == 2 and all(folded):
            return f"{folded[0].rstrip(':')}: {folded[1]}"
        return "; ".join(cell for cell in folded if cell)
    parts = []
    for place, cell in enumerate(folded):
        name = names[place] if place < len(names) else ""
        if cell:
            parts.append(f"{name}: {cell}" if name and name != cell else cell)
    return "; ".join(parts)


@dataclass(slots=True)
class _OpenSection:
    """`level` is the one written in the source, which may skip some; a `Section` has its depth."""

    id: str
    title: str
    level: int
    path: tuple[str, ...]
    start: int
    end: int = 0


@dataclass(frozen=True, slots=True)
class _PlacedFigure:
    id: str
    image: EncodedImage
    caption: str
    start: int
    page: int | None


@dataclass(slots=True)
class DocumentBuilder:
    """Collects pieces in reading order. Every piece is one line of the canonical text."""

    document_id: str
    family: str
    limits: ParseLimits
    resolve: Resolve | None = None
    warnings: list[str] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _length: int = 0
    _sections: list[_OpenSection] = field(default_factory=list)
    _stack: list[_OpenSection] = field(default_factory=list)
    _slugs: dict[str, int] = field(default_factory=dict)
    _pages: list[Page] = field(default_factory=list)
    _page: int | None = None
    _page_start: int | None = None
    _figures: list[_PlacedFigure] = field(default_factory=list)
    _tables: list[Table] = field(default_factory=list)
    _figure_ids: dict[str, int] = field(default_factory=dict)
    _skipped_figures: int = 0

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    @property
    def section_count(self) -> int:
        """Headings so far."""
        return len(self._sections)

    def warn(self, message: str) -> None:
        """Report something that was left out."""
        self.warnings.append(message)

    def begin_page(self, number: int) -> None:
        """What follows stands on page `number`; numbers must rise."""
        self._end_page()
        self._page, self._page_start = number, None

    def _end_page(self) -> None:
        if self._page is not None:
            start = self._length if self._page_start is None else self._page_start
            self._pages.append(Page(number=self._page, start=start, end=self._length))

    def heading(self, level: int, title: str) -> None:
        """Open a section; deeper and equal ones end. A heading without text is left out."""
        title = fold_line(title)
        if not title:
            return
        level = max(1, min(level, _MAX_LEVEL))
        line = title
        title = title[:_MAX_TITLE_CHARS].rstrip()
        while self._stack and self._stack[-1].level >= level:
            self._stack.pop().end = self._length
        start = self._append(line, "\n\n")
        path = (*(section.title for section in self._stack), title)
        section = _OpenSection(self._unique(slug(title)), title, level, path, start)
        self._sections.append(section)
        self._stack.append(section)

    def paragraph(self, text: str) -> int | None:
        """A block of its own, as one line. Returns where it starts; None where it holds no text."""
        return self._append(line, "\n\n") if (line := fold_line(text)) else None

    def line(self, text: str) -> int | None:
        """A line that belongs to the block before it: a list item, a line of code."""
        return self._append(line, "\n") if (line := fold_line(text)) else None

    def lines(self, texts: Sequence[str]) -> None:
        """Lines that belong together: a list, a listing."""
        for place, text in enumerate(line for text in texts if (line := fold_line(text))):
            self._append(text, "\n" if place else "\n\n")

    def table(self, rows: Sequence[Sequence[str]], header: Sequence[str] = (), caption: str = "") -> None:
        """A table, one line a row. A table of nothing but a header becomes a line of its cells."""
        lines = [line for row in rows if (line := row_line(row, header))]
        if not lines and any(header):
            lines = [row_line(header, ())]
        self.table_lines(lines, caption)

    def table_lines(self, lines: Sequence[str], caption: str = "") -> None:
        """Rows that are lines already, marked as a table."""
        folded = [line for text in (caption, *lines) if (line := fold_line(text))]
        if not folded:
            return
        start = self._append(folded[0], "\n\n")
        for line in folded[1:]:
            self._append(line, "\n")
        self._tables.append(Table(start=start, end=self._length))

    def _append(self, text: str, separator: Separator) -> int:
        if self._parts:
            self._parts.append(separator)
            self._length += len(separator)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        if self._length > self.limits.max_text_chars:
            raise ParseError(
                f"the text is over the limit of {self.limits.max_text_chars} characters: split the document"
            )
        if self._page is not None and self._page_start is None:
            self._page_start = start
        return start

    def _unique(self, name: str) -> str:
        count = self._slugs.get(name, 0) + 1
        self._slugs[name] = count
        if count == 1:
            return name
        return self._unique(f"{name}-{count}")

    def figure(self, image: EncodedImage, caption: str, start: int | None = None) -> None:
        """An image that stands here, its caption as a line; or at `start`, where its caption is text already."""
        if len(self._figures) >= self.limits.max_figures:
            self._skipped_figures += 1
            return
        caption = fold_line(caption)
        if start is None:
            start = self._append(caption, "\n\n") if caption else self._length
        digest = hashlib.blake2b(self.document_id.encode() + b"\0" + image.data, digest_size=8).hexdigest()
        count = self._figure_ids.get(digest, 0) + 1
        self._figure_ids[digest] = count
        self._figures.append(
            _PlacedFigure(f"f{digest}" if count == 1 else f"f{digest}-{count}", image, caption, start, self._page)
        )

    def linked_figure(self, link: str, caption: str) -> None:
        """The image behind a link of the source. One that cannot be had is reported; its caption stays as text."""
        try:
            image = self._load(link)
        except ParseError as error:
            self.warn(f"figure {link[:200]!r} was left out: {error}")
            self.paragraph(caption)
        else:
            self.figure(image, caption)

    def _load(self, link: str) -> EncodedImage:
        if link.startswith("data:"):
            _, _, payload = link.partition(";base64,")
            try:
                return check_image(base64.b64decode(payload, validate=True), self.limits)
            except binascii.Error as error:
                raise ParseError("its data: URL is not base64") from error
        try:
            parts = urlsplit(link)
        except ValueError as error:
            raise ParseError("its link is malformed") from error
        if parts.scheme or parts.netloc:
            raise ParseError("it lies outside the source folder: keep images beside the document")
        if self.resolve is None:
            raise ParseError("images are not read here")
        path = unquote(parts.path)
        data = self.resolve(path)
        if data is None:
            raise ParseError("no such file beside the document")
        return render_svg(data, self.limits) if is_svg(data) else check_image(data, self.limits)

    def _unnamed_start(self, title: str) -> None:
        """Give text that stands before the first heading a section of its own, named like the document."""
        first = self._sections[0].start if self._sections else self._length
        if not title or not "".join(self._parts[:1]) or first == 0:
            return
        end = len("".join(self._parts)[:first].rstrip())
        section = _OpenSection(self._unique(slug(title)), title, 1, (title,), 0, end)
        self._sections.insert(0, section)

    def _placed_figures(self) -> tuple[Figure, ...]:
        """Figures with the section that was open where they stand."""
        starts = [section.start for section in self._sections]
        figures = []
        for placed in self._figures:
            place = bisect_right(starts, placed.start) - 1
            section = self._sections[place] if place >= 0 else None
            figures.append(
                Figure(
                    id=placed.id,
                    document_id=self.document_id,
                    family=self.family,
                    caption=placed.caption,
                    section_id=section.id if section else None,
                    section_path=section.path if section else (),
                    page=placed.page,
                    start=placed.start,
                    image=placed.image.data,
                    media_type=placed.image.media_type,
                )
            )
        return tuple(figures)

    def finish(
        self,
        *,
        title: str,
        version: str,
        source: str,
        kind: DocumentKind = "manual",
        language: str = "en",
        access: str = "public",
        time: datetime | None = None,
    ) -> Document:
        """The document. `title` falls back to the first heading, then to the file's name."""
        self._end_page()
        for section in self._stack:
            section.end = self._length
        self._stack.clear()
        title = fold_line(title)[:_MAX_TITLE_CHARS].rstrip()
        if not title:
            title = self._sections[0].title if self._sections else fold_line(PurePosixPath(source).name) or "untitled"
        self._unnamed_start(title)
        if self._skipped_figures:
            self.warn(f"{self._skipped_figures} figures were left out: the limit is {self.limits.max_figures}")
        return Document(
            id=self.document_id,
            title=title,
            version=version,
            family=self.family,
            kind=kind,
            source=source,
            language=language,
            access=access,
            time=time,
            text="".join(self._parts),
            pages=tuple(self._pages),
            sections=tuple(
                Section(id=s.id, title=s.title, level=len(s.path), path=s.path, start=s.start, end=s.end)
                for s in self._sections
            ),
            figures=self._placed_figures(),
            tables=tuple(self._tables),
        )
