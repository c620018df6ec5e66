"""Following: swaps without a mix, refusals that leave the good release, outages and restarts that nobody notices."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lineside.errors import ConfigurationError, DataError, LinesideError, NotFound, StoreUnavailable
from lineside.objects import ObjectStore, StoreLimits, open_store
from lineside.releases import Catalogue, Release
from lineside.releases.follower import HELD_FOR_CITATIONS, ReleaseFollower
from lineside.releases.settings import CacheSettings
from lineside.search import ReleaseIndex, SearchQuery, SearchSettings
from tests.releases.conftest import Build
from tests.releases.shards import FINGERPRINTS
from tests.s3_server import S3Server
from tests.shards.knowledge import embed

Follow = Callable[..., ReleaseFollower]


def publish(store: ObjectStore | Catalogue, *shards: object) -> Release:
    catalogue = store if isinstance(store, Catalogue) else Catalogue(store)
    return catalogue.publish(shards, fingerprints=FINGERPRINTS)  # type: ignore[arg-type]


@pytest.fixture
def follow(store: ObjectStore, tmp_path: Path) -> Iterator[Follow]:
    """Makes followers of the store, which share this machine's cache."""
    made: list[ReleaseFollower] = []

    def make(**options: object) -> ReleaseFollower:
        cache = CacheSettings(folder=tmp_path / "cache")
        made.append(ReleaseFollower(Catalogue(store), SearchSettings(), cache=cache, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for follower in made:
        follower.stop()


def damage(store: ObjectStore, release: Release, family: str = "drive") -> None:
    shard_id = next(shard.id for shard in release.shards if shard.family == family)
    key = f"shards/{shard_id}/documents.arrow"
    store.put(key, store.get(key)[0][:-1] + b"!")


def wait_until(holds: Callable[[], bool], within_s: float = 60) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def says(index: ReleaseIndex, family: str) -> str:
    question = f"What does the variant plate of the {family} say?"
    return index.search(SearchQuery(text=question, text_vector=embed(question), family=family)).evidence[0].text


def test_it_serves_the_current_release_and_follows_it_forward_and_back(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    publish(store, build("drive", 1))
    follower = follow()
    assert "1 mm" in says(follower.index, "drive")
    assert not follower.refresh()
    publish(store, build("drive", 2))
    assert follower.refresh()
    assert "2 mm" in says(follower.index, "drive")
    Catalogue(store).rollback()
    assert follower.refresh()
    assert follower.index.release == 1


def test_a_thread_follows_by_itself_until_it_is_stopped(store: ObjectStore, follow: Follow, build: Build) -> None:
    publish(store, build("drive", 1))
    follower = follow()
    follower.configure(poll_s=0.05, pin=None)
    follower.start()
    publish(store, build("drive", 2))
    wait_until(lambda: follower.index.release == 2)
    follower.stop()
    publish(store, build("drive", 3))
    time.sleep(0.3)
    assert follower.index.release == 2


def test_a_release_that_is_out_of_use_is_freed_with_its_last_request(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    publish(store, build("drive", 1))
    follower = follow()
    request = follower.index
    freed = weakref.ref(request)
    publish(store, build("drive", 2))
    follower.refresh()
    assert "1 mm" in says(request, "drive")
    del request
    gc.collect()
    assert freed() is None


def test_a_shard_that_two_releases_share_is_opened_once(store: ObjectStore, follow: Follow, build: Build) -> None:
    publish(store, build("drive"), build("pump", 1))
    follower = follow()
    before = {shard.family: shard for shard in follower.index.shards}
    publish(store, build("drive"), build("pump", 2))
    follower.refresh()
    after = {shard.family: shard for shard in follower.index.shards}
    assert after["drive"] is before["drive"]
    assert after["pump"] is not before["pump"]


def test_a_damaged_release_is_refused_and_the_good_one_stays(store: ObjectStore, follow: Follow, build: Build) -> None:
    good = publish(store, build("drive", 1))
    follower = follow()
    bad = publish(store, build("drive", 2))
    damage(store, bad)
    with pytest.raises(DataError):
        follower.refresh()
    follower.settle()
    assert follower.index.release == good.number
    assert "documents.arrow" in (follower.status.refused or "")
    Catalogue(store).rollback()
    follower.settle()
    assert follower.status.refused is None


def test_a_refused_release_is_looked_at_ever_more_seldom_and_logged_once(
    store: ObjectStore, follow: Follow, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, build("drive", 1))
    errors: list[str] = []
    monkeypatch.setattr("lineside.releases.follower.log.error", lambda event, **fields: errors.append(event))
    now = [1000.0]
    monkeypatch.setattr("lineside.releases.follower.time.monotonic", lambda: now[0])
    checked: list[float] = []

    def check(index: ReleaseIndex) -> None:
        if index.release == 2:
            checked.append(now[0])
            raise ConfigurationError("made with another encoder")

    follower = follow(check=check)
    publish(store, build("drive", 2))
    for _ in range(100):
        follower.settle()
        now[0] += 1
    assert [second - checked[0] for second in checked] == [0, 10, 30, 70]
    assert errors == ["release_refused"]
    assert follower.status.refused == "made with another encoder"


def test_a_release_is_pinned_and_unpinned_while_running(store: ObjectStore, follow: Follow, build: Build) -> None:
    for n in (1, 2, 3):
        publish(store, build("drive", n))
    follower = follow()
    follower.start()
    follower.configure(poll_s=60, pin=1)
    wait_until(lambda: follower.index.release == 1)
    assert follower.status.pinned == 1
    follower.configure(poll_s=60, pin=99)
    wait_until(lambda: follower.status.refused is not None)
    assert "no release 99" in (follower.status.refused or "")
    assert follower.index.release == 1
    follower.configure(poll_s=60, pin=None)
    wait_until(lambda: follower.index.release == 3)
    assert follower.status.refused is None


def test_a_start_with_a_damaged_release_takes_the_last_good_one_and_says_so(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    publish(store, build("drive", 1))
    follow()
    damage(store, publish(store, build("drive", 2)))
    again = follow()
    assert again.index.release == 1
    assert "documents.arrow" in (again.status.refused or "")
    publish(store, build("drive", 3))
    again.settle()
    assert again.index.release == 3
    assert again.status.refused is None


def test_a_first_start_with_a_damaged_release_takes_the_one_before_and_says_so(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    publish(store, build("drive", 1))
    damage(store, publish(store, build("drive", 2)))
    follower = follow()
    assert follower.index.release == 1
    assert "documents.arrow" in (follower.status.refused or "")


def test_a_first_start_on_a_damaged_release_still_takes_up_the_pin_that_comes_after(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    for n in (1, 2):
        publish(store, build("drive", n))
    damage(store, publish(store, build("drive", 3)))
    follower = follow()
    follower.configure(poll_s=60, pin=1)
    follower.settle()
    assert follower.index.release == 1
    assert follower.status.refused is None


def test_an_error_that_nobody_foresaw_is_in_the_status_until_following_goes_on(
    store: ObjectStore, follow: Follow, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, build("drive", 1))
    follower = follow()

    def defect() -> None:
        raise TypeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(follower, "_step", defect)
        follower.configure(poll_s=0.02, pin=None)
        follower.start()
        wait_until(lambda: follower.status.fault == "TypeError: a defect")
        assert "1 mm" in says(follower.index, "drive")
    publish(store, build("drive", 2))
    wait_until(lambda: follower.index.release == 2)
    wait_until(lambda: follower.status.fault is None)


def test_a_first_start_where_every_release_is_damaged_fails(store: ObjectStore, follow: Follow, build: Build) -> None:
    damage(store, publish(store, build("drive")))
    with pytest.raises(DataError, match=r"documents\.arrow"):
        follow()


def test_the_cited_version_of_a_document_opens_as_long_as_its_release_is_held(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    publish(store, build("drive", 1))
    follower = follow()
    first = follower.document("drive-variant")
    for n in range(2, HELD_FOR_CITATIONS + 2):
        publish(store, build("drive", n))
        follower.refresh()
    assert follower.document("drive-variant", first.version) == first
    assert f"{HELD_FOR_CITATIONS + 1} mm" in follower.document("drive-variant").text
    with pytest.raises(NotFound, match="no document nothing in release 3"):
        follower.document("nothing", first.version)
    publish(store, build("drive", 9))
    follower.refresh()
    with pytest.raises(NotFound, match=r"version v1 of document drive-variant is not held any more, version v9 is"):
        follower.document("drive-variant", first.version)


def test_a_version_that_did_not_change_opens_in_whatever_release(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    publish(store, build("drive", 1))
    follower = follow()
    manual = follower.document("drive-motor-manual")
    for n in range(2, HELD_FOR_CITATIONS + 4):
        publish(store, build("drive", n))
        follower.refresh()
    assert follower.document("drive-motor-manual", manual.version) == manual


def test_an_image_that_is_gone_opens_as_long_as_its_release_is_held(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    publish(store, build("drive"))
    follower = follow()
    figure = follower.image("drive-figure-1")
    for _ in range(HELD_FOR_CITATIONS):
        publish(store, build("pump"))
        follower.refresh()
        assert follower.image("drive-figure-1") == figure
        publish(store, build("pump", 1))
    follower.refresh()
    publish(store, build("pump", 2))
    follower.refresh()
    with pytest.raises(NotFound, match="no image drive-figure-1 in release"):
        follower.image("drive-figure-1")


def test_requests_never_see_two_releases_in_one_answer_while_releases_swap(
    store: ObjectStore, follow: Follow, build: Build
) -> None:
    """Every release's drive and pump say the release's own number."""
    releases = [publish(store, build("drive", n), build("pump", n)) for n in range(1, 6)]
    follower = follow()
    follower.configure(poll_s=0.01, pin=None)
    follower.start()
    stop, mixed, seen = threading.Event(), [], set()

    def ask() -> None:
        while not stop.is_set():
            index = follower.index
            seen.add(index.release)
            mixed.extend(f for f in ("drive", "pump") if f"{index.release} mm" not in says(index, f))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for number in (1, 4, 2, 5):
            Catalogue(store).activate(releases[number - 1].number)
            wait_until(lambda number=number: follower.index.release == number and number in seen)  # type: ignore[misc]
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert not mixed


def test_an_outage_of_the_store_does_not_disturb_serving(
    s3_server: S3Server, tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3Server(tmp_path)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        quick = StoreLimits(connect_s=1, request_s=5, retries=1, retry_s=1)
        store = open_store(server.create_bucket(), quick)
        publish(store, build("drive", 1))
        cache = CacheSettings(folder=tmp_path / "cache")
        follower = ReleaseFollower(Catalogue(store), SearchSettings(), cache=cache)
        server.stop()
        follower.settle()
        assert "cannot be used" in (follower.status.outage or "")
        assert follower.status.refused is None
        assert "1 mm" in says(follower.index, "drive")
        restarted = ReleaseFollower(Catalogue(store), SearchSettings(), cache=cache)
        assert restarted.index.release == 1
        assert "cannot be used" in (restarted.status.outage or "")
        with pytest.raises(StoreUnavailable):
            ReleaseFollower(
                Catalogue(store), SearchSettings(), cache=CacheSettings(folder=tmp_path / "another machine")
            )
    finally:
        server.stop()


def test_a_copy_that_is_damaged_between_two_starts_is_fetched_anew(
    s3_server: S3Server, tmp_path: Path, build: Build
) -> None:
    store = open_store(s3_server.create_bucket())
    release = publish(store, build("drive", 1))
    cache = CacheSettings(folder=tmp_path / "cache")
    ReleaseFollower(Catalogue(store), SearchSettings(), cache=cache)
    path = tmp_path / "cache" / "shards" / release.shards[0].id / "documents.arrow"
    path.write_bytes(b"damaged")
    follower = ReleaseFollower(Catalogue(store), SearchSettings(), cache=cache)
    assert "1 mm" in says(follower.index, "drive")
    assert follower.status.refused is None


def test_an_empty_store_cannot_be_followed(follow: Follow) -> None:
    with pytest.raises(LinesideError, match="build one"):
        follow()
