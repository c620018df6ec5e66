"""Word documents (DOCX) to pieces of a document: styles give headings and lists, relationships give figures."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Any

from docx import Document as open_docx
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml import etree

from ingest.builder import DocumentBuilder
from ingest.images import check_image
from ingest.limits import ParseLimits
from lineside.errors import ParseError

_HEADING_STYLE = re.compile(r"^heading (\d)$", re.IGNORECASE)


def check_archive(data: bytes, limits: ParseLimits) -> None:
    """Refuse what would unpack to more than the limits allow, before anything is unpacked.

    Raises: ParseError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, ValueError, NotImplementedError) as error:
        if data.startswith(b"\xd0\xcf\x11\xe0"):
            raise ParseError("is an encrypted or old Word file: remove its password and save it as .docx") from error
        raise ParseError(f"is not a DOCX archive, or is cut short ({error}): save it again from Word") from error
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.max_unpacked_bytes:
        raise ParseError(f"unpacks to {unpacked} bytes, over the limit of {limits.max_unpacked_bytes}: split it")
    for member in members:
        if member.file_size > limits.max_compression_ratio * max(member.compress_size, 5_000):
            raise ParseError(
                f"part {member.filename[:80]!r} unpacks to over {limits.max_compression_ratio} times its size: "
                "the archive is not trusted"
            )
        if member.flag_bits & 1:
            raise ParseError("is encrypted: remove its password and save it again")


def parse_docx(data: bytes, builder: DocumentBuilder, limits: ParseLimits) -> str:
    """Add a document's content to the builder. Returns the title in its properties.

    Raises: ParseError when it is not a Word document.
    """
    check_archive(data, limits)
    try:
        document = open_docx(io.BytesIO(data))
        for block in document.iter_inner_content():
            if isinstance(block, Paragraph):
                _paragraph(block, builder, limits)
            else:
                _table(block, builder, limits)
        return document.core_properties.title or ""
    except (
        OpcError,
        zipfile.BadZipFile,
        zlib.error,
        etree.LxmlError,
        KeyError,
        ValueError,
        AttributeError,
        IndexError,
        TypeError,
        NotImplementedError,
        OSError,
        EOFError,
    ) as error:  # python-docx reports damage as whatever it stumbles over
        raise ParseError(f"is not a Word document that can be read ({error}): save it again as .docx") from error


def _paragraph(paragraph: Paragraph, builder: DocumentBuilder, limits: ParseLimits) -> None:
    style = (paragraph.style.name or "") if paragraph.style is not None else ""
    text = paragraph.text
    if match := _HEADING_STYLE.match(style):
        builder.heading(int(match.group(1)), text)
    elif style.lower() == "title":
        builder.heading(1, text)
    elif style.lower().startswith("list"):
        builder.line(text)
    else:
        builder.paragraph(text)
    for caption, embedded in _pictures(paragraph):
        _figure(paragraph.part, embedded, caption or (text if not text.isspace() else ""), builder, limits)


def _pictures(paragraph: Paragraph) -> list[tuple[str, str]]:
    """(alternative text, relationship id) of every picture in a paragraph."""
    found = []
    for drawing in paragraph._p.iter(qn("w:drawing")):
        described = next((str(p.get("descr") or "") for p in drawing.iter(qn("wp:docPr"))), "")
        embedded = (blip.get(qn("r:embed")) for blip in drawing.iter(qn("a:blip")))
        found += [(described, str(name)) for name in embedded if name]
    return found


def _figure(part: Any, relationship: str, caption: str, builder: DocumentBuilder, limits: ParseLimits) -> None:
    try:
        related = part.related_parts.get(relationship)
        if related is None:
            raise ParseError("its data is not in the file")
        builder.figure(check_image(related.blob, limits), caption)
    except ParseError as error:
        builder.warn(f"figure {caption[:80] or relationship!r} was left out: {error}")


def _table(table: Table, builder: DocumentBuilder, limits: ParseLimits) -> None:
    """The first row is the header when it is marked to repeat, or when the table has more than two columns."""
    rows = [[cell.text for cell in row.cells] for row in table.rows]
    if not rows:
        return
    properties = table.rows[0]._tr.trPr
    marked = properties is not None and properties.find(qn("w:tblHeader")) is not None
    has_header = len(rows) > 1 and (marked or len(rows[0]) > 2)
    builder.table(rows[1:] if has_header else rows, rows[0] if has_header else ())
    for row in table.rows:
        for cell in row.cells:
            for paragraph in cell.paragraphs:
                for caption, embedded in _pictures(paragraph):
                    _figure(paragraph.part, embedded, caption, builder, limits)
