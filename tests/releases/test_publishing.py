"""Publishing over a store: uploads, publishers at once, the way back, in a folder and in S3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from lineside.errors import Conflict, DataError, IntegrityError, NotFound
from lineside.objects import ObjectStore
from lineside.releases import Catalogue, Release, rebase
from lineside.releases.check import check_shard
from lineside.shards import ShardRef
from tests.releases.conftest import Build
from tests.releases.shards import FINGERPRINTS


def publish(catalogue: Catalogue, *shards: tuple[str, ShardRef], **options: object) -> Release:
    return catalogue.publish(shards, fingerprints=FINGERPRINTS, **options)  # type: ignore[arg-type]


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_shards_are_uploaded_whole_and_once(catalogue: Catalogue, store: ObjectStore, build: Build) -> None:
    drive, pump = build("drive"), build("pump")
    release = publish(catalogue, drive, pump)
    assert catalogue.current() == release
    for entry in release.shards:
        assert not check_shard(store, entry).problems
    before = {info.key: info.modified for info in store.list("shards/")}
    publish(catalogue, drive)
    assert {info.key: info.modified for info in store.list("shards/")} == before


def test_an_interrupted_upload_leaves_no_manifest_and_is_completed(
    catalogue: Catalogue, store: ObjectStore, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, shard = build("drive")
    upload, seen = type(store).upload, []

    def breaks(self: ObjectStore, key: str, path: Path) -> None:
        seen.append(key)
        if len(seen) > 5:
            raise ConnectionResetError
        upload(self, key, path)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "upload", breaks)
        with pytest.raises(ConnectionResetError):
            publish(catalogue, (family, shard))
    assert keys(store, f"shards/{shard.id}/")
    assert f"shards/{shard.id}/manifest.json" not in keys(store)
    assert keys(store, "releases/") == []
    release = publish(catalogue, (family, shard))
    assert not check_shard(store, release.shards[0]).problems


def test_a_damaged_shard_is_not_published(catalogue: Catalogue, store: ObjectStore, build: Build) -> None:
    family, shard = build("drive")
    path = shard.path / "documents.arrow"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=r"family drive .* damaged"):
        publish(catalogue, (family, shard))
    assert keys(store) == []


def test_a_shard_that_is_nowhere_is_not_published(catalogue: Catalogue, store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such shard in"):
        publish(catalogue, ("drive", ShardRef("d" * 40, tmp_path / "nowhere")))
    assert keys(store) == []


def test_shards_of_another_release_need_no_folder(catalogue: Catalogue, build: Build) -> None:
    first = publish(catalogue, build("drive"), build("pump"))
    second = catalogue.publish(first.shards[:1], fingerprints=FINGERPRINTS, base=first.number)
    assert second.shards == first.shards[:1]
    assert second.base == first.number


def test_an_old_shard_that_is_published_again_is_young_again(
    catalogue: Catalogue, store: ObjectStore, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or pruning could take it between the publisher's look and its release."""
    first = publish(catalogue, build("drive"))
    publish(catalogue, build("pump"))
    key = f"shards/{first.shards[0].id}/manifest.json"
    written: list[str] = []
    put = type(store).put
    monkeypatch.setattr(type(store), "put", lambda self, key, data: (written.append(key), put(self, key, data))[1])
    catalogue.publish(first.shards, fingerprints=FINGERPRINTS)
    assert written == []
    catalogue.rollback()
    monkeypatch.setattr("lineside.releases.upload._RENEW_AFTER", timedelta(seconds=-60))
    catalogue.publish(first.shards, fingerprints=FINGERPRINTS)
    assert written == [key]
    catalogue.activate(2)
    store.delete(key)
    with pytest.raises(DataError, match="family drive is not in"):
        catalogue.publish(first.shards, fingerprints=FINGERPRINTS, activate=False)


def test_a_publisher_whose_base_is_not_current_is_told_and_changes_nothing(catalogue: Catalogue, build: Build) -> None:
    first = publish(catalogue, build("drive"), base=None)
    second = publish(catalogue, build("drive", 1), base=first.number)
    for base in (first.number, None):
        with pytest.raises(Conflict, match="no longer current"):
            publish(catalogue, build("drive", 2), base=base)
    assert catalogue.current() == second
    assert catalogue.numbers() == [1, 2]


