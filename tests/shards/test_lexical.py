from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.analysis import terms
from lineside.errors import ShardError
from lineside.shards.lexical import LexicalPostings, build_postings, read_postings, write_postings

TEXTS = st.lists(st.sampled_from("alarm E-452 pump seal 95 °C V.1.2.3 lager".split()), max_size=8).map(" ".join)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6), st.lists(TEXTS, max_size=6))
def test_postings_hold_every_term_of_every_row(fields: list[tuple[str, str]], sentences: list[str]) -> None:
    postings = build_postings(fields, sentences)
    for row, (heading, body) in enumerate(fields):
        for term in {*terms(heading), *terms(body)}:
            assert _counts(postings, term, row) == (terms(heading).count(term), terms(body).count(term))
    for number, sentence in enumerate(sentences):
        first, last = postings.sentence_indptr[number : number + 2]
        found = {postings.vocabulary[t] for t in postings.sentence_terms[first:last]}
        assert found == set(terms(sentence))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6), st.lists(TEXTS, max_size=4))
def test_postings_survive_their_files(
    tmp_path_factory: pytest.TempPathFactory, fields: list[tuple[str, str]], sentences: list[str]
) -> None:
    directory = tmp_path_factory.mktemp("lexical")
    postings = build_postings(fields, sentences)
    write_postings(postings, directory)
    read = read_postings(directory)
    assert read.vocabulary == postings.vocabulary
    for name in ("indptr", "rows", "body_tf", "heading_tf", "sentence_indptr", "sentence_terms"):
        np.testing.assert_array_equal(getattr(read, name), getattr(postings, name))


def test_identifiers_are_terms_of_their_own() -> None:
    vocabulary = build_postings([("", "Error E-452 at pump P-101")], []).vocabulary
    assert {"#e452", "#p101"} <= set(vocabulary)


def test_counts_saturate() -> None:
    postings = build_postings([("", "pump " * 400)], [])
    assert _counts(postings, "pump", 0) == (0, 255)


def test_contradicting_arrays_are_refused(tmp_path: Path) -> None:
    write_postings(build_postings([("", "one pump")], []), tmp_path)
    np.save(tmp_path / "lexical" / "body_len.npy", np.zeros(0, np.int32))
    with pytest.raises(ShardError, match="contradict"):
        read_postings(tmp_path)


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    write_postings(build_postings([("", "one pump")], []), tmp_path)
    np.save(tmp_path / "lexical" / "rows.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ShardError):
        read_postings(tmp_path)


def _counts(postings: LexicalPostings, term: str, row: int) -> tuple[int, int]:
    number = postings.vocabulary.index(term)
    first, last = postings.indptr[number : number + 2]
    place = first + int(np.flatnonzero(postings.rows[first:last] == row)[0])
    return int(postings.heading_tf[place]), int(postings.body_tf[place])
