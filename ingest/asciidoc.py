"""AsciiDoc to pieces of a document: the subset that manuals use, read line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ingest.builder import DocumentBuilder
from ingest.metadata import Metadata

_HEADING = re.compile(r"^(={1,6}|#{1,6})\s+(\S.*?)(?:\s+=+)?$")
_ATTRIBUTE = re.compile(r"^:(!?[\w-]+!?):(?:\s+(.*))?$")
_BLOCK_ATTRIBUTES = re.compile(r"^\[(?!\[)([^\[\]]*|.*\".*)\]$")
_ANCHOR = re.compile(r"^\[\[[^\]]*\]\]$")
_TITLE = re.compile(r"^\.(?=[^\s.])(.+)$")
_MACRO = re.compile(r"^(image|video|audio|include|ifdef|ifndef|ifeval|endif|toc)::(\S*?)\[(.*)\]$")
_DELIMITER = re.compile(r"^(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|--|```.*)$")
_TABLE = re.compile(r"^[|!,:]={3,}$")
_ITEM = re.compile(r"^(\*{1,6}|-|\.{1,6}|\d{1,3}\.|[a-z]\.)\s+(?=\S)")
_TERM = re.compile(r"^(\S.*?)(?:::{1,3}|;;)(?:\s+(.*))?$")
_ADMONITION = re.compile(r"^(NOTE|TIP|IMPORTANT|WARNING|CAUTION):\s+")
_ADMONITIONS = frozenset({"NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"})
_CELL = re.compile(r"(?:(?<=\s)|^)((?:\d+(?:\.\d+)?[+*]|\.\d+\+)?[<^>]?(?:\.[<^>])?[adehlmsv]?)(?<!\\)\|", re.MULTILINE)
_BARE_CELL = re.compile(r"(?<!\\)\|")

_INLINE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\(\(\(.{0,400}?\)\)\)"), ""),
    (re.compile(r"\(\((?!\()([^()]*)\)\)"), r"\1"),
    (re.compile(r"\[\[[^\[\]]*\]\]"), ""),
    (re.compile(r"anchor:[\w:-]+\[[^\]]*\]"), ""),
    (re.compile(r"<<[^<>,]*,\s*([^<>]*)>>"), r"\1"),
    (re.compile(r"<<([^<>]*)>>"), r"\1"),
    (re.compile(r"(?:xref|link):[^\s\[]+\[([^\]]+)\]"), r"\1"),
    (re.compile(r"\b(?:https?|ftp|mailto|file):[^\s\[]+\[([^\]]+)\]"), r"\1"),
    (re.compile(r"\b((?:https?|ftp):[^\s\[]+)\[\]"), r"\1"),
    (re.compile(r"footnote:\[([^\]]*)\]"), r" (\1)"),
    (re.compile(r"(?:kbd|btn):\[([^\]]*)\]"), r"\1"),
    (re.compile(r"menu:([^\s\[]+)\[([^\]]*)\]"), r"\1 > \2"),
    (re.compile(r"(?:latexmath|stem|asciimath|pass):[a-z,]*\[([^\]]*)\]"), r"\1"),
    (re.compile(r"\[[^\[\]\s]{1,40}\](?=[#*_`])"), ""),
    (re.compile(r"``(.+?)``|`([^`]+)`"), r"\1\2"),
    (re.compile(r"\*\*(\S.*?)\*\*|(?<![\w*])\*(\S(?:[^*\n]*?\S)?)\*(?![\w*])"), r"\1\2"),
    (re.compile(r"__(\S.*?)__|(?<![\w_])_(\S(?:[^_\n]*?\S)?)_(?![\w_])"), r"\1\2"),
    (re.compile(r"##(\S.*?)##|(?<![\w#])#(\S[^#\n]*?)#(?![\w#])"), r"\1\2"),
    (re.compile(r"(?<![\w'])'(\S(?:[^'\n]*?\S)?)'(?![\w'])"), r"\1"),
    (re.compile(r"\+\+(\S.*?)\+\+|(?<![\w+])\+(\S(?:[^+\n]*?\S)?)\+(?![\w+])"), r"\1\2"),
    (re.compile(r"\^(\S[^\^\s]*)\^"), r"\1"),
    (re.compile(r"(?<!~)~(\S[^~\s]*)~(?!~)"), r"\1"),
    (re.compile(r"(?<=\s)\+$"), ""),
)
_INLINE_IMAGE = re.compile(r"image:(?!:)([^\s\[]+)\[([^\]]*)\]")
_CHARACTERS = {"nbsp": " ", "empty": "", "blank": "", "sp": " ", "plus": "+", "vbar": "|", "amp": "&", "deg": "°"}


@dataclass(slots=True)
class _Reader:
    builder: DocumentBuilder
    attributes: dict[str, str] = field(default_factory=dict)
    paragraph: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)
    block: list[str] = field(default_factory=list)  # `[...]` lines before a block
    title: str = ""
    admonition: str = ""
    number: int = 0

    def inline(self, text: str) -> str:
        """Text without markup; inline images are kept for after the paragraph."""

        def image(match: re.Match[str]) -> str:
            self.images.append((self.substitute(match.group(1)), _attribute_text(match.group(2))))
            return _attribute_text(match.group(2))

        text = _INLINE_IMAGE.sub(image, self.substitute(text))
        for pattern, replacement in _INLINE:
            text = pattern.sub(replacement, text)
        return text.replace("\\|", "|")

    def substitute(self, text: str) -> str:
        """`{name}` replaced by the attribute's value where it is known."""
        return re.sub(
            r"\{([\w-]{1,40})\}",
            lambda match: self.attributes.get(match.group(1), _CHARACTERS.get(match.group(1), match.group(0))),
            text,
        )

    def flush(self) -> None:
        """End the paragraph or list that is open."""
        if self.items:
            if self.title:
                self.builder.paragraph(self.inline(self.title))
                self.title = ""
            self.builder.lines([self.inline(item) for item in self.items])
        elif self.paragraph:
            text = " ".join(self.paragraph)
            match = _ADMONITION.match(text)
            if match:
                text = f"{match.group(1).capitalize()}: {text[match.end() :]}"
            elif self.admonition:
                text = f"{self.admonition}: {text}"
            if self.title:
                self.builder.paragraph(self.inline(self.title))
                self.title = ""
            self.builder.paragraph(self.inline(text))
            self.admonition = ""
            self.block = []
        self.paragraph, self.items, self.number = [], [], 0
        self.flush_images()

    def flush_images(self) -> None:
        """Add the inline images met since the last call."""
        images, self.images = self.images, []
        for link, caption in images:
            self.builder.linked_figure(link, caption)