def test_two_publishers_of_different_families_lose_nothing(catalogue: Catalogue, build: Build) -> None:
    """Each changes a family of its own, again and again, from the release that it last saw."""
    shards = {(family, n): build(family, n) for family in ("drive", "pump") for n in range(4)}
    publish(catalogue, shards["drive", 0], shards["pump", 0], base=None)

    def work(family: str, other: str) -> None:
        for n in range(1, 4):
            begun = current = catalogue.current()
            built = [shards[family, n], *(s for s in begun.shards if s.family == other)]
            wanted = built
            while True:
                try:
                    catalogue.publish(wanted, fingerprints=FINGERPRINTS, base=current.number)
                    break
                except Conflict:
                    current = catalogue.current()
                    wanted = rebase(built, begun, current)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("drive", "pump"), ("pump", "drive")))
    expected = {(f, shards[f, 3][1].id) for f in ("drive", "pump")}
    assert {(s.family, s.id) for s in catalogue.current().shards} == expected


def test_rolling_back_goes_to_what_was_active_before_and_again_further(catalogue: Catalogue, build: Build) -> None:
    for n in range(3):
        publish(catalogue, build("drive", n), note=f"variant {n}", by="ann")
    assert catalogue.rollback(by="bob", why="wrong torque").number == 2
    assert catalogue.rollback().number == 1
    with pytest.raises(NotFound, match="no release was active before 1"):
        catalogue.rollback()
    history = catalogue.pointer().history
    assert [(a.release, a.rollback) for a in history] == [(1, False), (2, False), (3, False), (2, True), (1, True)]
    assert (history[3].by, history[3].why) == ("bob", "wrong torque")
    assert (history[0].by, history[0].why) == ("ann", "variant 0")


def test_after_a_rollback_the_way_leads_forward_again(catalogue: Catalogue, build: Build) -> None:
    first, second = publish(catalogue, build("drive")), publish(catalogue, build("drive", 1))
    catalogue.rollback()
    third = publish(catalogue, build("drive", 2), base=first.number)
    assert third.number == second.number + 1
    assert catalogue.rollback().number == first.number
    assert catalogue.activate(second.number) == second
    assert catalogue.rollback().number == first.number


def test_a_catalogue_from_before_history_was_kept_is_read_and_can_be_rolled_back(
    catalogue: Catalogue, store: ObjectStore, build: Build
) -> None:
    publish(catalogue, build("drive"))
    store.put("current.json", b'{"release": 1}')
    assert catalogue.current().number == 1
    publish(catalogue, build("drive", 1))
    assert catalogue.rollback().number == 1


def test_history_has_an_end(catalogue: Catalogue, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineside.releases.catalogue.HISTORY_MAX", 4)
    publish(catalogue, build("drive"))
    publish(catalogue, build("drive", 1))
    for number in (1, 2, 1):
        catalogue.activate(number)
    assert [activation.release for activation in catalogue.pointer().history] == [2, 1, 2, 1]


def test_a_release_with_a_shard_that_is_gone_is_not_activated(
    catalogue: Catalogue, store: ObjectStore, build: Build
) -> None:
    first, second = publish(catalogue, build("drive")), publish(catalogue, build("pump"))
    store.delete(f"shards/{first.shards[0].id}/manifest.json")
    with pytest.raises(DataError, match=r"of family drive is not in .*: publish it again"):
        catalogue.activate(first.number)
    assert catalogue.current() == second


def test_checking_names_every_damaged_file(catalogue: Catalogue, store: ObjectStore, build: Build) -> None:
    entry = publish(catalogue, build("drive")).shards[0]
    text = f"shards/{entry.id}/lexical/terms.txt"
    store.put(text, store.get(text)[0][:-1] + b"!")
    store.put(f"shards/{entry.id}/text.faiss", b"short")
    store.delete(f"shards/{entry.id}/sentences.npy")
    problems = check_shard(store, entry).problems
    assert [p.split()[0] for p in problems] == ["lexical/terms.txt", "sentences.npy", "text.faiss"]
    store.delete(f"shards/{entry.id}/manifest.json")
    assert "manifest.json" in check_shard(store, entry).problems[0]
