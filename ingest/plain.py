"""Plain text: bytes to characters, characters to paragraphs and plainly marked headings."""

from __future__ import annotations

import re

from ingest.builder import DocumentBuilder
from ingest.metadata import Metadata
from lineside.errors import ParseError

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_UNDERLINE = re.compile(r"^(=+|-+|~+)$")
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+(?=\S)")
_ITEM = re.compile(r"^(?:[-*•–]\s+|(?=\(?\d{1,3}[.)]\s)|(?=\(?[a-z][.)]\s))")
_MAX_HEADING_CHARS = 90


def decode_text(data: bytes) -> str:
    """Characters of a text file, line ends as `\\n`: UTF-8, UTF-16 with its mark, or plausible Windows-1252.

    Raises: ParseError when it is none of them.
    """
    advice = "save it as UTF-8"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise ParseError(f"starts like UTF-16 but is not: {advice}") from error
    elif _CONTROL.search(data):
        raise ParseError(f"holds control bytes, so it is not text: check the file's extension, or {advice}")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            high = sum(byte >= 0x80 for byte in data)
            try:
                text = data.decode("cp1252")
            except UnicodeDecodeError:
                raise ParseError(f"is neither UTF-8 nor Windows-1252 ({error.reason}): {advice}") from error
            if high > 0.2 * len(data):
                raise ParseError(f"is not UTF-8, and too few letters for Windows-1252: {advice}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_plain(text: str, metadata: Metadata, builder: DocumentBuilder) -> None:
    """Blocks between blank lines become paragraphs or lists.

    A heading is a line of its own that is underlined with `===` or `---`, numbered like `2.1 Setup`, or in capitals.
    """
    if metadata.title:
        builder.heading(1, metadata.title)
    shift = 1 if metadata.title else 0
    for block in re.split(r"\n[ \t\f]*\n+|\f", text):
        lines = [line.rstrip() for line in block.split("\n") if line.strip()]
        while len(lines) >= 2 and _UNDERLINE.match(lines[1].strip()) and len(lines[0]) <= _MAX_HEADING_CHARS:
            builder.heading((1 if lines[1].strip()[0] == "=" else 2) + shift, lines[0])
            lines = lines[2:]
        if not lines:
            continue
        if len(lines) == 1 and (level := heading_level(lines[0].strip())):
            builder.heading(level + shift, lines[0])
        else:
            builder.lines(join_wrapped(lines))


def heading_level(line: str) -> int:
    """Level of a line that reads as a heading, 0 where it does not."""
    if len(line) > _MAX_HEADING_CHARS or line[-1:] in ".,;:!?":
        return 0
    if match := _NUMBERED.match(line):
        return match.group(1).count(".") + 1 if line[match.end()].isupper() else 0
    letters = [c for c in line if c.isalpha()]
    return 1 if len(letters) >= 4 and len(line.split()) <= 10 and all(c.isupper() for c in letters) else 0


def join_wrapped(lines: list[str]) -> list[str]:
    """Lines of a block with wrapped ones joined; list items stay apart and lose their bullet, not their number."""
    joined: list[str] = []
    for line in lines:
        stripped = line.strip()
        item = _ITEM.match(stripped)
        if item or not joined:
            joined.append(stripped[item.end() :] if item else stripped)
        else:
            joined[-1] += " " + stripped
    return joined
