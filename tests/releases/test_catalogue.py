"""Releases are numbered once, immutable, and exactly one of them is current, whatever happens in between."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lineside.errors import DataError, NotFound
from lineside.releases import Catalogue, Release
from lineside.shards import ShardRef

FINGERPRINTS = {"text": "t1", "joint": "j1", "chunker": "c1"}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Empty, with two shards that may be published."""
    catalogue = Catalogue(tmp_path / "store")
    for shard in (_shard("a"), _shard("b")):
        (catalogue.shards_root / shard.id).mkdir(parents=True)
        (catalogue.shards_root / shard.id / "manifest.json").write_text("{}")
    return catalogue


def _shard(letter: str) -> ShardRef:
    return ShardRef(letter * 40, Path("shards") / (letter * 40))


def _publish(catalogue: Catalogue, note: str = "", *, activate: bool = True) -> Release:
    shards = [("pump", _shard("b")), ("drive", _shard("a"))]
    return catalogue.publish(shards, fingerprints=FINGERPRINTS, note=note, activate=activate)


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_empty_catalogue_has_no_current_release_and_says_how_to_get_one(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotFound, match="build one"):
            Catalogue(root).current()
        assert Catalogue(root).numbers() == []


def test_what_is_published_is_current_and_complete(catalogue: Catalogue) -> None:
    release = _publish(catalogue, "first – with “signs”")
    assert release.number == 1
    assert [(shard.family, shard.id[0]) for shard in release.shards] == [("drive", "a"), ("pump", "b")]
    assert Catalogue(catalogue.root).current() == release
    assert catalogue.paths(release) == [catalogue.shards_root / ("a" * 40), catalogue.shards_root / ("b" * 40)]
    assert release.fingerprints == FINGERPRINTS


def test_numbers_rise_and_older_releases_stay_as_they_were(catalogue: Catalogue) -> None:
    releases = [_publish(catalogue, str(n)) for n in range(12)]
    assert catalogue.numbers() == [release.number for release in releases] == list(range(1, 13))
    assert [catalogue.get(release.number) for release in releases] == releases
    assert catalogue.current() == releases[-1]


def test_an_older_release_can_be_made_current_and_publishing_goes_on_above_all(catalogue: Catalogue) -> None:
    first, second = _publish(catalogue), _publish(catalogue)
    catalogue.activate(first.number)
    assert catalogue.current() == first
    third = _publish(catalogue)
    assert third.number == second.number + 1
    assert catalogue.current() == third


def test_a_release_can_be_published_without_being_served(catalogue: Catalogue) -> None:
    first = _publish(catalogue)
    _publish(catalogue, activate=False)
    assert catalogue.current() == first
    assert catalogue.numbers() == [1, 2]


def test_what_is_not_there_cannot_be_activated_and_the_current_release_stays(catalogue: Catalogue) -> None:
    first = _publish(catalogue)
    with pytest.raises(NotFound, match="no release 9"):
        catalogue.activate(9)
    assert catalogue.current() == first


def test_a_shard_that_is_not_in_the_store_cannot_be_published(catalogue: Catalogue) -> None:
    with pytest.raises(DataError, match="of family pump is not in"):
        catalogue.publish([("pump", _shard("c"))], fingerprints={})
    assert catalogue.numbers() == []


def test_publishing_leaves_no_temporary_files(catalogue: Catalogue) -> None:
    before = set(_files(catalogue.root))
    _publish(catalogue)
    assert set(_files(catalogue.root)) - before == {"current.json", "releases/0000001.json"}


def test_publishers_in_threads_never_share_a_number(catalogue: Catalogue) -> None:
    with ThreadPoolExecutor(8) as pool:
        releases = list(pool.map(lambda n: _publish(catalogue, str(n)), range(40)))
    assert sorted(release.number for release in releases) == list(range(1, 41))
    assert all(catalogue.get(release.number) == release for release in releases)
    assert catalogue.current() in releases


def _publish_many(root: Path, count: int) -> None:
    for n in range(count):
        _publish(Catalogue(root), f"{os.getpid()}-{n}")


@pytest.mark.slow
@pytest.mark.integration
def test_publishers_in_processes_never_share_a_number(catalogue: Catalogue) -> None:
    processes = _processes(catalogue.root, count=4, releases=25)
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    notes = [catalogue.get(number).note for number in catalogue.numbers()]
    assert len(notes) == len(set(notes)) == 100


@pytest.mark.slow
@pytest.mark.integration
def test_a_killed_publisher_leaves_a_catalogue_that_works(catalogue: Catalogue) -> None:
    _publish(catalogue)
    for _ in range(4):
        (process,) = _processes(catalogue.root, count=1, releases=100_000)
        known = catalogue.current().number
        while catalogue.current().number < known + 20:
            process.join(0.001)
            assert process.is_alive()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(60)
        current = catalogue.current()
        assert [catalogue.get(number).number for number in catalogue.numbers()] == catalogue.numbers()
        assert _publish(catalogue).number > current.number


def _processes(root: Path, *, count: int, releases: int) -> list[multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_publish_many, args=(root, releases), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    return list(processes)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def _calls_until_killed(monkeypatch: pytest.MonkeyPatch, survive: int) -> None:
    """The process dies at the next call of the file system after `survive` of them."""
    left = itertools.count()
    for name in ("fsync", "link", "replace"):
        original = getattr(os, name)

        def call(*arguments: object, original: object = original, **options: object) -> object:
            if next(left) >= survive:
                raise Killed
            return original(*arguments, **options)  # type: ignore[operator]

        monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("survive", range(5))
def test_a_publisher_that_dies_between_any_two_writes_leaves_the_current_release(
    catalogue: Catalogue, survive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _publish(catalogue)
    with monkeypatch.context() as patch:
        _calls_until_killed(patch, survive)
        with pytest.raises(Killed):
            _publish(catalogue)
    assert catalogue.current() == first
    again = _publish(catalogue)
    assert catalogue.current() == again
    assert again.number in (2, 3)


DAMAGE = [b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b'{"release": "x"}', b'{"release": 0}', b'{"number": 1}']


@pytest.mark.parametrize("content", DAMAGE)
@pytest.mark.parametrize("name", ["current.json", "releases/0000001.json"])
def test_damage_is_said_to_be_damage(catalogue: Catalogue, name: str, content: bytes) -> None:
    _publish(catalogue)
    (catalogue.root / name).write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged"):
        catalogue.current()


def test_a_pointer_to_a_release_that_is_gone_is_damage_and_can_be_mended(catalogue: Catalogue) -> None:
    first, _ = _publish(catalogue), _publish(catalogue)
    (catalogue.root / "releases" / "0000002.json").unlink()
    with pytest.raises(DataError, match="names release 2, which is not there"):
        catalogue.current()
    catalogue.activate(first.number)
    assert catalogue.current() == first


def test_strange_files_among_the_releases_are_passed_over(catalogue: Catalogue) -> None:
    _publish(catalogue)
    for name in ("notes.json", "².json", "0000009.json.part", ".0000009.json"):
        (catalogue.root / "releases" / name).write_text("x")
    assert catalogue.numbers() == [1]
    assert _publish(catalogue).number == 2


def test_a_release_is_plain_json(catalogue: Catalogue) -> None:
    _publish(catalogue)
    content = json.loads((catalogue.root / "releases" / "0000001.json").read_text())
    assert content["shards"] == [{"family": "drive", "id": "a" * 40}, {"family": "pump", "id": "b" * 40}]
