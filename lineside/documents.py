"""What the knowledge consists of before it is indexed: documents, passages, figures and frames."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DocumentKind = Literal["manual", "sop", "incident"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(_Record):
    """One page of a document: characters `[start, end)` of `Document.text`."""

    number: int = Field(ge=1)
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Section(_Record):
    """A section: characters `[start, end)` of `Document.text`, its subsections included."""

    id: str
    title: str
    level: int = Field(ge=1, description="1 for the document's top headings")
    path: tuple[str, ...] = Field(description="titles from the top down to this section")
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Table(_Record):
    """Lines of `Document.text` that are the rows of one table, its caption's line before them where it has one."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Figure(_Record):
    """An image inside a document. `image` is an encoded PNG, JPEG or WebP."""

    id: str
    document_id: str
    family: str
    caption: str
    section_id: str | None = None
    section_path: tuple[str, ...] = ()
    page: int | None = None
    start: int = Field(0, ge=0, description="where the figure stands in Document.text, in characters")
    image: bytes
    media_type: str


class Frame(_Record):
    """A camera image, usually labelled. `image` is an encoded PNG, JPEG or WebP."""

    id: str
    family: str
    camera_id: str
    time: datetime | None = None
    label: str | None = None
    caption: str = Field("", description="what the frame shows, in words")
    source: str
    image: bytes
    media_type: str


class Document(_Record):
    """A parsed document. `text` is its canonical text: all spans count characters of it.

    Headings stand in the text as lines of their own. A table row is one line that repeats the
    header of each cell (`Code: E-452; Meaning: ...; Action: ...`), so that a row is understood alone.
    """

    id: str = Field(description="stable across versions: made from the source's path")
    title: str
    version: str = Field(description="first 12 hex digits of the sha256 of the source's bytes")
    family: str
    kind: DocumentKind = "manual"
    source: str = Field(description="path below the source's root, or a URI")
    language: str = "en"
    access: str = "public"
    time: datetime | None = None
    text: str
    pages: tuple[Page, ...] = Field((), description="empty for formats without pages")
    sections: tuple[Section, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = Field((), description="where rows stand, so that a passage never cuts one apart")


class KnownQuestion(_Record):
    """A question that somebody has looked up in the documents of its family, and whether they answer it.

    What is asked near to it is judged by it (`lineside/search/known_questions.py`).
    """

    family: str
    text: str = Field(min_length=1)
    answered: bool
    source: str = Field(description="path below the source's root")


class Passage(_Record):
    """A piece of a document that is retrieved and cited as one: `text == document.text[start:end]`."""

    id: str
    document_id: str
    family: str
    text: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    page: int | None = None
    section_id: str | None = None
    section_path: tuple[str, ...] = ()
    is_table: bool = False

    @property
    def heading(self) -> str:
        """The section path as one line, for encoders and lexical fields."""
        return " > ".join(self.section_path)


def passage_id(document_id: str, start: int, text: str) -> str:
    """Stable id: 16 hex digits over document, position and content."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (document_id, str(start), text):
        digest.update(part.encode())
        digest.update(b"\0")
    return "p" + digest.hexdigest()
