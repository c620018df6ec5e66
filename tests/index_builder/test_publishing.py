"""Publishing: unchanged shards make no release, the gate decides, and what others published meanwhile is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from index_builder.publishing import Built, publish
from lineside.errors import BelowBar, Conflict, NotFound
from lineside.objects import FolderStore
from lineside.releases import Catalogue, Release, ShardEntry

PRINTS = {"text": "t", "joint": "", "chunker": "c"}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "store")


def built(catalogue: Catalogue, **shards: int) -> list[Built]:
    """Shards whose manifests are in the store, which is all that publishing looks at."""
    found = []
    for family, number in sorted(shards.items()):
        entry = ShardEntry(family=family, id=f"{number:040x}")
        FolderStore(catalogue.root).put(f"shards/{entry.id}/manifest.json", b"{}")
        found.append(Built(entry, family))
    return found


def release(catalogue: Catalogue, base: Release | None, *, gate=None, promote=True, keep_others=False, **shards: int):  # type: ignore[no-untyped-def]
    return publish(
        catalogue,
        built(catalogue, **shards),
        base,
        fingerprints=PRINTS,
        promote=promote,
        keep_others=keep_others,
        gate=gate,
        note="",
    )


def families(found: Release) -> dict[str, int]:
    return {shard.family: int(shard.id, 16) for shard in found.shards}


def test_the_same_shards_make_no_new_release(catalogue: Catalogue) -> None:
    first, is_new = release(catalogue, None, drive=1, pump=2)
    assert is_new
    assert release(catalogue, first, pump=2, drive=1) == (first, False)


def test_families_that_are_not_built_leave_unless_they_are_kept(catalogue: Catalogue) -> None:
    first, _ = release(catalogue, None, drive=1, pump=2)
    second, _ = release(catalogue, first, pump=3)
    assert families(second) == {"pump": 3}
    third, _ = release(catalogue, second, keep_others=True, drive=4)
    assert families(third) == {"drive": 4, "pump": 3}


def test_two_jobs_at_once_keep_what_each_changed(catalogue: Catalogue) -> None:
    base, _ = release(catalogue, None, drive=1, pump=2)
    release(catalogue, base, drive=10, pump=2)
    merged, _ = release(catalogue, base, drive=1, pump=20)
    assert families(merged) == {"drive": 10, "pump": 20}
    assert catalogue.current() == merged


def test_a_family_that_both_changed_is_built_again(catalogue: Catalogue) -> None:
    base, _ = release(catalogue, None, drive=1)
    theirs, _ = release(catalogue, base, drive=2)
    with pytest.raises(Conflict, match="drive"):
        release(catalogue, base, drive=3)
    assert catalogue.current() == theirs


def test_the_first_release_of_two_jobs_at_once_holds_both(catalogue: Catalogue) -> None:
    release(catalogue, None, drive=1)
    merged, _ = release(catalogue, None, pump=2)
    assert families(merged) == {"drive": 1, "pump": 2}


def test_a_release_below_its_bar_is_kept_and_not_promoted(catalogue: Catalogue) -> None:
    first, _ = release(catalogue, None, drive=1)
    judged: list[int] = []

    def gate(candidate: Release) -> None:
        judged.append(candidate.number)
        assert catalogue.current() == first
        raise BelowBar("nDCG@10 0.4 is below the bar 0.5")

    with pytest.raises(BelowBar):
        release(catalogue, first, gate=gate, drive=2)
    assert judged == [2]
    assert catalogue.current() == first
    assert families(catalogue.get(2)) == {"drive": 2}


def test_a_release_that_passes_is_promoted_and_one_for_later_is_not(catalogue: Catalogue) -> None:
    first, _ = release(catalogue, None, gate=lambda candidate: None, drive=1)
    assert catalogue.current() == first
    later, is_new = release(catalogue, first, promote=False, drive=2)
    assert is_new
    assert catalogue.current() == first
    assert catalogue.get(later.number) == later


def test_nothing_is_current_before_the_first_release(catalogue: Catalogue) -> None:
    with pytest.raises(NotFound):
        catalogue.current()
