"""Passages: verbatim, inside one section and page, sized in tokens, rows whole, nothing lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.builder import DocumentBuilder
from ingest.chunk import chunk, chunker_fingerprint
from ingest.limits import DEFAULT_LIMITS
from lineside.documents import Document

from .invariants import check_passages, check_spans, count_words

_WORDS = st.text("abcdeé1-", min_size=1, max_size=6)
_SENTENCES = st.lists(_WORDS, min_size=1, max_size=25).map(lambda words: " ".join(words).capitalize() + ".")
_ROW = st.lists(_WORDS, min_size=2, max_size=3)
_PIECES = st.one_of(
    st.tuples(st.just("heading"), st.tuples(st.integers(1, 4), _WORDS)),
    st.tuples(st.just("paragraph"), st.lists(_SENTENCES, min_size=1, max_size=6).map(" ".join)),
    st.tuples(st.just("table"), st.lists(_ROW, min_size=1, max_size=6)),
    st.tuples(st.just("page"), st.none()),
    st.tuples(st.just("lines"), st.lists(_SENTENCES, max_size=4)),
)


def _build(pieces: list[tuple[str, object]]) -> Document:
    builder = DocumentBuilder("f.x.md", "f", DEFAULT_LIMITS)
    page = 0
    for kind, value in pieces:
        if kind == "heading":
            builder.heading(*value)  # type: ignore[misc]
        elif kind == "paragraph":
            builder.paragraph(value)  # type: ignore[arg-type]
        elif kind == "table":
            builder.table(value, ["Code", "Meaning", "Action"])  # type: ignore[arg-type]
        elif kind == "lines":
            builder.lines(value)  # type: ignore[arg-type]
        else:
            page += 1
            builder.begin_page(page)
    return builder.finish(title="Manual", version="0" * 12, source="f/x.md")


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=25), st.integers(16, 80), st.integers(0, 3))
def test_passages_hold_all_text_inside_their_section_and_page(
    pieces: list[tuple[str, object]], size: int, overlap: int
) -> None:
    document = _build(pieces)
    check_spans(document)
    passages = chunk(document, count_tokens=count_words, max_tokens=size, overlap_sentences=overlap)
    check_passages(document, passages)
    assert passages == chunk(document, count_tokens=count_words, max_tokens=size, overlap_sentences=overlap)
    rows = [
        (start, start + len(line))
        for table in document.tables
        for start, line in _lines(document.text, table.start, table.end)
    ]
    for passage in passages:
        for start, end in rows:  # whole or not at all
            assert passage.end <= start or end <= passage.start or (passage.start <= start and end <= passage.end)
        tokens = count_words([passage.text])[0]
        heading = count_words([passage.heading])[0]
        if not passage.is_table:
            assert tokens <= max(size - heading, size // 2)


def _lines(text: str, start: int, end: int) -> list[tuple[int, str]]:
    found = []
    for line in text[start:end].split("\n"):
        found.append((start, line))
        start += len(line) + 1
    return found


def test_long_prose_overlaps_by_a_sentence_and_is_cut_evenly() -> None:
    sentences = [f"Sentence number {n} has exactly seven words." for n in range(30)]
    document = _build([("heading", (1, "Title")), ("paragraph", " ".join(sentences))])
    passages = chunk(document, count_tokens=count_words, max_tokens=60)
    assert all(p.text.startswith("Sentence") and p.text.endswith("words.") for p in passages)
    for before, after in itertools.pairwise(passages):
        assert after.text.startswith(before.text.rsplit(". ", 1)[-1])
    sizes = count_words([p.text for p in passages])
    assert max(sizes) - min(sizes) <= 14
    without = chunk(document, count_tokens=count_words, max_tokens=60, overlap_sentences=0)
    assert sum(len(p.text) for p in without) < len(document.text)


def test_rows_do_not_overlap_and_a_table_is_marked() -> None:
    rows = [[f"E-{n}", "meaning of it", "what to do about it now"] for n in range(20)]
    document = _build([("heading", (1, "Codes")), ("paragraph", "All codes."), ("table", rows)])
    passages = chunk(document, count_tokens=count_words, max_tokens=50)
    assert passages[0].text.startswith("All codes.\n\nCode: E-0;")
    assert all(p.is_table for p in passages)
    assert sum(p.text.count("Code: E-") for p in passages) == 20


def test_a_row_longer_than_a_passage_stays_whole() -> None:
    row = ["E-1", "word " * 200, "stop"]
    (passage,) = chunk(_build([("table", [row])]), count_tokens=count_words, max_tokens=50)
    assert passage.text.endswith("Action: stop")


def test_a_sentence_longer_than_a_passage_is_cut_between_words() -> None:
    document = _build([("paragraph", "word " * 300 + "x" * 2_000)])
    passages = chunk(document, count_tokens=count_words, max_tokens=50)
    check_passages(document, passages)
    assert len(passages) > 6


def test_a_heading_with_nothing_below_is_still_found_and_one_with_subsections_is_not_repeated() -> None:
    document = _build(
        [("heading", (1, "Parent")), ("heading", (2, "Child")), ("heading", (2, "Full")), ("lines", ["x"])]
    )
    assert [p.text for p in chunk(document, count_tokens=count_words)] == ["Child", "x"]


def test_a_long_heading_leaves_half_of_the_tokens_to_the_text() -> None:
    title = ("heading", (1, "title " * 40))
    document = _build([title, ("paragraph", " ".join(f"Sentence {n} is short." for n in range(40)))])
    passages = chunk(document, count_tokens=count_words, max_tokens=50)
    assert 18 <= max(count_words([p.text for p in passages])) <= 25


def test_settings_out_of_bounds_are_refused_and_change_the_fingerprint() -> None:
    document = _build([("lines", ["x"])])
    for max_tokens, overlap in ((15, 0), (100, -1)):
        with pytest.raises(ValueError, match="max_tokens"):
            chunk(document, count_tokens=count_words, max_tokens=max_tokens, overlap_sentences=overlap)
    assert len({chunker_fingerprint(), chunker_fingerprint(120), chunker_fingerprint(120, 2)}) == 3
