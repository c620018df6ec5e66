"""Pruning removes what nobody needs and nothing else, whoever publishes or activates meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lineside.errors import Conflict, DataError, InvalidRequest, NotFound
from lineside.objects import ObjectStore
from lineside.releases import Catalogue, Release, plan_prune, prune
from lineside.releases.catalogue import ABANDONED_AFTER
from lineside.releases.records import Removal
from tests.releases.conftest import Build
from tests.releases.shards import FINGERPRINTS

NOW = timedelta(seconds=-60)
"""A grace that makes everything old: the clock of a store may differ by seconds."""


@pytest.fixture
def releases(catalogue: Catalogue, build: Build) -> list[Release]:
    """Five releases whose pump changes, while their drive stays."""
    return [
        catalogue.publish([build("drive"), build("pump", n)], fingerprints=FINGERPRINTS, note=f"variant {n}")
        for n in range(5)
    ]


def shards(store: ObjectStore) -> set[str]:
    return {info.key.split("/")[1] for info in store.list("shards/")}


def needed(*releases: Release) -> set[str]:
    return {shard.id for release in releases for shard in release.shards}


def test_the_newest_stay_with_all_they_share(catalogue: Catalogue, store: ObjectStore, releases: list[Release]) -> None:
    plan = plan_prune(catalogue, keep=2, grace=NOW)
    assert catalogue.numbers() == [1, 2, 3, 4, 5]
    assert prune(catalogue, keep=2, grace=NOW) == plan
    assert (plan.releases, plan.kept) == ((1, 2, 3), (4, 5))
    assert catalogue.numbers() == [4, 5]
    assert shards(store) == needed(*releases[3:])
    assert catalogue.pointer().removing is None
    assert prune(catalogue, keep=2, grace=NOW).is_empty


def test_the_current_release_and_the_one_to_roll_back_to_stay_however_old(
    catalogue: Catalogue, store: ObjectStore, releases: list[Release]
) -> None:
    catalogue.activate(1)
    catalogue.activate(2)
    prune(catalogue, keep=1, grace=NOW)
    assert catalogue.numbers() == [1, 2, 5]
    assert catalogue.rollback().number == 1
    assert shards(store) == needed(releases[0], releases[1], releases[4])


def test_what_is_young_stays(catalogue: Catalogue, store: ObjectStore, releases: list[Release], build: Build) -> None:
    before = shards(store)
    assert prune(catalogue, keep=1, grace=timedelta(hours=1)).is_empty
    assert catalogue.numbers() == [1, 2, 3, 4, 5]
    assert shards(store) == before


def test_uploads_that_were_never_published_go_when_they_are_old(
    catalogue: Catalogue, store: ObjectStore, releases: list[Release]
) -> None:
    store.put(f"shards/{'e' * 40}/text.faiss", b"half an upload")
    assert "e" * 40 not in plan_prune(catalogue, keep=9, grace=timedelta(hours=1)).shards
    assert prune(catalogue, keep=9, grace=NOW).shards == ("e" * 40,)
    assert shards(store) == needed(*releases)


def test_numbers_are_never_used_again(catalogue: Catalogue, releases: list[Release], build: Build) -> None:
    catalogue.activate(1)
    catalogue.activate(2)
    prune(catalogue, keep=1, grace=NOW)
    catalogue.store.delete("releases/0000005.json")
    assert catalogue.publish([build("drive")], fingerprints={}).number == 6


def test_a_release_that_is_activated_meanwhile_is_kept(
    catalogue: Catalogue, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = catalogue.replace_pointer, []

    def activated_just_before(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            Catalogue(catalogue.store).activate(1)
        replace(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(catalogue, "replace_pointer", activated_just_before)
    assert 1 not in prune(catalogue, keep=2, grace=NOW).releases
    assert catalogue.current().number == 1
    assert len(calls) == 3  # refused, marked, cleared


def test_while_it_is_removed_a_release_can_neither_be_activated_nor_its_shards_published(
    catalogue: Catalogue, releases: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lineside.releases.pruning._remove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prune(catalogue, keep=2, grace=NOW)
    other = Catalogue(catalogue.store)
    with pytest.raises(Conflict, match="is being pruned"):
        other.activate(1)
    with pytest.raises(Conflict, match="is being pruned"):
        other.publish(releases[0].shards, fingerprints=FINGERPRINTS)
    with pytest.raises(Conflict, match="another prune runs"):
        prune(other, keep=2, grace=NOW)
    other.activate(4)


def test_an_interrupted_prune_is_completed_by_a_later_one(
    catalogue: Catalogue, store: ObjectStore, releases: list[Release]
) -> None:
    pointer, etag = catalogue.pointer_with_etag()
    gone = releases[0].shards[1].id
    removal = Removal(since=datetime.now(UTC) - 2 * ABANDONED_AFTER, releases=(1,), shards=(gone,))
    catalogue.replace_pointer(pointer.model_copy(update={"removing": removal}), etag)
    store.delete(f"shards/{gone}/manifest.json")
    prune(catalogue, keep=4, grace=NOW)
    assert catalogue.numbers() == [2, 3, 4, 5]
    assert gone not in shards(store)
    assert catalogue.pointer().removing is None


def test_nothing_is_removed_on_a_guess(catalogue: Catalogue, store: ObjectStore, releases: list[Release]) -> None:
    before = [info.key for info in store.list()]
    store.put("releases/0000002.json", b"{}")
    with pytest.raises(DataError, match="is damaged"):
        prune(catalogue, keep=1, grace=NOW)
    assert [info.key for info in store.list()] == before
    with pytest.raises(InvalidRequest):
        prune(catalogue, keep=0)


def test_an_empty_catalogue_has_nothing_to_prune(catalogue: Catalogue) -> None:
    with pytest.raises(NotFound):
        prune(catalogue, keep=1)
