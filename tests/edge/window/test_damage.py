"""A window of which any byte was changed, or any file cut: it opens, and shows nothing that was not put into it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.window import FrameIn, WindowFrame
from edge.window.bucket import FRAMES
from edge.window.sealed_log import LogWriter
from lineside.errors import ConfigurationError, IntegrityError, NotFound
from tests.edge.window.conftest import KEY, Bench, Clock, image, vector


@dataclass
class Written:
    """Two buckets of frames; `thumbnails` and `frames` by id, in order."""

    folder: Path
    clock: Clock
    frames: dict[str, WindowFrame]
    thumbnails: dict[str, bytes]
    buckets: dict[str, list[str]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    bench = Bench(tmp_path_factory.mktemp("written") / "window")
    for _ in range(2):
        window = bench.open()
        for scene in (1, 1, 2, 3, 3, 3, 4):
            window.add(FrameIn(f"CAM-{scene % 2}", bench.clock.now, image(scene), vector(scene), (f"scene-{scene}",)))
            bench.clock.advance(1)
    frames = {f.id: f for f in reversed(window.latest(k=100))}
    thumbnails = {frame_id: window.image(frame_id).data for frame_id in frames}
    bench.close()
    buckets: dict[str, list[str]] = {}
    for frame_id in frames:
        buckets.setdefault(frame_id.split(":")[1], []).append(frame_id)
    return Written(bench.folder, bench.clock, frames, thumbnails, buckets)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_the_window_opens_and_shows_nothing_wrong(written: Written, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "window"
        shutil.copytree(written.folder, folder)
        files = sorted(path for path in folder.iterdir() if path.name != "lock")
        damaged = data.draw(st.sampled_from(files))
        content = bytearray(damaged.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[place:]
        else:
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        damaged.write_bytes(content)

        bench = Bench(folder, Clock(written.clock.wall, written.clock.monotonic))
        window = bench.open()
        try:
            for frame in window.latest(k=100):
                original = written.frames[frame.id]
                assert (frame.camera, frame.time, frame.labels) == (original.camera, original.time, original.labels)
                assert frame.time <= frame.until <= original.until
                try:
                    assert window.image(frame.id).data == written.thumbnails[frame.id]
                except (IntegrityError, NotFound):
                    assert damaged.suffix == ".images"
            held = {f.id for f in window.latest(k=100)}
            other = [ids for bucket, ids in written.buckets.items() if bucket != damaged.stem]
            assert held >= {frame_id for ids in other for frame_id in ids}
            if damaged.suffix == FRAMES:  # all that came before the damage is there
                kept = [frame_id in held for frame_id in written.buckets[damaged.stem]]
                whole = sum(end <= place for end in record_ends(written.folder / damaged.name)[1:])
                assert all(kept[:whole])
            assert window.add(FrameIn("CAM-9", bench.clock.now, image(9), vector(9))).id not in written.frames
        finally:
            bench.close()


def record_ends(path: Path) -> list[int]:
    """Where the records of a sound log end."""
    content, end, found = path.read_bytes(), 48, []
    while end < len(content):
        end += 4 + int.from_bytes(content[end : end + 4], "little")
        found.append(end)
    return found


def test_bucket_of_an_unknown_format_is_said_and_left_as_it_is(bench: Bench) -> None:
    bench.open().add(FrameIn("CAM-1", bench.clock.now, image(), vector(0)))
    bench.close()
    newer = LogWriter(bench.folder / f"{7:016x}{FRAMES}", KEY, b"frames", 7)
    newer.append(b'{"fingerprint": "joint-1", "dimension": 32, "arrived": 0, "colour": "green"}')
    newer.close(settled=True)
    before = {path.name: path.read_bytes() for path in bench.folder.iterdir()}
    with pytest.raises(ConfigurationError, match=r"0000000000000007 .* another version"):
        bench.open()
    assert {path.name: path.read_bytes() for path in bench.folder.iterdir()} == before


@pytest.mark.parametrize("kept", [0, 20, 48, 60])
def test_bucket_whose_writer_was_killed_at_its_beginning_is_forgotten(bench: Bench, kept: int) -> None:
    """Bytes of `N.frames` that were written: none, a part of the header, the header, a part of record 0."""
    first = bench.open().add(FrameIn("CAM-1", bench.clock.now, image(), vector(0)))
    bench.close()
    (complete,) = bench.files(FRAMES)
    begun = bench.folder / f"{7:016x}{FRAMES}"
    begun.write_bytes(complete.read_bytes()[:kept])
    window = bench.open()
    assert window.status().unreadable_buckets == 0
    assert [frame.id for frame in window.latest(k=10)] == [first.id]
    assert not begun.exists()
