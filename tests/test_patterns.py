"""No pattern takes the square of a text's length: a question of blanks must not keep everybody else waiting."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("lineside", "ingest", "webapi", "edge", "index_builder")

# Said over and over: what patterns repeat, and what may follow it, and never comes.
SAID = (
    "a", " ", "\n", " \n", "\r\n", "\t", "1", "1 ", "1.", "1,", "1-", "1:", "1/", "1 000 ", ".", "-", "- ", "_", "/",
    "(", "[", "](", "<", "<a ", "<!--", "#", "`", "*", "\\", "=", "~", "{", "&", '"a" ', "é", "word ", "why? ", "a, ",
    "a.b ", "A-1 ", "A1-", "M1 to ", "x: ", "| a ", "|---", "a\n", "5 bar ", "5 to 6 ", "5 % ", "5 °C ", "± ",
    "is it a or ", "what is the ", "which kind of ", "how many ", "the pump of ", "not ", "and ", "if it ", "then ",
    "no. ", 'a="b" ', "1.1 ", "1) ", "../",
)  # fmt: skip
SHORT, LONG = 1_000, 8_000  # a pattern that reads a text once takes eight times as long for the long one, or less
NOTICED_S = 0.1


ON_SHORT_NAMES_ALONE = {"index_builder.evaluation.beir._CODE"}


def _within(value: object) -> Iterator[re.Pattern[str]]:
    """The patterns of a module's value: itself, or what a list, a tuple or a mapping holds."""
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _within(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _within(one)


def _patterns() -> dict[str, re.Pattern[str]]:
    found: dict[str, re.Pattern[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "re.compile(" in path.read_text(encoding="utf-8"):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                for variable, value in vars(importlib.import_module(name)).items():
                    for number, pattern in enumerate(_within(value)):
                        found[f"{name}.{variable}" + f"[{number}]" * (number > 0)] = pattern
    return {name: pattern for name, pattern in found.items() if name not in ON_SHORT_NAMES_ALONE}


PATTERNS = _patterns()


def _seconds(pattern: re.Pattern[str], said: str, length: int) -> float:
    text = (said * (length // len(said) + 1))[:length] + "!x"
    begun = time.process_time()
    for _ in pattern.finditer(text):
        pass
    return time.process_time() - begun


def test_patterns_are_found() -> None:
    assert len(PATTERNS) > 150


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_reads_a_text_once(name: str) -> None:
    pattern = PATTERNS[name]
    for said in SAID:
        if _seconds(pattern, said, LONG) > NOTICED_S:  # a ratio of less is noise
            ratio = min(_seconds(pattern, said, LONG) / _seconds(pattern, said, SHORT) for _ in range(3))
            assert ratio < 3 * LONG / SHORT, f"{pattern.pattern!r} reads {said!r} over and over"