def parse_asciidoc(text: str, metadata: Metadata, builder: DocumentBuilder) -> None:
    """Add the text's headings, paragraphs, lists, listings, tables and figures to the builder."""
    if metadata.title:
        builder.heading(1, metadata.title)
    reader = _Reader(builder)
    lines = text.split("\n")
    place = 0
    while place < len(lines):
        place = _step(reader, lines, place)
    reader.flush()


def _step(reader: _Reader, lines: list[str], place: int) -> int:
    """Consume the block or line at `place`; returns where to go on."""
    line = lines[place].rstrip()
    builder = reader.builder
    if not line.strip():
        if not (reader.items and _continues_list(lines, place)):
            reader.flush()
        return place + 1
    if line == "+":
        return place + 1
    if _TABLE.match(line):
        reader.flush()
        return _table(reader, lines, place)
    if match := _DELIMITER.match(line):
        return _delimited(reader, lines, place, match.group(1))
    if line.startswith("//"):
        return place + 1
    if (match := _ATTRIBUTE.match(line)) and not reader.paragraph:
        reader.attributes[match.group(1).strip("!")] = match.group(2) or ""
        return place + 1
    if _ANCHOR.match(line):
        return place + 1
    if match := _MACRO.match(line):
        reader.flush()
        if match.group(1) == "image":
            caption = reader.title or _attribute_text(match.group(3))
            reader.title = ""
            builder.linked_figure(reader.substitute(match.group(2)), reader.inline(caption))
        elif match.group(1) == "include":
            builder.warn(f"include {match.group(2)[:200]!r} was left out: the included file is read by itself")
        return place + 1
    if match := _HEADING.match(line):
        reader.flush()
        reader.block, reader.title = [], ""
        builder.heading(len(match.group(1)), reader.inline(match.group(2)))
        return place + 1
    if not reader.paragraph and (match := _BLOCK_ATTRIBUTES.match(line)):
        reader.block.append(match.group(1))
        style = match.group(1).split(",")[0].strip()
        if style in _ADMONITIONS:
            reader.admonition = style.capitalize()
        return place + 1
    if not reader.paragraph and (match := _TITLE.match(line)):
        reader.flush()
        reader.title = match.group(1)
        return place + 1
    return _text_line(reader, line, place)


def _text_line(reader: _Reader, line: str, place: int) -> int:
    stripped = line.strip()
    if match := _ITEM.match(stripped):
        if reader.paragraph:
            reader.flush()
        marker = match.group(1)
        text = stripped[match.end() :]
        if marker.startswith("."):
            reader.number = reader.number + 1 if len(marker) == 1 else reader.number
            text = f"{reader.number}. {text}" if len(marker) == 1 else text
        elif marker[0] not in "*-":
            text = stripped
        reader.items.append(text)
    elif not reader.paragraph and (match := _TERM.match(stripped)) and "|" not in match.group(1):
        term, text = match.group(1), match.group(2) or ""
        reader.items.append(f"{term}: {text}")
    elif reader.items:
        reader.items[-1] += " " + stripped
    else:
        reader.paragraph.append(stripped)
    return place + 1


def _continues_list(lines: list[str], place: int) -> bool:
    """Whether what follows the blank lines belongs to the open list."""
    for line in lines[place : place + 3]:
        if line.strip():
            return bool(_ITEM.match(line.strip())) or (line.startswith("  ") and not _HEADING.match(line.strip()))
    return False


