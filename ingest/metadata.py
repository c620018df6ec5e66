"""What a source says about itself: front matter of text files, checked, and the rest of it as readable lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import yaml

from ingest.limits import ParseLimits
from lineside.documents import DocumentKind
from lineside.errors import ParseError

_FENCE = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_CALLED = frozenset({"code", "codes", "command", "id", "name"})
_ABOUT = frozenset({"about", "abstract", "brief", "description", "summary"})
_SHORT_FIELD = 240
_TAG = re.compile(r"<[^<>]{1,200}>")
_KINDS: dict[str, DocumentKind] = {"manual": "manual", "sop": "sop", "incident": "incident"}
# Fields that describe the file to a site generator or to us, not the equipment to a reader.
_BOOKKEEPING = frozenset(
    "title family kind language lang access time date author contrib layout tag group category since permalink "
    "weight draft sidebar toc id version slug nav_order order index experimental".split()
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Facts about a document that its source states; `fields` is everything else in the front matter."""

    title: str = ""
    family: str = ""
    kind: DocumentKind = "manual"
    language: str = "en"
    access: str = "public"
    time: datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


class _FrontMatterLoader(yaml.SafeLoader):
    """YAML without aliases (a few lines of them can stand for gigabytes) that reads unknown tags as text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ParseError("the front matter uses a YAML alias (*name): write the value out")
        return super().compose_node(parent, index)


def _unknown_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> str:
    value = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    return f"!{suffix} {value}".strip()


_FrontMatterLoader.add_multi_constructor("!", _unknown_tag)


def split_front_matter(text: str, limits: ParseLimits) -> tuple[Metadata, str]:
    """Front matter and body of a text. A text that does not start with a `---` line has none.

    Raises: ParseError when the front matter is not a YAML mapping, or a known field has a value it cannot have.
    """
    match = _FENCE.match(text)
    if not match:
        return Metadata(), text
    if len(match.group(1)) > limits.max_front_matter_chars:
        raise ParseError(f"the front matter is over the limit of {limits.max_front_matter_chars} characters")
    try:
        loaded = yaml.load(match.group(1), Loader=_FrontMatterLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ParseError(f"the front matter between the '---' lines is not valid YAML ({reason})") from error
    if loaded is None:
        return Metadata(), text[match.end() :]
    if not isinstance(loaded, dict):
        if "\n" not in match.group(1).strip():  # a heading between two thematic breaks
            return Metadata(), text
        raise ParseError("the front matter between the '---' lines must be 'name: value' lines")
    return metadata_from({str(name): value for name, value in loaded.items()}), text[match.end() :]


def metadata_from(values: Mapping[str, Any]) -> Metadata:
    """Known fields of a mapping, checked.

    Raises: ParseError naming the field whose value is impossible.
    """

    def text_of(name: str, default: str = "") -> str:
        value = values.get(name)
        return " ".join(str(value).split()) if isinstance(value, str | int | float) else default

    kind = text_of("kind", "manual").lower()
    if kind not in _KINDS:
        raise ParseError(f"kind is {kind!r}: use one of {', '.join(_KINDS)}")
    return Metadata(
        title=text_of("title"),
        family=text_of("family"),
        kind=_KINDS[kind],
        language=text_of("language") or text_of("lang") or "en",
        access=text_of("access") or "public",
        time=time_of(values["time"]) if values.get("time") else None,
        fields={name: value for name, value in values.items() if name.lower() not in _BOOKKEEPING},
    )


def time_of(value: object) -> datetime:
    """An ISO 8601 time; UTC where it names no zone.

    Raises: ParseError when it is not one.
    """
    try:
        if isinstance(value, datetime):
            time = value
        elif isinstance(value, date):
            time = datetime(value.year, value.month, value.day)
        else:
            time = datetime.fromisoformat(str(value).strip())
    except ValueError as error:
        raise ParseError(f"time is {str(value)[:60]!r}: write it as ISO 8601, such as 2025-03-31T14:05:00Z") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def readable_lines(fields: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """(name, lines) of every field that says something: a list of mappings gives a line each, like a table's rows."""
    for name, value in fields.items():
        label = _label(name)
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            rows = [_row(item) if isinstance(item, dict) else _plain(item) for item in value]
            lines = [f"{label}: {row}" for row in rows if row]
        elif isinstance(value, list) and any(len(_plain(item)) > 40 for item in value):
            lines = [f"{label}: {text}" for item in value if (text := _plain(item))]
        else:
            lines = [f"{label}: {text}"] if (text := _plain(value)) else []
        if lines:
            yield label, lines


def front_matter_lines(fields: Mapping[str, Any]) -> list[str]:
    """Front matter as lines: what a page is about and what it is called are one row, as of a table; the others follow.

    So a code is understood with the description of what it does. Other fields, such as related codes, stay apart.
    """
    defining: dict[str, str] = {}
    rest: list[str] = []
    for name, value in fields.items():
        for _, lines in readable_lines({name: value}):
            if name.lower() in _CALLED | _ABOUT and len(lines) == 1 and len(lines[0]) <= _SHORT_FIELD:
                defining[name.lower()] = lines[0]
            else:
                rest += lines
    called, about = ([defining[name] for name in defining if name in kind] for kind in (_CALLED, _ABOUT))
    if called and about:
        return ["; ".join(line.rstrip(".") for line in (*called, *about)), *rest]
    return [*about, *called, *rest]


def _label(name: str) -> str:
    return name.replace("_", " ").strip().capitalize()


def _row(item: Mapping[Any, Any]) -> str:
    return "; ".join(f"{_label(str(key))}: {text}" for key, value in item.items() if (text := _plain(value)))


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(text for item in value if (text := _plain(item)))
    if isinstance(value, dict):
        return ", ".join(f"{key} {text}" for key, item in value.items() if (text := _plain(item)))
    return " ".join(_TAG.sub(" ", str(value)).replace("`", "").split())
