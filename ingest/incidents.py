"""Incident reports as JSON lines or CSV: a document each, its fields as lines."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.builder import DocumentBuilder, fold_line
from ingest.identity import report_id
from ingest.limits import ParseLimits
from ingest.metadata import metadata_from, readable_lines
from ingest.records import Record, json_lines, usable
from ingest.source import family_of
from lineside.documents import Document
from lineside.errors import ParseError

# Fields that name the report or say where it belongs; everything else is its text.
_META = frozenset({"id", "title", "family", "time", "language", "lang", "access", "kind"})


@dataclass(frozen=True, slots=True)
class Reports:
    """Documents of one file and what was left out of it."""

    documents: tuple[Document, ...]
    warnings: tuple[str, ...]


def parse_incidents(path: str, text: str, *, family_rules: Mapping[str, str] | None, limits: ParseLimits) -> Reports:
    """One document a report; a report that cannot be used is left out with a warning.

    A document's version is the hash of its report, so that one new report does not change the others.

    Raises: ParseError when the file holds no report that can be used, or too many.
    """
    seen: set[str] = set()

    def make(report: Record) -> Document:
        document = _document(path, report, family_rules, limits)
        if document.id in seen:
            raise ParseError(f"id {report.get('id')!r} occurs twice: give every report its own")
        seen.add(document.id)
        return document

    return Reports(*usable(_records(path, text), make, limit=limits.max_reports, what="report"))


def _records(path: str, text: str) -> Iterator[tuple[int, Mapping[str, Any] | ParseError]]:
    """(line number, report) of a file; a line that is not a report comes as its error."""
    if not path.lower().endswith(".csv"):
        yield from json_lines(text)
        return
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row:
                yield reader.line_num, ParseError("has more cells than the header: quote cells that hold commas")
            else:
                yield reader.line_num, {str(k).strip(): v for k, v in row.items() if v}
    except csv.Error as error:
        yield reader.line_num, ParseError(f"is not valid CSV ({error})")


def _document(
    path: str, report: Mapping[str, Any], family_rules: Mapping[str, str] | None, limits: ParseLimits
) -> Document:
    name = fold_line(str(report.get("id") or ""))
    if not name:
        raise ParseError("has no 'id'")
    metadata = metadata_from({**report, "kind": "incident"})
    builder = DocumentBuilder(report_id(path, name), family_of(path, report, family_rules), limits)
    builder.heading(1, name)
    if metadata.title:
        builder.paragraph(metadata.title)
    facts = {key: value for key, value in report.items() if key.lower() not in _META}
    if metadata.time:
        facts = {"time": metadata.time.strftime("%Y-%m-%d %H:%M"), **facts}
    lines = [line for _, block in readable_lines(facts) for line in block]
    if not lines and not metadata.title:
        raise ParseError("has neither a title nor any other field")
    builder.lines(lines)
    canonical = json.dumps(report, sort_keys=True, ensure_ascii=False, default=str)
    return builder.finish(
        title=metadata.title or name,
        version=hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:12],
        source=path,
        kind="incident",
        language=metadata.language,
        access=metadata.access,
        time=metadata.time,
    )
