"""Cuts a document into passages: inside one section and one page, at sentence ends, sized in the encoder's tokens."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from lineside.analysis import sentences
from lineside.documents import Document, Page, Passage, Section, Table, passage_id

CountTokens = Callable[[Sequence[str]], list[int]]

DEFAULT_MAX_TOKENS = 160
DEFAULT_OVERLAP_SENTENCES = 1
_VERSION = 2  # raise when the same document would be cut differently
_LEAD_IN_TOKENS = 40  # prose this short before a table introduces it and stays with it


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut: a sentence, a line or a table row; characters `[start, end)`."""

    start: int
    end: int
    tokens: int = 0
    is_row: bool = False


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Text of one section on one page without the section's heading line."""

    start: int
    end: int
    section: Section | None
    page: Page | None


def chunker_fingerprint(
    max_tokens: int = DEFAULT_MAX_TOKENS, overlap_sentences: int = DEFAULT_OVERLAP_SENTENCES
) -> str:
    """Changes whenever the same document would be cut differently (the encoder's tokens have their own)."""
    return hashlib.sha256(f"{_VERSION}|{max_tokens}|{overlap_sentences}".encode()).hexdigest()[:12]


def chunk(
    document: Document,
    *,
    count_tokens: CountTokens,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    overlap_sentences: int = DEFAULT_OVERLAP_SENTENCES,
) -> list[Passage]:
    """Passages of a document in reading order; together they hold every non-blank character below the headings.

    A heading that has neither text nor subsections is a passage of its own, so that nothing is lost to search.
    `max_tokens` counts the heading (`Passage.heading`) that stands before the text when it is encoded; what exceeds it
    is a table row that is longer by itself, or text under a heading that would take more than half. Tokens are added
    up over sentences, exact for tokenisers that split at white space first. Prose overlaps by `overlap_sentences`
    within a section and page; table rows do not.

    Raises: ValueError when `max_tokens` is under 16 or `overlap_sentences` negative.
    """
    if max_tokens < 16 or overlap_sentences < 0:
        raise ValueError("max_tokens must be at least 16 and overlap_sentences not negative")
    text = document.text
    passages: list[Passage] = []
    headings = _heading_tokens(document, count_tokens)
    stretches = [(stretch, _units(text, stretch, document.tables)) for stretch in _stretches(document)]
    counts = iter(count_tokens([text[u.start : u.end] for _, units in stretches for u in units]))
    for stretch, bare in stretches:
        section = stretch.section
        budget = max(max_tokens - (headings[section.id] if section else 0), max_tokens // 2)
        units = [_Unit(u.start, u.end, next(counts), u.is_row) for u in bare]
        units = [part for unit in units for part in _fit(text, unit, budget, count_tokens)]
        for group in _groups(text, units, budget, overlap_sentences):
            start, end = group[0].start, group[-1].end
            rows = sum(u.end - u.start for u in group if u.is_row)
            passages.append(
                Passage(
                    id=passage_id(document.id, start, text[start:end]),
                    document_id=document.id,
                    family=document.family,
                    text=text[start:end],
                    start=start,
                    end=end,
                    page=stretch.page.number if stretch.page else None,
                    section_id=section.id if section else None,
                    section_path=section.path if section else (),
                    is_table=2 * rows > end - start,
                )
            )
    return passages


def _heading_tokens(document: Document, count_tokens: CountTokens) -> dict[str, int]:
    ids = [section.id for section in document.sections]
    return dict(zip(ids, count_tokens([" > ".join(s.path) for s in document.sections]), strict=True))


def _stretches(document: Document) -> Iterator[_Stretch]:
    """The document's text in order, cut where the innermost section or the page changes."""
    pages = [page for page in document.pages if page.end > page.start]
    page_starts = [page.start for page in pages]
    for start, end, section in _own_ranges(document):
        cuts = [start, *(p for p in page_starts if start < p < end), end]
        for left, right in pairwise(cuts):
            left, right = _strip(document.text, left, right)
            if left < right:
                place = bisect_right(page_starts, left) - 1
                yield _Stretch(left, right, section, pages[place] if place >= 0 else None)


def _own_ranges(document: Document) -> Iterator[tuple[int, int, Section | None]]:
    """(start, end, innermost section) of all text, heading lines left out where the section has anything else."""
    text = document.text
    ordered = sorted(document.sections, key=lambda s: (s.start, -s.end, s.level))
    stack: list[Section] = []
    position = 0

    def upto(end: int) -> Iterator[tuple[int, int, Section | None]]:
        nonlocal position
        if end > position:
            yield position, end, stack[-1] if stack else None
            position = end

    for place, section in enumerate(ordered):
        while stack and stack[-1].end <= section.start:
            yield from upto(stack[-1].end)
            stack.pop()
        yield from upto(section.start)
        stack.append(section)
        body = _body_start(text, section)
        if text[body : section.end].strip():
            position = max(position, body)
        elif place + 1 < len(ordered) and ordered[place + 1].start < section.end:
            position = max(position, section.end)
    while stack:
        yield from upto(stack[-1].end)
        stack.pop()
    yield from upto(len(text))


def _body_start(text: str, section: Section) -> int:
    """Where the text below the heading line starts; the section's start where its text does not repeat the title."""
    end = section.start + len(section.title)
    if text.startswith(section.title, section.start) and end <= section.end and text[end : end + 1] in ("", "\n"):
        return end
    return section.start


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _units(text: str, stretch: _Stretch, tables: Sequence[Table]) -> list[_Unit]:
    """Rows inside tables, sentences elsewhere; they hold every non-blank character of the stretch."""
    units: list[_Unit] = []
    position = stretch.start
    first = bisect_right([table.end for table in tables], stretch.start)
    for table in tables[first:]:
        if table.start >= stretch.end:
            break
        left, right = max(table.start, stretch.start), min(table.end, stretch.end)
        units += _sentence_units(text, position, left)
        start = left
        for line in text[left:right].splitlines(keepends=True):
            a, b = _strip(text, start, start + len(line))
            if a < b:
                units.append(_Unit(a, b, is_row=True))
            start += len(line)
        position = right
    return units + _sentence_units(text, position, stretch.end)


def _sentence_units(text: str, start: int, end: int) -> list[_Unit]:
    start, end = _strip(text, start, end)
    if start >= end:
        return []
    ends = [start + span.end for span in sentences(text[start:end])]
    ends[-1:] = [end]
    units = []
    for stop in ends:
        left, right = _strip(text, start, stop)
        units.append(_Unit(left, right))
        start = stop
    return units


def _fit(text: str, unit: _Unit, budget: int, count_tokens: CountTokens) -> list[_Unit]:
    """The unit, or pieces of it cut between words where a sentence is longer than the budget."""
    if unit.tokens <= budget or unit.is_row:
        return [unit]
    words: list[tuple[int, int]] = []
    start = unit.start
    longest = 4 * budget
    for word in text[unit.start : unit.end].split():
        start = text.index(word, start)
        words += [(a, min(a + longest, start + len(word))) for a in range(start, start + len(word), longest)]
        start += len(word)
    pieces: list[_Unit] = []
    counts = count_tokens([text[a:b] for a, b in words])
    for (a, b), tokens in zip(words, counts, strict=True):
        if pieces and pieces[-1].tokens + tokens <= budget:
            pieces[-1] = _Unit(pieces[-1].start, b, pieces[-1].tokens + tokens)
        else:
            pieces.append(_Unit(a, b, tokens))
    return pieces


def _groups(text: str, units: list[_Unit], budget: int, overlap: int) -> Iterator[list[_Unit]]:
    """Units of each passage: all of a stretch that fits, otherwise prose and tables apart."""
    if not units:
        return
    if sum(u.tokens for u in units) <= budget:
        yield units
        return
    runs = [list(run) for _, run in groupby(units, key=lambda u: u.is_row)]
    place = 0
    while place < len(runs):
        run = runs[place]
        if not run[0].is_row and place + 1 < len(runs) and sum(u.tokens for u in run) <= _LEAD_IN_TOKENS:
            place += 1
            yield from _pack(text, run + runs[place], budget, 0)
        else:
            yield from _pack(text, run, budget, 0 if run[0].is_row else overlap)
        place += 1


def _pack(text: str, units: list[_Unit], budget: int, overlap: int) -> list[list[_Unit]]:
    """As few groups as the budget allows, made about equal by the smallest limit that still gives that many."""
    groups = _fill_up(text, units, budget, overlap)
    low, high = max(u.tokens for u in units), budget
    while low < high:
        limit = (low + high) // 2
        even = _fill_up(text, units, limit, overlap)
        if len(even) <= len(groups):
            groups, high = even, limit
        else:
            low = limit + 1
    return groups


def _fill_up(text: str, units: list[_Unit], limit: int, overlap: int) -> list[list[_Unit]]:
    """Units in order, a new group where the next would exceed the limit or a paragraph ends a nearly full one."""
    groups: list[list[_Unit]] = []
    group: list[_Unit] = []
    size = 0
    for unit in units:
        if group and (size + unit.tokens > limit or _is_good_end(text, group, unit, size, limit)):
            groups.append(group)
            tail = group[-overlap:] if 0 < overlap < len(group) else []
            size = sum(u.tokens for u in tail)
            if size + unit.tokens > limit or 3 * size > limit:
                tail, size = [], 0
            group = list(tail)
        group.append(unit)
        size += unit.tokens
    return [*groups, group]


def _is_good_end(text: str, group: list[_Unit], following: _Unit, size: int, limit: int) -> bool:
    return 4 * size >= 3 * limit and "\n\n" in text[group[-1].end : following.start]
