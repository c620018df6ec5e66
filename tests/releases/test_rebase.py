"""Rebasing is a three-way merge by family: nobody's work is lost, and nothing is taken twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.errors import Conflict
from lineside.releases import Release, ShardEntry, rebase

Content = dict[str, str]


def release(content: Content, number: int = 1, **fingerprints: str) -> Release:
    return Release(number=number, created=datetime.now(UTC), shards=entries(content), fingerprints=fingerprints)


def entries(content: Content) -> tuple[ShardEntry, ...]:
    return tuple(ShardEntry(family=family, id=letter * 40) for family, letter in content.items())


def merged(mine: Content, base: Content, now: Content, **options: str) -> Content:
    found = rebase(entries(mine), release(base), release(now, 2), **options)  # type: ignore[arg-type]
    assert all(isinstance(shard, ShardEntry) for shard in found)
    return {shard.family: shard.id[0] for shard in found if isinstance(shard, ShardEntry)}


def test_own_changes_are_laid_over_the_others() -> None:
    base = {"a": "1", "b": "1", "c": "1"}
    assert merged({"a": "2", "b": "1", "c": "1"}, base, {"a": "1", "b": "3", "c": "1"}) == {
        "a": "2",
        "b": "3",
        "c": "1",
    }


def test_new_families_and_deletions_of_both_sides_count() -> None:
    base = {"a": "1", "b": "1", "c": "1"}
    assert merged({"a": "1", "b": "1", "d": "2"}, base, {"a": "1", "c": "1", "e": "3"}) == {
        "a": "1",
        "d": "2",
        "e": "3",
    }


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    assert merged({"a": "2"}, {"a": "1"}, {"a": "2", "b": "1"}) == {"a": "2", "b": "1"}


@pytest.mark.parametrize("now", [{"a": "3", "b": "1"}, {"b": "1"}])
def test_a_family_that_both_changed_is_refused_or_the_publishers_by_its_wish(now: Content) -> None:
    with pytest.raises(Conflict, match="release 2 changed a too"):
        merged({"a": "2", "b": "1"}, {"a": "1", "b": "1"}, now)
    assert merged({"a": "2", "b": "1"}, {"a": "1", "b": "1"}, now, contested="ours") == {"a": "2", "b": "1"}


def test_other_encoders_cannot_be_merged() -> None:
    with pytest.raises(Conflict, match="other encoders"):
        rebase(entries({"a": "2"}), release({"a": "1"}, text="t1"), release({"a": "1"}, 2, text="t2"))


def test_without_a_base_everything_is_the_publishers_own_change() -> None:
    found = rebase(entries({"a": "1"}), None, release({"b": "2"}, 2))
    assert [shard.family for shard in found if isinstance(shard, ShardEntry)] == ["a", "b"]


CONTENT = st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123"), min_size=1)


@given(base=CONTENT, mine=CONTENT, now=CONTENT)
def test_every_family_is_as_the_only_side_that_changed_it_left_it(base: Content, mine: Content, now: Content) -> None:
    try:
        found = merged(mine, base, now)
    except Conflict:
        return
    for family in "abcde":
        before = base.get(family)
        changed = [side.get(family) for side in (mine, now) if side.get(family) != before]
        assert found.get(family) == (changed[0] if changed else before)
