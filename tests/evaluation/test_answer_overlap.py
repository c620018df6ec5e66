"""Words shared with a gold answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.evaluation.answer_overlap import Overlap, overlap


def test_case_punctuation_and_articles_do_not_count() -> None:
    assert overlap("The valve: close it!", "close it, a VALVE") == Overlap(1, 1, 1)


def test_a_token_counts_as_often_as_both_texts_have_it() -> None:
    found = overlap("bolt bolt bolt nut", "bolt nut washer")
    assert found == Overlap(precision=0.5, recall=pytest.approx(2 / 3), f1=pytest.approx(4 / 7))


def test_nothing_shared_is_zero_and_two_empty_texts_agree() -> None:
    assert overlap("", "valve") == overlap("pump", "valve") == Overlap(0, 0, 0)
    assert overlap("", "the") == Overlap(1, 1, 1)


@given(st.text(), st.text())
def test_shares_are_shares_and_f1_lies_between_them(answer: str, gold: str) -> None:
    found = overlap(answer, gold)
    assert 0 <= min(found.precision, found.recall) <= found.f1 + 1e-9
    assert found.f1 <= max(found.precision, found.recall) + 1e-9 <= 1 + 1e-9
