"""JSON lines: one object a line, a line that is none told apart from the others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lineside.errors import ParseError


def json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | ParseError]]:
    """(line number, object) of the lines that hold something; a line that holds no object comes as its error."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _json_object(line)


def _json_object(line: str) -> Mapping[str, Any] | ParseError:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return ParseError(f"is not JSON ({str(error)[:120]}): write one object a line")
    return value if isinstance(value, dict) else ParseError("is not a JSON object: write one object a line")
