from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lineside.search import ReleaseIndex, SearchQuery
from lineside.search.collapse import collapse
from tests.shards.knowledge import embed


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 10), st.booleans())
def test_every_row_is_kept_once_or_folded_once_or_beyond_the_limit(groups: list[int], limit: int, same: bool) -> None:
    rows = np.arange(len(groups))
    vectors = np.eye(6, dtype=np.float32)[groups]
    kept = collapse(rows, vectors, rows.astype(np.int64), limit, 0.97, lambda _one, _other: same)
    places = [p for place, folded in kept for p in (place, *folded)]
    assert len(set(places)) == len(places)
    assert len(kept) == min(limit, len(set(groups)) if same else len(groups))
    for place, folded in kept:
        assert all(p > place and groups[p] == groups[place] for p in folded)
        assert same or not folded


def test_equal_texts_are_folded_whatever_their_vectors() -> None:
    hashes = np.array([5, 6, 5], np.int64)
    kept = collapse(np.arange(3), np.eye(3, dtype=np.float32), hashes, 8, 0.97, lambda _one, _other: False)
    assert kept == [(0, [2]), (1, [])]


def test_rows_that_differ_only_in_a_code_are_both_kept(index: ReleaseIndex) -> None:
    question = "winding over-temperature check the cooling fan"
    found = index.search(SearchQuery(question, embed(question), k=2))
    assert {e.text[:11] for e in found.evidence if e.kind == "passage"} == {"Code: E-452", "Code: E-453"}


def test_frames_of_one_view_are_one_piece_of_evidence(index: ReleaseIndex) -> None:
    found = index.search(SearchQuery("hot", image_vector=embed("Thermal view: a hot bearing"), k_images=4))
    hot = [e for e in found.evidence if e.label == "thermal-bearing-hot"]
    assert len(hot) == 1
    assert len(hot[0].duplicates) == 5