def _delimited(reader: _Reader, lines: list[str], place: int, delimiter: str) -> int:
    """A block between two equal lines. Containers are entered, listings copied line by line, comments skipped."""
    kind = delimiter[0]
    if delimiter == "--" or kind in "=*_":
        reader.flush()  # a container: its content is read as usual, its end is met as another delimiter
        return place + 1
    end = place + 1
    closing = "```" if kind == "`" else delimiter
    while end < len(lines) and lines[end].rstrip() != closing:
        end += 1
    body = lines[place + 1 : end]
    if kind in "-.`":
        reader.flush()
        if reader.title:
            reader.builder.paragraph(reader.inline(reader.title))
            reader.title = ""
        reader.builder.lines([re.sub(r"\s*<\.?\d*>$", "", line) for line in body])
        reader.block = []
    return end + 1


def _attribute_text(attributes: str) -> str:
    """Alt text or title of `"Alt",align="center"`."""
    if match := re.search(r"(?:title|alt)\s*=\s*\"([^\"]*)\"", attributes):
        return match.group(1)
    if match := re.match(r"\s*\"([^\"]*)\"", attributes):
        return match.group(1)
    first = attributes.split(",")[0].strip()
    return "" if "=" in first else first


def _table(reader: _Reader, lines: list[str], place: int) -> int:
    """`|===` to its end: cells by column count, header from the options or a blank line after the first row."""
    closing = lines[place].rstrip()
    end = place + 1
    while end < len(lines) and lines[end].rstrip() != closing:
        end += 1
    body = [line for line in lines[place + 1 : end] if not line.startswith("//")]
    options = reader.substitute(",".join(reader.block))
    caption, reader.title, reader.block = reader.title, "", []
    first = next((n for n, line in enumerate(body) if line.strip()), len(body))
    if closing[0] in ",:":
        rows = [[reader.inline(cell) for cell in line.split(closing[0])] for line in body if line.strip()]
        spaced = False
    else:
        separated = "\n".join(body[first:])
        if closing[0] == "!":
            separated = separated.replace("!", "|")
        columns = _column_count(options, separated)
        rows = [[reader.inline(cell) for cell in row] for row in _rows(_cells(separated, columns), columns) if any(row)]
        spaced = (
            first == 0 and len(body) > 1 and not body[1].strip() and len(_BARE_CELL.findall(body[0])) in (0, columns)
        )
    has_header = ("header" in options or spaced) and len(rows) > 1 and "noheader" not in options
    header = rows[0] if has_header else []
    reader.builder.table(rows[1:] if has_header else rows, header, reader.inline(caption))
    reader.flush_images()
    return end + 1


def _column_count(options: str, body: str) -> int:
    match = re.search(r"cols\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|(\d+\*?[^,\s]*))", options)
    if match:
        spec = (match.group(1) or match.group(2) or match.group(3) or "").replace(";", ",")
        if spec.strip().isdigit():
            return max(1, min(int(spec), 100))
        columns = 0
        for part in spec.split(","):
            repeat = re.match(r"\s*(\d{1,2})\*", part)
            columns += int(repeat.group(1)) if repeat else 1
        return max(1, min(columns, 100))
    first = body.split("\n", 1)[0]
    return max(1, sum(count for _, count, _ in _cells(first, 0)))


def _cells(body: str, columns: int) -> list[tuple[str, int, int]]:
    """(text, repeats or columns spanned, rows spanned) of every cell in order."""
    marks = list(_CELL.finditer(body))
    bare = list(_BARE_CELL.finditer(body))
    if len(bare) > len(marks):  # cells written without a space before their bar: `|a|b`
        known = {mark.end(): mark for mark in marks}
        marks = [known.get(mark.end(), mark) for mark in bare]
    cells = []
    for place, mark in enumerate(marks):
        stop = marks[place + 1].start() if place + 1 < len(marks) else len(body)
        spec = mark.group(1) if mark.re is _CELL else ""
        across = re.match(r"(\d+)(?:\.\d+)?[+*]", spec)
        down = re.match(r"(?:\d+)?\.(\d+)\+", spec)
        cells.append(
            (
                body[mark.end() : stop].strip(),
                min(int(across.group(1)), 100) if across else 1,
                int(down.group(1)) if down else 1,
            )
        )
    return cells


def _rows(cells: list[tuple[str, int, int]], columns: int) -> list[list[str]]:
    rows: list[list[str]] = []
    row: list[str] = []
    pending: dict[int, tuple[int, str]] = {}

    def fill() -> None:
        while len(row) in pending and len(row) < columns:
            left, text = pending.pop(len(row))
            if left > 1:
                pending[len(row)] = (left - 1, text)
            row.append(text)

    for text, across, down in cells:
        fill()
        for _ in range(across):
            if down > 1:
                pending[len(row)] = (min(down, 1000) - 1, text)
            row.append(text)
        fill()
        if len(row) >= columns:
            rows.append(row[:columns])
            row = []
    if row:
        rows.append(row)
    return rows
