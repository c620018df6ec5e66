"""One door to all parsers: a source file becomes documents, or a `ParseError` that tells what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ingest.asciidoc import parse_asciidoc
from ingest.builder import DocumentBuilder
from ingest.docx import parse_docx
from ingest.frames import LABELS_FILE
from ingest.html import parse_html
from ingest.identity import document_id
from ingest.incidents import parse_incidents
from ingest.known_questions import holds_known_questions, parse_known_questions
from ingest.limits import DEFAULT_LIMITS, ParseLimits
from ingest.markdown import parse_markdown
from ingest.metadata import Metadata, split_front_matter
from ingest.pdf import parse_pdf
from ingest.plain import decode_text, parse_plain
from ingest.source import Resolve, SourceFile, family_of
from lineside.documents import Document, KnownQuestion
from lineside.errors import ParseError

_MARKDOWN = frozenset({".md", ".markdown"})
_ASCIIDOC = frozenset({".adoc", ".asciidoc", ".asc"})
_HTML = frozenset({".html", ".htm", ".xhtml"})
_PLAIN = frozenset({".txt", ".text", ".log"})
_REPORTS = frozenset({".jsonl", ".ndjson", ".csv"})
DOCUMENT_EXTENSIONS = _MARKDOWN | _ASCIIDOC | _HTML | _PLAIN | _REPORTS | {".pdf", ".docx"}


@dataclass(frozen=True, slots=True)
class ParsedSource:
    """What one source file holds. `warnings` name everything that was left out of it."""

    documents: tuple[Document, ...]
    warnings: tuple[str, ...] = ()
    questions: tuple[KnownQuestion, ...] = ()


def is_document(path: str) -> bool:
    """Whether `parse` reads files of this name; labels of frames are not documents."""
    name = PurePosixPath(path)
    return name.suffix.lower() in DOCUMENT_EXTENSIONS and name.name.lower() != LABELS_FILE


def parse(
    source: SourceFile,
    *,
    family_rules: Mapping[str, str] | None = None,
    resolve: Resolve | None = None,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> ParsedSource:
    """Documents of a source file, by its extension.

    `resolve` gives the bytes of an image by its path relative to the document (`ingest.source.folder_resolver`).

    Raises: ParseError, whose message starts with the path and says what to do.
    """
    try:
        return _parse(source, family_rules, resolve, limits)
    except ParseError as error:
        raise ParseError(f"{source.path}: {error}") from error
    except RecursionError as error:
        raise ParseError(f"{source.path}: is nested too deeply: simplify it") from error


def _parse(
    source: SourceFile, family_rules: Mapping[str, str] | None, resolve: Resolve | None, limits: ParseLimits
) -> ParsedSource:
    if source.error:
        raise ParseError(source.error)
    if not source.data.strip():
        raise ParseError("is empty: remove it or fill it")
    if len(source.data) > limits.max_source_bytes:
        raise ParseError(f"has {len(source.data)} bytes, over the limit of {limits.max_source_bytes}: split it")
    extension = source.extension
    if not is_document(source.path):
        raise ParseError(
            f"{extension or 'no'} extension is not read: use one of {', '.join(sorted(DOCUMENT_EXTENSIONS))}"
        )
    if holds_known_questions(source.path):
        text = decode_text(source.data)
        known = parse_known_questions(source.path, text, family_rules=family_rules, limits=limits)
        return ParsedSource((), known.warnings, known.questions)
    if extension in _REPORTS:
        text = decode_text(source.data)
        reports = parse_incidents(source.path, text, family_rules=family_rules, limits=limits)
        return ParsedSource(reports.documents, reports.warnings)

    metadata, body = Metadata(), ""
    if extension not in (".pdf", ".docx"):
        metadata, body = split_front_matter(decode_text(source.data), limits)
    builder = DocumentBuilder(
        document_id=document_id(source.path),
        family=family_of(source.path, {"family": metadata.family}, family_rules),
        limits=limits,
        resolve=resolve,
    )
    title = metadata.title
    if extension == ".pdf":
        title = parse_pdf(source.data, builder, limits)
    elif extension == ".docx":
        title = parse_docx(source.data, builder, limits)
    elif extension in _HTML:
        found, page_title = parse_html(body, builder)
        title = title or page_title
        metadata = metadata if metadata != Metadata() else found
        builder.family = family_of(source.path, {"family": metadata.family}, family_rules)
    elif extension in _MARKDOWN:
        parse_markdown(body, metadata, builder)
    elif extension in _ASCIIDOC:
        parse_asciidoc(body, metadata, builder)
    else:
        parse_plain(body, metadata, builder)
    document = builder.finish(
        title=title,
        version=source.version,
        source=source.path,
        kind=metadata.kind,
        language=metadata.language,
        access=metadata.access,
        time=metadata.time,
    )
    if not document.text and not document.figures:
        builder.warn("holds no text: nothing of it can be found")
    return ParsedSource((document,), tuple(builder.warnings))
