"""PDF to pieces of a document."""

from __future__ import annotations

import pypdfium2

from ingest.builder import DocumentBuilder
from ingest.limits import ParseLimits
from ingest.plain import join_wrapped
from lineside.errors import ParseError


def parse_pdf(data: bytes, builder: DocumentBuilder, limits: ParseLimits) -> str:
    """Add a PDF's pages to the builder. Returns the title in its properties.

    Raises: ParseError when it is damaged, encrypted or over a limit.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise ParseError(
            f"is not a PDF that can be opened ({error}): remove its password or export it again"
        ) from error
    try:
        if len(document) > limits.max_pages:
            raise ParseError(f"has {len(document)} pages, over the limit of {limits.max_pages}: split it")
        for number in range(len(document)):
            builder.begin_page(number + 1)
            page = document[number]
            lines = page.get_textpage().get_text_range().replace("\r\n", "\n").split("\n")
            builder.lines(join_wrapped(lines))
            page.close()
        return str(document.get_metadata_value("Title"))
    finally:
        document.close()
