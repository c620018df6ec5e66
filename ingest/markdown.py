"""Markdown (CommonMark with tables and front matter) to pieces of a document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.builder import DocumentBuilder
from ingest.html import parse_html_fragment
from ingest.metadata import Metadata, front_matter_lines

_TAG = re.compile(r"<[^<>]{0,500}>")
_LIQUID = re.compile(r"\{%.*?%\}|\{:[^}\n]*\}", re.DOTALL)
_HTML_BLOCK = re.compile(r"<\s*(?:table|figure|img|ul|ol|dl|p|div|h[1-6])\b", re.IGNORECASE)


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int


@dataclass(slots=True)
class _State:
    """Where the walk over the tokens stands."""

    lists: list[_List] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    marker: str = ""
    fields: list[str] = field(default_factory=list)  # of the front matter, due after the first heading


def parse_markdown(text: str, metadata: Metadata, builder: DocumentBuilder) -> None:
    """Add the text's headings, paragraphs, lists, code, tables and figures to the builder.

    The front matter's title is the top heading unless the text starts with one; its other fields are lines below it.
    """
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(_LIQUID.sub("", text))
    state = _State()
    shift = _add_title(tokens, metadata, state, builder)
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.type == "heading_open":
            inline = tokens[place + 1]
            builder.heading(int(token.tag[1]) + shift, _text(inline))
            builder.lines(state.fields)
            state.fields = []
            _add_figures(inline, builder)
            place += 2
        elif token.type == "table_open":
            stop = next(n for n in range(place, len(tokens)) if tokens[n].type == "table_close")
            _add_table(tokens[place:stop], builder)
            place = stop
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            state.lists.append(_List(token.type.startswith("ordered"), int(token.attrs.get("start", 1))))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            state.lists.pop()
            if not state.lists:
                _flush(state, builder)
        elif token.type == "list_item_open" and state.lists:
            current = state.lists[-1]
            state.marker = f"{current.number}. " if current.ordered else ""
            current.number += 1
            state.items.append("")
        elif token.type == "inline":
            _add_inline(token, state, builder)
        elif token.type in ("fence", "code_block"):
            _flush(state, builder)
            builder.lines(token.content.split("\n"))
        elif token.type == "html_block":
            _flush(state, builder)
            if _HTML_BLOCK.search(token.content):
                parse_html_fragment(token.content, builder)
            else:
                builder.paragraph(_TAG.sub(" ", re.sub(r"<!--.*?-->", "", token.content, flags=re.DOTALL)))
        place += 1
    _flush(state, builder)


def _add_title(tokens: Sequence[Token], metadata: Metadata, state: _State, builder: DocumentBuilder) -> int:
    """Write the front matter's title and fields; returns by how much the text's own headings go down.

    A text that opens with a top heading keeps it as its title; the fields then stand below it.
    """
    lines = front_matter_lines(metadata.fields)
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        state.fields = lines
        return 0
    if metadata.title:
        builder.heading(1, metadata.title)
    builder.lines(lines)
    return 1 if metadata.title and any(t.type == "heading_open" and t.tag == "h1" for t in tokens) else 0


def _flush(state: _State, builder: DocumentBuilder) -> None:
    builder.lines([item for item in state.items if item.strip()])
    state.items = []


def _add_inline(token: Token, state: _State, builder: DocumentBuilder) -> None:
    text = _text(token)
    has_figure = any(child.type == "image" for child in token.children or ())
    if state.lists and not has_figure:
        if state.items and not state.items[-1]:
            state.items[-1] = state.marker + text
        elif state.items:
            state.items[-1] += " " + text
        else:
            state.items.append(text)
        return
    _flush(state, builder)
    if text:
        builder.paragraph(state.marker + text if state.lists else text)
    _add_figures(token, builder)


def _add_figures(inline: Token, builder: DocumentBuilder) -> None:
    for child in inline.children or ():
        if child.type == "image":
            caption = str(child.attrs.get("title") or "") or _text(child)
            builder.linked_figure(str(child.attrs.get("src", "")), caption)


def _text(inline: Token) -> str:
    """Characters of inline content; images are left to their captions."""
    parts: list[str] = []
    for child in inline.children or ():
        if child.type in ("text", "code_inline", "text_special"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "html_inline":
            parts.append(" " if child.content.lower().startswith("<br") else "")
    return "".join(parts)


def _add_table(tokens: Sequence[Token], builder: DocumentBuilder) -> None:
    header: list[str] = []
    rows: list[list[str]] = []
    in_head = False
    figures: list[Token] = []
    for token in tokens:
        if token.type == "thead_open":
            in_head = True
        elif token.type == "thead_close":
            in_head = False
        elif token.type == "tr_open" and not in_head:
            rows.append([])
        elif token.type == "inline":
            (header if in_head else rows[-1]).append(_text(token))
            figures.append(token)
    builder.table(rows, header)
    for token in figures:
        _add_figures(token, builder)
