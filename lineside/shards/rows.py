"""The rows of a shard: passages, figures and frames as one table, and the texts that are encoded for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from lineside.analysis import identifiers, sentences
from lineside.documents import Document, Figure, Frame, Page, Passage, Section, Table
from lineside.errors import ShardError

KINDS = ("passage", "figure", "frame")

ROW_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("text", pa.string()),
        ("heading", pa.string()),
        ("document_id", pa.string()),
        ("title", pa.string()),
        ("version", pa.string()),
        ("document_kind", pa.string()),
        ("source", pa.string()),
        ("language", pa.string()),
        ("access", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("page", pa.int32()),
        ("section_id", pa.string()),
        ("section_path", pa.list_(pa.string())),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("is_table", pa.bool_()),
        ("label", pa.string()),
        ("camera_id", pa.string()),
        ("image", pa.string()),
        ("text_hash", pa.binary(8)),
    ]
)
_PAGE = pa.struct([("number", pa.int32()), ("start", pa.int32()), ("end", pa.int32())])
_SECTION = pa.struct(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("level", pa.int32()),
        ("path", pa.list_(pa.string())),
        ("start", pa.int32()),
        ("end", pa.int32()),
    ]
)
DOCUMENT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("version", pa.string()),
        ("family", pa.string()),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("language", pa.string()),
        ("access", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("text", pa.large_string()),
        ("pages", pa.list_(_PAGE)),
        ("sections", pa.list_(_SECTION)),
        ("tables", pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32())]))),
    ]
)


@dataclass(frozen=True, slots=True)
class SentenceSpan:
    """Characters `[start, end)` of the text of the passage at position `passage` of a sequence of passages."""

    passage: int
    start: int
    end: int


def encoder_text(item: Passage | Figure | Frame) -> str:
    """The text a row is encoded from: a passage under its heading, the caption of a figure or frame."""
    if isinstance(item, Passage):
        return f"{item.heading}\n{item.text}" if item.section_path else item.text
    return item.caption


def sentence_spans(passages: Sequence[Passage]) -> list[SentenceSpan]:
    """The sentences of the passages, in order: what `ShardVectors.sentences` has a row for."""
    return [SentenceSpan(i, s.start, s.end) for i, p in enumerate(passages) for s in sentences(p.text)]


_DEFINING = re.compile(
    r"^(?:error |alarm |fault |event |part |item |order |rule )?(?:codes?|numbers?|nos?\.?|ids?)\s*:\s*([^;\n]{1,200})",
    re.IGNORECASE | re.MULTILINE,
)


def defined_identifiers(text: str) -> list[str]:
    """Identifiers that the text is about, not just mentions: "Code: E-452; Meaning: ...", "Part number: HX-200/A"."""
    return [found for value in _DEFINING.findall(text) for found in identifiers(value)]


def lexical_fields(item: Passage | Figure | Frame, document: Document | None) -> tuple[str, str]:
    """(heading, body) as the lexical index sees the row; the heading weighs more.

    Identifiers that a passage defines belong to its heading, twice: who asks for a code wants the place that explains
    it before a heading that names it.
    """
    if isinstance(item, Frame):
        label = (item.label or "").replace("-", " ").replace("_", " ")
        return f"{label} {item.camera_id}", item.caption
    title = document.title if document else ""
    path = item.section_path if title in item.section_path else (title, *item.section_path)
    body = item.text if isinstance(item, Passage) else item.caption
    return " ".join((*path, *2 * defined_identifiers(body))), body


def row_table(
    passages: Sequence[Passage],
    figures: Sequence[Figure],
    frames: Sequence[Frame],
    documents: Mapping[str, Document],
    image_names: Sequence[str | None],
) -> pa.Table:
    """One row for every passage, figure and frame, in this order. Image names are in row order."""
    items: list[Passage | Figure | Frame] = [*passages, *figures, *frames]
    rows = []
    for item, image in zip(items, image_names, strict=True):
        row = _frame_row(item) if isinstance(item, Frame) else _document_row(item, documents[item.document_id])
        row["image"] = image
        row["text_hash"] = text_hash(item.text if isinstance(item, Passage) else item.caption)
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=ROW_SCHEMA)


def _document_row(item: Passage | Figure, document: Document) -> dict[str, object]:
    is_passage = isinstance(item, Passage)
    return {
        "id": item.id,
        "kind": "passage" if is_passage else "figure",
        "text": item.text if isinstance(item, Passage) else item.caption,
        "heading": " > ".join(item.section_path),
        "document_id": document.id,
        "title": document.title,
        "version": document.version,
        "document_kind": document.kind,
        "source": document.source,
        "language": document.language,
        "access": document.access,
        "time": as_utc(document.time),
        "page": item.page,
        "section_id": item.section_id,
        "section_path": list(item.section_path),
        "start": item.start,
        "end": item.end if isinstance(item, Passage) else item.start,
        "is_table": item.is_table if isinstance(item, Passage) else False,
        "label": None,
        "camera_id": None,
    }


def _frame_row(frame: Frame) -> dict[str, object]:
    return {
        "id": frame.id,
        "kind": "frame",
        "text": frame.caption,
        "heading": "",
        "document_id": None,
        "title": frame.label or "",
        "version": "",
        "document_kind": None,
        "source": frame.source,
        "language": "",
        "access": "public",
        "time": as_utc(frame.time),
        "page": None,
        "section_id": None,
        "section_path": [],
        "start": None,
        "end": None,
        "is_table": False,
        "label": frame.label,
        "camera_id": frame.camera_id,
    }


def document_table(documents: Sequence[Document]) -> pa.Table:
    """The documents without their images."""
    rows = [{**d.model_dump(exclude={"figures"}), "time": as_utc(d.time)} for d in documents]
    return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)


def document_at(table: pa.Table, row: int) -> Document:
    """The document in that row; its `figures` are empty: they are rows of the shard."""
    record = table.slice(row, 1).to_pylist()[0]
    record["pages"] = tuple(Page(**page) for page in record["pages"])
    record["sections"] = tuple(Section(**{**s, "path": tuple(s["path"])}) for s in record["sections"])
    record["tables"] = tuple(Table(**table) for table in record["tables"])
    return Document(**record)


def as_utc(time: datetime | None) -> datetime | None:
    """The time with its zone; one without is taken to be UTC."""
    if time is None:
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def text_hash(text: str) -> bytes:
    """Eight bytes over the text with white space and case folded: equal for verbatim copies."""
    return hashlib.blake2b(" ".join(text.casefold().split()).encode(), digest_size=8).digest()


def check_unique(ids: Sequence[str], what: str) -> None:
    """Raises ShardError when an id occurs twice."""
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise ShardError(f"{what} {twice} occurs more than once")
