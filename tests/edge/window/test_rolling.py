"""The rolling window: what it keeps, collapses, finds, refuses and forgets."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta

import numpy as np
import pytest
from PIL import Image

from edge.pieces import GatewayIdentity
from edge.window import Collapsed, FrameIn, Kept, RollingWindow, WindowSettings, window_key
from edge.window.codes import VectorCodes
from lineside.errors import (
    ConfigurationError,
    IntegrityError,
    InvalidRequest,
    NotFound,
    TooLarge,
    Unavailable,
    UnsupportedImage,
)
from tests.edge.window.conftest import DIMENSION, KEY, START_S, Bench, image, vector

Frame = Callable[..., FrameIn]


def test_a_frame_is_found_by_similarity_with_its_camera_time_and_labels(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    window.add(frame("CAM-1", 1))
    kept = window.add(frame("CAM-2", 2, labels=("belt-torn", "urgent")))
    window.add(frame("CAM-3", 3))
    found = window.search(vector(2), k=1)[0]
    assert isinstance(kept, Kept)
    assert (found.id, found.camera, found.labels) == (kept.id, "CAM-2", ("belt-torn", "urgent"))
    assert found.time == found.until == bench.clock.now
    assert found.similarity == pytest.approx(1, abs=0.01)


def test_search_keeps_to_cameras_and_to_the_half_open_time_range(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    times = []
    for scene in range(6):
        times.append(bench.clock.now)
        window.add(frame(f"CAM-{scene % 2}", scene))
        bench.clock.advance(60)
    found = window.search(vector(0), cameras=["CAM-1"], time_from=times[1], time_to=times[5], k=10)
    assert {f.time for f in found} == {times[1], times[3]}
    assert window.search(vector(0), cameras=["CAM-9"]) == []
    assert window.search(vector(0), k=0) == []


def test_search_over_full_blocks_agrees_with_comparing_every_vector(bench: Bench) -> None:
    window = bench.open(max_cameras=60_000, thumbnail_px=32)
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((4_500, DIMENSION)).astype(np.float32)
    picture, now = image(), bench.clock.now
    for place, row in enumerate(vectors):
        window.add(FrameIn(f"CAM-{place % 7}", now + timedelta(milliseconds=place), picture, row))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    query = unit[17] + 0.1 * unit[4_400]
    cosines = unit @ (query / np.linalg.norm(query))
    of_camera = np.flatnonzero(np.arange(len(unit)) % 7 == 3)
    for cameras, allowed in ((None, np.arange(len(unit))), (["CAM-3"], of_camera)):
        found = window.search(query, cameras=cameras, k=20)
        expected = allowed[np.argsort(-cosines[allowed])[:20]]
        by_time = [round((f.time - now) / timedelta(milliseconds=1)) for f in found]
        assert len(set(by_time) & set(expected.tolist())) >= 19
        assert [f.similarity for f in found] == pytest.approx(cosines[by_time], abs=0.01)


def test_a_listing_is_latest_first(bench: Bench, frame: Frame) -> None:
    window = bench.open(bucket_minutes=2)
    kept = []
    for scene in range(5):
        kept.append(window.add(frame(scene=scene)))
        bench.clock.advance(100)
    assert [f.id for f in window.latest(k=3)] == [k.id for k in kept[:1:-1]]
    assert window.latest(k=1)[0].similarity is None


def test_a_still_scene_is_one_record_that_lasts(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    begun = bench.clock.now
    kept = window.add(frame())
    for _ in range(99):
        bench.clock.advance(0.1)
        last = window.add(frame())
    assert last == Collapsed(kept.id, 100)
    (found,) = window.latest(k=9)
    assert (found.time, found.until, found.count) == (begun, bench.clock.now, 100)


def test_spans_survive_a_restart(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    for scene in (1, 1, 1, 2, 2, 3):
        window.add(frame(scene=scene))
        bench.clock.advance(1)
    before = window.latest(k=9)
    assert bench.open().latest(k=9) == before
    assert [f.count for f in before] == [1, 2, 3]


def test_spans_survive_a_writer_that_never_finished_its_bucket(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    for _ in range(5_000):  # past the size at which spans are written anew
        window.add(frame())
        bench.clock.advance(0.01)
    expected = window.latest(k=9)
    spans = bench.files(".spans")[0].stat().st_size
    assert spans < 5_000 * 36
    window._folder.close()  # as the end of a process would
    bench.window = None
    assert bench.open().latest(k=9) == expected


def test_a_scene_far_down_a_slow_drift_is_a_new_record(bench: Bench) -> None:
    window = bench.open(collapse_cosine=0.99)
    one, other = vector(1), vector(2)
    outcomes = []
    for step in range(40):
        mixed = (1 - step / 40) * one + step / 40 * other
        outcomes.append(window.add(FrameIn("CAM-1", bench.clock.now, image(), mixed.astype(np.float32))))
        bench.clock.advance(1)
    assert sum(isinstance(outcome, Kept) for outcome in outcomes) > 3


@pytest.mark.parametrize("change", ["labels", "gap", "earlier", "bucket"])
def test_a_frame_is_not_collapsed_over_a_change(bench: Bench, frame: Frame, change: str) -> None:
    window = bench.open(collapse_gap_s=30, bucket_minutes=30)
    window.add(frame())
    again = frame(labels=("seen",)) if change == "labels" else frame()
    if change == "gap":
        bench.clock.advance(31)
        again = frame()
    if change == "earlier":
        again = frame(time=bench.clock.now - timedelta(seconds=1))
    if change == "bucket":
        for _ in range(181):
            bench.clock.advance(10)
            again = frame()
            outcome = window.add(again)
            if isinstance(outcome, Kept):
                break
        assert window.status().buckets == 2
        return
    assert isinstance(window.add(again), Kept)


def test_cameras_with_the_same_picture_do_not_collapse_into_one_another(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    assert isinstance(window.add(frame("CAM-1")), Kept)
    assert isinstance(window.add(frame("CAM-2")), Kept)


def test_near_equal_records_of_a_camera_fold_in_a_search(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    kept = []
    for scene in (1, 2, 1, 2, 1):
        kept.append(window.add(frame(scene=scene)).id)
        bench.clock.advance(1)
    found = window.search(vector(1), k=2, duplicate_cosine=0.99)
    assert len(found) == 2
    assert {found[0].id, *found[0].duplicates} == {kept[0], kept[2], kept[4]}


def test_the_thumbnail_is_small_webp_and_survives_a_restart(bench: Bench, frame: Frame) -> None:
    window = bench.open(thumbnail_px=64)
    large = FrameIn("CAM-1", bench.clock.now, image(1, 400), vector(1))
    kept = window.add(large)
    stored = bench.open(thumbnail_px=64).image(kept.id)
    assert stored.media_type == "image/webp"
    assert Image.open(io.BytesIO(stored.data)).size == (64, 64)


def test_no_plain_thumbnail_vector_or_name_is_on_the_disk(bench: Bench) -> None:
    window = bench.open()
    window.add(FrameIn("CAMERA-WITH-A-NAME", bench.clock.now, image(1), vector(1), ("label-of-it",)))
    bench.close()
    everything = b"".join(path.read_bytes() for path in bench.folder.iterdir())
    codes = VectorCodes(DIMENSION)
    for plain in (b"RIFF", b"WEBP", b"CAMERA-WITH", b"label-of", codes.encode(codes.turned(vector(1))).tobytes()[:8]):
        assert plain not in everything


def test_a_thumbnail_changed_on_the_disk_is_refused(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    one, other = window.add(frame(scene=1)), window.add(frame(scene=2))
    path = bench.files(".images")[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert window.image(one.id).data
    with pytest.raises(IntegrityError, match="damaged"):
        window.image(other.id)


def test_files_of_another_bucket_are_refused(bench: Bench, frame: Frame) -> None:
    first = bench.open().add(frame(scene=1))
    second = bench.open().add(frame(scene=2))
    bench.close()
    one, other = bench.files(".images")
    one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
    one.write_bytes(other_bytes)
    other.write_bytes(one_bytes)
    window = bench.open()
    for kept in (first, second):
        with pytest.raises((IntegrityError, NotFound)):
            window.image(kept.id)


def test_a_bucket_under_another_number_is_not_read(bench: Bench, frame: Frame) -> None:
    bench.open().add(frame(scene=1))
    bench.open().add(frame(scene=2))
    bench.close()
    first, second = bench.files(".frames")
    first.write_bytes(second.read_bytes())
    status = bench.open().status()
    assert (status.records, status.unreadable_buckets) == (1, 1)


def test_another_key_is_refused_and_nothing_is_lost(bench: Bench, frame: Frame) -> None:
    kept = bench.open().add(frame())
    with pytest.raises(ConfigurationError, match="another key"):
        bench.open(key=bytes(32))
    assert bench.open().latest()[0].id == kept.id


def test_two_processes_cannot_hold_one_window(bench: Bench) -> None:
    bench.open()
    with pytest.raises(ConfigurationError, match="another process"):
        RollingWindow.open(bench.folder, WindowSettings(), KEY, DIMENSION, "joint-1")


def test_frames_of_another_encoder_are_listed_and_shown_but_not_searched(bench: Bench, frame: Frame) -> None:
    old = bench.open(fingerprint="joint-1").add(frame(scene=1))
    bench.clock.advance(1)
    window = bench.open(fingerprint="joint-2", dimension=16)
    new = window.add(FrameIn("CAM-1", bench.clock.now, image(), vector(1, 16)))
    assert [f.id for f in window.latest()] == [new.id, old.id]
    assert [f.id for f in window.search(vector(1, 16))] == [new.id]
    assert window.image(old.id).data
    assert window.status().unsearchable == 1


def test_frames_expire_by_the_hour_and_their_files_go(bench: Bench, frame: Frame) -> None:
    window = bench.open(hours=24, bucket_minutes=60)
    kept = window.add(frame(scene=1))
    bench.clock.advance(23 * 3600)
    window.add(frame(scene=2))
    assert len(window.latest()) == 2
    bench.clock.advance(3601)
    assert [f.id for f in window.latest()] != [kept.id]
    assert len(window.latest()) == 1
    with pytest.raises(NotFound):
        window.image(kept.id)
    assert len(bench.files(".frames")) == 1


def test_bytes_run_out_before_the_hours_and_status_says_what_is_held(bench: Bench, frame: Frame) -> None:
    window = bench.open(max_disk_mib=1, thumbnail_px=128)
    begun = bench.clock.now
    for scene in range(400):
        window.add(FrameIn("CAM-1", bench.clock.now, image(scene, 128), vector(scene)))
        bench.clock.advance(10)
    status = window.status()
    assert bench.disk() <= 1 << 20
    assert status.disk_bytes == bench.disk()
    assert status.bounded_by == "bytes"
    assert status.since is not None
    assert status.since > begun
    assert status.until == bench.clock.now - timedelta(seconds=10)


def test_memory_is_bounded_too(bench: Bench) -> None:
    window = bench.open(max_memory_mib=1, max_disk_mib=100, dimension=512)
    picture = image()
    for scene in range(2_200):
        window.add(FrameIn("CAM-1", bench.clock.now, picture, vector(scene, 512)))
        bench.clock.advance(1)
        if scene % 50 == 0:
            assert window.status().memory_bytes <= 1 << 20
    assert window.status().records > 800


def test_unique_labels_count_as_memory(bench: Bench) -> None:
    window = bench.open(max_memory_mib=1)
    for scene in range(1_500):
        labels = tuple(f"{scene}-{n}" + "x" * 150 for n in range(8))
        window.add(FrameIn("CAM-1", bench.clock.now, image(), vector(scene), labels))
    assert window.status().records < 800


def test_a_clock_set_back_loses_nothing(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    before = window.add(frame(scene=1))
    bench.clock.wall -= 86_400
    after = window.add(frame(scene=2))
    assert {f.id for f in window.latest()} == {before.id, after.id}


def test_a_clock_that_leaps_ahead_empties_the_window_only_when_it_stays_there(bench: Bench, frame: Frame) -> None:
    window = bench.open(clock_hold_s=600)
    window.add(frame(scene=1))
    bench.clock.wall += 10 * 365 * 86_400
    assert len(window.latest()) == 1
    bench.clock.advance(300)
    assert len(window.latest()) == 1
    assert window.status().clock_held
    bench.clock.advance(301)
    assert window.latest() == []
    assert not window.status().clock_held


def test_a_clock_that_leaps_ahead_and_comes_back_costs_nothing(bench: Bench, frame: Frame) -> None:
    window = bench.open(clock_hold_s=600)
    window.add(frame(scene=1))
    bench.clock.wall += 10 * 365 * 86_400
    ahead = window.add(frame(scene=2))
    bench.clock.advance(300)
    bench.clock.wall = START_S + 300
    bench.clock.advance(3600)
    assert len(window.latest()) == 2
    bench.clock.advance(5)
    window.add(frame(scene=3))
    bench.clock.advance(49 * 3600)
    assert window.latest() == []  # the frame that is stamped ten years ahead counts from when it arrived
    with pytest.raises(NotFound):
        window.image(ahead.id)


def test_frames_of_a_clock_that_was_believed_and_wrong_do_not_stay_for_ever(bench: Bench, frame: Frame) -> None:
    window = bench.open(clock_hold_s=0)
    bench.clock.wall += 10 * 365 * 86_400
    window.add(frame(scene=1))
    bench.clock.wall = START_S
    window.add(frame(scene=2))
    bench.clock.advance(47 * 3600)
    assert len(window.latest()) == 2
    bench.clock.advance(2 * 3600)
    assert window.latest() == []


def test_a_clock_that_leapt_while_nothing_ran_must_stay_there_too(bench: Bench, frame: Frame) -> None:
    bench.open(clock_hold_s=600).add(frame())
    bench.clock.wall += 10 * 86_400
    window = bench.open(clock_hold_s=600)
    assert len(window.latest()) == 1
    bench.clock.advance(601)
    assert window.latest() == []


def test_impossible_frames_are_refused(bench: Bench, frame: Frame) -> None:
    window = bench.open(max_image_bytes=8_192)
    now, good, picture = bench.clock.now, vector(1), image()
    refused = [
        (FrameIn("", now, picture, good), "camera"),
        (FrameIn("CAM\n1", now, picture, good), "camera"),
        (FrameIn("C" * 201, now, picture, good), "camera"),
        (FrameIn("CAM-1", now, picture, good, ("x",) * 9), "labels"),
        (FrameIn("CAM-1", now, picture, good[:-1]), "vector"),
        (FrameIn("CAM-1", now, picture, np.zeros(DIMENSION, np.float32)), "vector"),
        (FrameIn("CAM-1", now, picture, np.full(DIMENSION, np.nan, np.float32)), "vector"),
        (FrameIn("CAM-1", now + timedelta(minutes=6), picture, good), "future"),
        (FrameIn("CAM-1", now - timedelta(hours=49), picture, good), "older"),
    ]
    for each, named in refused:
        with pytest.raises(InvalidRequest, match=named):
            window.add(each)
    with pytest.raises(UnsupportedImage):
        window.add(FrameIn("CAM-1", now, b"no picture", good))
    with pytest.raises(TooLarge):
        window.add(FrameIn("CAM-1", now, bytes(8_193), good))
    assert window.status().records == 0


def test_cameras_are_bounded_at_a_time_not_for_ever(bench: Bench, frame: Frame) -> None:
    window = bench.open(max_cameras=2, bucket_minutes=1)
    window.add(frame("CAM-1"))
    window.add(frame("CAM-2"))
    with pytest.raises(Unavailable, match="max_cameras"):
        window.add(frame("CAM-3"))
    bench.clock.advance(61)
    window.add(frame("CAM-1"))
    assert isinstance(window.add(frame("CAM-3")), Kept)


def test_a_time_without_a_zone_is_utc(bench: Bench, frame: Frame) -> None:
    window = bench.open()
    naive = bench.clock.now.replace(tzinfo=None)
    window.add(frame(time=naive))
    assert window.latest()[0].time == naive.replace(tzinfo=UTC)
    assert len(window.latest(time_from=naive)) == 1


def test_many_threads_add_and_read_at_once(bench: Bench) -> None:
    window = bench.open(sync="fsync", commit_ms=1, bucket_minutes=0.05)
    picture = image()
    start = bench.clock.now
    done = threading.Event()

    def camera(number: int) -> list[str]:
        ids = []
        for place in range(60):
            bench.clock.advance(0.01)
            time = start + timedelta(milliseconds=place)
            ids.append(window.add(FrameIn(f"CAM-{number}", time, picture, vector(1_000 * number + place))).id)
        return ids

    def reads() -> int:
        count = 0
        while not done.is_set():
            count = max(count, len(window.search(vector(7), k=500)), len(window.latest(k=500)))
            window.status()
        return count

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(reads) for _ in range(2)]
        ids = [kept for future in [pool.submit(camera, n) for n in range(6)] for kept in future.result()]
        done.set()
        assert all(reader.result() <= 360 for reader in readers)
    assert len(set(ids)) == 360
    again = bench.open()
    assert {f.id for f in again.latest(k=1_000)} == set(ids)
    assert all(again.image(each).data for each in ids)


@pytest.mark.parametrize("sync", ["fsync", "process"])
def test_a_disk_that_fails_is_said_and_what_was_acknowledged_stays(
    bench: Bench, frame: Frame, monkeypatch: pytest.MonkeyPatch, sync: str
) -> None:
    window = bench.open(sync=sync)
    kept = window.add(frame(scene=1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        if sync == "fsync":
            broken.setattr("os.fdatasync", full)
        else:
            broken.setattr("edge.window.sealed_log.LogWriter._write", full)
        with pytest.raises(Unavailable, match="No space left"):
            window.add(frame(scene=2))
    later = window.add(frame(scene=3))
    found = {f.id for f in bench.open().latest()}
    assert {kept.id, later.id} <= found


def test_the_window_key_is_not_another_key_of_the_gateway() -> None:
    secret = bytes(range(32))
    assert window_key(secret) != GatewayIdentity("cell-1", secret).state_key
    assert len(window_key(secret)) == 32


def test_frames_of_many_cameras_share_a_flush(bench: Bench, frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    window = bench.open(sync="fsync", commit_ms=200)
    window.add(frame("CAM-0"))
    flushes: list[int] = []
    monkeypatch.setattr("os.fdatasync", flushes.append)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: window.add(frame(f"CAM-{n}", n)), range(1, 13)))
    assert 0 < len(flushes) <= 8  # two files a group; all twelve are in the first group, or some come late
