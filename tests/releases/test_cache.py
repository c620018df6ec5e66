"""The cache holds whole, verified shards within its budget, whatever breaks off and whoever else uses it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lineside.errors import ConfigurationError, DataError, IntegrityError
from lineside.objects import ObjectStore, open_store
from lineside.releases import Catalogue, Release
from lineside.releases.cache import ShardCache
from lineside.releases.settings import CacheSettings
from lineside.shards import Shard
from tests.releases.conftest import Build
from tests.releases.shards import FINGERPRINTS


@pytest.fixture
def remote(s3_server: object, request: pytest.FixtureRequest) -> ObjectStore:
    """An S3 store: one in a folder needs no cache."""
    return open_store(request.getfixturevalue("s3_server").create_bucket())


@pytest.fixture
def release(remote: ObjectStore, build: Build) -> Release:
    return Catalogue(remote).publish([build("drive"), build("pump")], fingerprints=FINGERPRINTS)


@pytest.fixture
def caches(remote: ObjectStore, tmp_path: Path) -> Callable[[], ShardCache]:
    """Makes caches over one folder, as several processes have them."""
    return lambda: ShardCache(remote, CacheSettings(folder=tmp_path / "cache"))


def cached(folder: Path, part: str = "shards") -> set[str]:
    return {path.name for path in (folder / "cache" / part).glob("*")}


def test_what_is_fetched_opens_and_is_fetched_once(
    caches: Callable[[], ShardCache], release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = caches().fetch(release)
    for entry in release.shards:
        assert Shard.open(places[entry.id]).family == entry.family
    assert cached(tmp_path, "partial") == set()
    monkeypatch.setattr("lineside.objects.s3.S3Store.download", pytest.fail)
    assert caches().fetch(release) == places


def test_a_fetch_that_breaks_off_goes_on_with_what_is_missing(
    caches: Callable[[], ShardCache],
    remote: ObjectStore,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    download, fetched = type(remote).download, []

    def breaks_after_five(self: ObjectStore, key: str, path: Path) -> None:
        fetched.append(key)
        if len(fetched) > 5:
            raise ConnectionResetError
        download(self, key, path)

    with monkeypatch.context() as patch:
        patch.setattr(type(remote), "download", breaks_after_five)
        with pytest.raises(ConnectionResetError):
            caches().fetch(release)
    assert cached(tmp_path) == set()
    half = next((tmp_path / "cache/partial").iterdir())
    damaged = next(path for path in half.iterdir() if path.name != "manifest.json" and path.is_file())
    damaged.write_bytes(b"damaged while nobody looked")
    again: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(type(remote), "download", lambda s, key, path: (again.append(key), download(s, key, path)))
        places = caches().fetch(release)
    assert not set(fetched[:5]) & set(again) - {f"shards/{half.name}/{damaged.name}"}
    for place in places.values():
        Shard.open(place)


@pytest.mark.parametrize("name", ["documents.arrow", "manifest.json", "lexical/terms.txt"])
@pytest.mark.parametrize("damage", ["changed", "short", "gone"])
def test_a_shard_that_is_damaged_in_the_store_never_gets_a_place(
    caches: Callable[[], ShardCache], remote: ObjectStore, release: Release, tmp_path: Path, name: str, damage: str
) -> None:
    key = f"shards/{release.shards[0].id}/{name}"
    data = remote.get(key)[0]
    if damage == "gone":
        remote.delete(key)
    else:
        remote.put(key, data[:-1] if damage == "short" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(DataError) as refused:
        caches().fetch(release)
    assert isinstance(refused.value, IntegrityError) or damage == "gone"
    assert cached(tmp_path) == set()
    remote.put(key, data)
    assert Shard.open(caches().fetch(release)[release.shards[0].id])


def test_a_shard_in_the_place_of_another_is_refused(
    caches: Callable[[], ShardCache], remote: ObjectStore, release: Release
) -> None:
    first, second = (shard.id for shard in release.shards)
    for info in list(remote.list(f"shards/{second}/")):
        remote.put(info.key.replace(second, first), remote.get(info.key)[0])
    with pytest.raises(IntegrityError, match="holds shard"):
        caches().fetch(release)


def test_what_nobody_uses_makes_room_and_what_somebody_uses_stays(
    remote: ObjectStore, build: Build, tmp_path: Path
) -> None:
    catalogue = Catalogue(remote)
    releases = [catalogue.publish([build("drive", n)], fingerprints=FINGERPRINTS) for n in range(3)]
    ids = [release.shards[0].id for release in releases]
    size = sum(info.size for info in remote.list(f"shards/{ids[0]}/"))
    settings = CacheSettings(folder=tmp_path / "cache", max_bytes=1_000_000)
    object.__setattr__(settings, "max_bytes", int(2.5 * size))
    one, other = ShardCache(remote, settings), ShardCache(remote, settings)
    one.fetch(releases[0])
    other.fetch(releases[1])
    with pytest.raises(ConfigurationError, match=r"raise cache\.max_bytes"):
        one.fetch(releases[2])
    assert cached(tmp_path) == set(ids[:2])
    other.keep(())
    one.fetch(releases[2])
    assert cached(tmp_path) == {ids[0], ids[2]}


def test_a_copy_that_was_damaged_on_disk_is_fetched_anew_after_it_was_discarded(
    caches: Callable[[], ShardCache], release: Release
) -> None:
    cache = caches()
    shard_id, place = next(iter(cache.fetch(release).items()))
    os.truncate(place / "documents.arrow", 10)
    with pytest.raises(IntegrityError):
        Shard.open(place)
    assert cache.discard(shard_id)
    assert Shard.open(cache.fetch(release)[shard_id])


def test_two_processes_fetch_a_shard_once(
    caches: Callable[[], ShardCache], remote: ObjectStore, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two caches stand for two processes: a lock belongs to the opened file, not to the process."""
    download, seen = type(remote).download, []

    def counted(self: ObjectStore, key: str, path: Path) -> None:
        seen.append(key)
        download(self, key, path)

    monkeypatch.setattr(type(remote), "download", counted)
    threads = [threading.Thread(target=caches().fetch, args=(release,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(set(seen))
