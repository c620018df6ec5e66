"""What a person opens to check a citation: a document's page or section with the cited span marked."""

from __future__ import annotations

import html

from pydantic import BaseModel, ConfigDict, Field

from lineside.documents import Document
from lineside.errors import InvalidRequest, NotFound


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class SectionSummary(_View):
    """A section in a document's table of contents."""

    id: str
    title: str
    level: int
    url: str


class DocumentView(_View):
    """A document without its text."""

    id: str
    title: str
    version: str
    family: str
    kind: str
    source: str
    language: str
    pages: tuple[int, ...]
    sections: tuple[SectionSummary, ...]


class TextView(_View):
    """A page or section. `mark` counts characters of `text`."""

    document_id: str
    title: str
    version: str
    source: str
    page: int | None = None
    section_id: str | None = None
    section_path: tuple[str, ...] = ()
    text: str
    start: int = Field(description="where the text begins in the document's text, in characters")
    mark: tuple[int, int] | None = Field(None, description="the cited span within `text`")


def document_view(document: Document) -> DocumentView:
    """The document's metadata and table of contents."""
    return DocumentView(
        id=document.id,
        title=document.title,
        version=document.version,
        family=document.family,
        kind=document.kind,
        source=document.source,
        language=document.language,
        pages=tuple(page.number for page in document.pages),
        sections=tuple(
            SectionSummary(
                id=section.id,
                title=section.title,
                level=section.level,
                url=f"/v1/documents/{document.id}/sections/{section.id}?version={document.version}",
            )
            for section in document.sections
        ),
    )


def page_view(document: Document, number: int, start: int | None, end: int | None) -> TextView:
    """One page with `[start, end)` of the document's text marked where it lies on the page; raises NotFound."""
    for page in document.pages:
        if page.number == number:
            return _text_view(document, page.start, page.end, start, end, page=number)
    raise NotFound(f"document {document.id} has no page {number}; it has {len(document.pages)} pages")


def section_view(document: Document, section_id: str, start: int | None, end: int | None) -> TextView:
    """One section with `[start, end)` of the document's text marked where it lies in it; raises NotFound."""
    for section in document.sections:
        if section.id == section_id:
            return _text_view(
                document, section.start, section.end, start, end, section_id=section_id, section_path=section.path
            )
    raise NotFound(f"document {document.id} has no section {section_id}")


def _text_view(
    document: Document,
    first: int,
    last: int,
    start: int | None,
    end: int | None,
    *,
    page: int | None = None,
    section_id: str | None = None,
    section_path: tuple[str, ...] = (),
) -> TextView:
    if (start is None) != (end is None) or (start is not None and end is not None and start >= end):
        raise InvalidRequest("start and end: give both, start below end, as in the citation's url")
    mark = None
    if start is not None and end is not None and start < last and end > first:
        mark = (max(start, first) - first, min(end, last) - first)
    return TextView(
        document_id=document.id,
        title=document.title,
        version=document.version,
        source=document.source,
        page=page,
        section_id=section_id,
        section_path=section_path,
        text=document.text[first:last],
        start=first,
        mark=mark,
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.55 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem; color: #1d2329; }}
header {{ border-bottom: 1px solid #c8cfd6; margin-bottom: 1.2rem; padding-bottom: .6rem; }}
h1 {{ font-size: 1.2rem; margin: 0; }} p {{ color: #5b6670; margin: .2rem 0 0; font-size: .9rem; }}
pre {{ font: inherit; white-space: pre-wrap; margin: 0; }} mark {{ background: #ffe28a; padding: .1em 0; }}
</style></head><body><header><h1>{title}</h1><p>{where}</p></header><pre>{text}</pre></body></html>
"""


def as_html(view: TextView) -> str:
    """The view as a page for a browser; everything from the document is escaped."""
    text = view.text
    if view.mark is None:
        body = html.escape(text)
    else:
        start, end = view.mark
        before, cited, after = (html.escape(part) for part in (text[:start], text[start:end], text[end:]))
        body = f'{before}<mark id="cited">{cited}</mark>{after}'
    where = f"page {view.page}" if view.page is not None else " › ".join(view.section_path)
    return _PAGE.format(
        title=html.escape(view.title), where=html.escape(f"{view.source} · {where} · version {view.version}"), text=body
    )
