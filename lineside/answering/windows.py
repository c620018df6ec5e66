"""Evidence as the support check compares it: its sentences, and two adjacent ones together, as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from lineside.analysis import sentences
from lineside.answering.claims import Statement, Token, state

SECOND = 1_000
"""What is added to clauses and scopes of the second sentence of a window."""


@dataclass(frozen=True, slots=True)
class Window:
    """One sentence or two adjacent ones of a text, `[start, end)`, as tokens; `variants` reorder if-clauses."""

    start: int
    end: int
    tokens: tuple[Token, ...]
    keys: frozenset[str]
    row: bool
    instruction: bool


def _window(start: int, end: int, tokens: tuple[Token, ...], statements: Sequence[Statement]) -> Window:
    row = all(s.row for s in statements)
    instruction = all(s.instruction for s in statements)
    return Window(start, end, tokens, frozenset(t.key for t in tokens), row, instruction)


def _shifted(tokens: Iterable[Token], clauses: int) -> tuple[Token, ...]:
    return tuple(replace(t, clause=t.clause + clauses, scope=t.scope + clauses) for t in tokens)


@lru_cache(maxsize=4_096)
def windows_of(text: str) -> tuple[Window, ...]:
    """All windows of a text, single sentences first."""
    spans = sentences(text)
    stated = [state(text[s.start : s.end]) for s in spans]
    found: list[Window] = []
    for span, statement in zip(spans, stated, strict=True):
        found.append(_window(span.start, span.end, statement.tokens, (statement,)))
        if statement.rotation:
            tokens = statement.tokens[statement.rotation :] + statement.tokens[: statement.rotation]
            found.append(_window(span.start, span.end, tokens, (statement,)))
    for i in range(len(spans) - 1):
        first, second = stated[i], stated[i + 1]
        # Rows of a table say each their own: two of them together would say of one code what stands at the next.
        if first.tokens and second.tokens and not (first.row or second.row):
            tokens = first.tokens + _shifted(second.tokens, SECOND)
            found.append(_window(spans[i].start, spans[i + 1].end, tokens, (first, second)))
    return tuple(found)
