"""HTML to pieces of a document: headings, paragraphs, lists, tables, figures; navigation and scripts are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree, html

from ingest.builder import DocumentBuilder
from ingest.metadata import Metadata, metadata_from
from lineside.errors import ParseError

_DROPPED = frozenset(
    "nav script style template noscript head iframe object svg math form button input select textarea canvas audio "
    "video dialog menu".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "p div section article main body html header footer aside blockquote pre ul ol li dl dt dd table figure figcaption "
    "address details summary fieldset center hr caption thead tbody tfoot tr td th".split()
) | set(_HEADINGS)
_MAX_SPAN = 100
_MAX_DEPTH = 200

Element = Any  # lxml's element class is not a public type


def parse_html(text: str, builder: DocumentBuilder) -> tuple[Metadata, str]:
    """Add a page's content to the builder. Returns what its `<meta name=...>` tags say and its title.

    Raises: ParseError when there is no element in it.
    """
    root = _root(text)
    facts = {
        str(meta.get("name")).lower(): str(meta.get("content"))
        for meta in root.iter("meta")
        if meta.get("name") and meta.get("content")
    }
    known: dict[str, str] = {
        name: facts[name] for name in ("family", "kind", "language", "access", "time") if name in facts
    }
    if root.get("lang"):
        known.setdefault("language", str(root.get("lang")))
    titles = [" ".join(title.text_content().split()) for title in root.iter("title")]
    bodies = root.xpath("//main") or root.xpath("//body") or [root]
    for body in bodies:
        _walk(body, builder, 0)
    return metadata_from(known), next((title for title in titles if title), "")


def parse_html_fragment(text: str, builder: DocumentBuilder) -> None:
    """Add a piece of HTML inside another format."""
    _walk(_root(text), builder, 0)


def _root(text: str) -> Element:
    parser = html.HTMLParser(encoding="utf-8", huge_tree=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError) as error:
        raise ParseError(f"is not HTML that can be read ({error}): open it in a browser and save it again") from error
    if any("depth" in str(entry.message).lower() for entry in parser.error_log):
        raise ParseError("is nested so deeply that part of it cannot be read: simplify the page")
    return root


def _walk(element: Element, builder: DocumentBuilder, depth: int) -> None:
    """Blocks below an element in order; loose text between blocks becomes paragraphs."""
    if depth > _MAX_DEPTH:
        raise ParseError(f"is nested over {_MAX_DEPTH} elements deep: simplify the page")
    loose: list[str] = [element.text or ""]
    images: list[Element] = []

    def flush() -> None:
        builder.paragraph("".join(loose))
        loose.clear()
        for image in images:
            builder.linked_figure(_source(image), _alt(image))
        images.clear()

    for child in element:
        tag = _tag(child)
        if tag in _DROPPED or child.get("hidden") is not None or child.get("role") == "navigation":
            pass
        elif tag in _BLOCKS or _holds_blocks(child):
            flush()
            _block(child, tag, builder, depth + 1)
        else:
            loose.append(_inline(child))
            images += _images(child)
        loose.append(child.tail or "")
    flush()


def _block(element: Element, tag: str, builder: DocumentBuilder, depth: int) -> None:
    if tag in _HEADINGS:
        builder.heading(_HEADINGS[tag], _inline(element))
        _add_images(element, builder)
    elif tag == "table":
        _table(element, builder)
    elif tag in ("ul", "ol"):
        builder.lines(list(_items(element)))
        _add_images(element, builder)
    elif tag == "dl":
        builder.lines(list(_definitions(element)))
        _add_images(element, builder)
    elif tag == "pre":
        builder.lines("".join(element.itertext()).split("\n"))
    elif tag == "figure":
        _figure(element, builder, depth)
    elif tag != "hr":
        _walk(element, builder, depth)


def _tag(element: Element) -> str:
    return element.tag.lower() if isinstance(element.tag, str) else "script"


def _holds_blocks(element: Element) -> bool:
    return any(_tag(inner) in _BLOCKS for inner in element.iterdescendants())


def _pieces(element: Element) -> Iterator[str]:
    """Text in order; blocks and `<br>` put white space around theirs, dropped elements are skipped."""
    # Without recursion: inline markup can be nested deeper than Python's stack.
    skipped: Element | None = None
    for event, node in etree.iterwalk(element, events=("start", "end")):
        tag = _tag(node)
        if event == "start":
            if skipped is None and tag in _DROPPED:
                skipped = node
            if skipped is None:
                yield " " if tag in _BLOCKS or tag == "br" else ""
                yield node.text or ""
        else:
            if skipped is node:
                skipped = None
            if skipped is None and node is not element:
                yield " " if tag in _BLOCKS else ""
                yield node.tail or ""


def _inline(element: Element) -> str:
    return "".join(_pieces(element))


def _images(element: Element) -> list[Element]:
    return [image for image in element.iter("img") if _source(image)]


def _source(image: Element) -> str:
    return (image.get("src") or "").strip()


def _alt(image: Element) -> str:
    return image.get("title") or image.get("alt") or ""


def _add_images(element: Element, builder: DocumentBuilder) -> None:
    for image in _images(element):
        builder.linked_figure(_source(image), _alt(image))


def _items(element: Element, depth: int = 0) -> Iterator[str]:
    """Items of a list and of the lists inside it, a line each, numbered where the list is."""
    start = element.get("start") or "1"
    number = int(start) if re.fullmatch(r"-?\d{1,6}", start) else 1
    for item in element:
        if _tag(item) in ("ul", "ol"):
            if depth < _MAX_DEPTH:
                yield from _items(item, depth + 1)
            continue
        if _tag(item) in _DROPPED:
            continue
        own = [item.text or ""]
        nested = []
        for child in item:
            if _tag(child) in ("ul", "ol"):
                nested.append(child)
            elif _tag(child) not in _DROPPED:
                own.append((" " if _tag(child) in _BLOCKS else "") + _inline(child))
            own.append(child.tail or "")
        text = "".join(own).strip()
        if text:
            yield f"{number}. {text}" if _tag(element) == "ol" else text
            number += 1
        if depth < _MAX_DEPTH:
            for inner in nested:
                yield from _items(inner, depth + 1)


def _definitions(element: Element) -> Iterator[str]:
    terms: list[str] = []
    for child in element.iter("dt", "dd"):
        text = _inline(child).strip()
        if _tag(child) == "dt":
            terms.append(text.rstrip(":"))
        elif text:
            yield f"{', '.join(terms)}: {text}" if terms else text
            terms = []
    if terms:
        yield ", ".join(terms)


def _figure(element: Element, builder: DocumentBuilder, depth: int) -> None:
    captions = [" ".join(_inline(caption).split()) for caption in element.iter("figcaption")]
    caption = next((text for text in captions if text), "")
    images = _images(element)
    if not images:
        _walk(element, builder, depth)
        return
    for place, image in enumerate(images):
        builder.linked_figure(_source(image), (caption if place == 0 else "") or _alt(image))


def _table(element: Element, builder: DocumentBuilder) -> None:
    """Rows with row and column spans filled in; the leading rows of `<thead>` or of `<th>` only are the header."""
    rows: list[list[str]] = []
    header_rows = 0
    pending: dict[int, tuple[int, str]] = {}  # column → rows still covered by a cell above, its text
    for row in element.iter("tr"):
        if next(row.iterancestors("table"), None) is not element:
            continue
        cells: list[str] = []
        tags = [_tag(cell) for cell in row if _tag(cell) in ("td", "th")]

        def fill(cells: list[str] = cells) -> None:
            while len(cells) in pending:
                left, text = pending.pop(len(cells))
                if left > 1:
                    pending[len(cells)] = (left - 1, text)
                cells.append(text)

        for cell in row:
            if _tag(cell) not in ("td", "th"):
                continue
            fill()
            text = " ".join(_inline(cell).split())
            down = _span(cell.get("rowspan"))
            for _ in range(_span(cell.get("colspan"))):
                if down > 1:
                    pending[len(cells)] = (down - 1, text)
                cells.append(text)
        fill()
        in_head = _tag(row.getparent()) == "thead" or (bool(tags) and all(tag == "th" for tag in tags))
        if in_head and header_rows == len(rows):
            header_rows += 1
        if any(cells):
            rows.append(cells)
        elif in_head and header_rows > len(rows):
            header_rows -= 1
    caption = next((" ".join(_inline(c).split()) for c in element.iter("caption")), "")
    header = _merge_header(rows[:header_rows])
    if header and len(set(header)) == 1 and len(header) > 1:  # one title over all columns
        caption, header = caption or header[0], []
    builder.table(rows[header_rows:], header, caption)
    _add_images(element, builder)


def _merge_header(rows: list[list[str]]) -> list[str]:
    width = max((len(row) for row in rows), default=0)
    merged = []
    for column in range(width):
        names = [row[column] for row in rows if column < len(row) and row[column]]
        merged.append(" ".join(dict.fromkeys(names)))
    return merged


def _span(value: str | None) -> int:
    return max(1, min(int(value), _MAX_SPAN)) if value and re.fullmatch(r"\s*\d{1,6}\s*", value) else 1
