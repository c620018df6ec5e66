"""Records of a file, of which some may be bad: JSON lines, and what is made of those that can be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from lineside.errors import ParseError

Made = TypeVar("Made")
Record = Mapping[str, Any]


def usable(
    records: Iterable[tuple[int, Record | ParseError]], make: Callable[[Record], Made], *, limit: int, what: str
) -> tuple[tuple[Made, ...], tuple[str, ...]]:
    """What `make` gives for the records that can be used, and a warning for each of the others.

    Raises: ParseError when none can be used, or there are more than `limit`; `what` they are, in the singular.
    """
    made: list[Made] = []
    warnings: list[str] = []
    for count, (line, record) in enumerate(records, start=1):
        if count > limit:
            raise ParseError(f"holds over {limit} {what}s: split the file")
        try:
            if isinstance(record, ParseError):
                raise record
            made.append(make(record))
        except ParseError as error:
            warnings.append(f"line {line} was left out: {error}")
    if warnings and not made:
        raise ParseError(f"holds no {what} that can be used; {warnings[0]}")
    return tuple(made), tuple(warnings)


def json_lines(text: str) -> Iterator[tuple[int, Record | ParseError]]:
    """(line number, object) of the lines that hold something; a line that holds no object comes as its error."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _json_object(line)


def _json_object(line: str) -> Record | ParseError:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return ParseError(f"is not JSON ({str(error)[:120]}): write one object a line")
    return value if isinstance(value, dict) else ParseError("is not a JSON object: write one object a line")
