"""Whatever comes in, and however often the process ends: bounds hold, nothing else is lost, the oldest goes first."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image

from edge.window import FrameIn
from edge.window.frames import microseconds
from tests.edge.window.conftest import Bench, vector

HOURS = 2
BUCKET_MINUTES = 10
MIB = 1 << 20


def noise(folder: Path) -> bytes:
    """A picture whose thumbnail has some ten kilobytes."""
    path = folder / "noise.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)).save(path)
    return path.read_bytes()


class Window(RuleBasedStateMachine):
    """The model: what was acknowledged, as [id, camera, last time in µs, count], in order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self._temporary = tempfile.TemporaryDirectory()
        folder = Path(self._temporary.name)
        self.picture = noise(folder)
        self.bench = Bench(folder / "window")
        self.acknowledged: dict[str, list[object]] = {}
        self.disk_mib = 1.0

    @initialize(disk_mib=st.sampled_from([1.0, 64.0]))
    def begin(self, disk_mib: float) -> None:
        self.disk_mib = disk_mib
        self.reopen()

    def reopen(self) -> None:
        self.bench.open(hours=HOURS, bucket_minutes=BUCKET_MINUTES, max_disk_mib=self.disk_mib, max_memory_mib=4)

    def add(self, camera: str, scene: int, seconds_late: float = 0) -> None:
        assert self.bench.window is not None
        time = self.bench.clock.now - timedelta(seconds=seconds_late)
        kept = self.bench.window.add(FrameIn(camera, time, self.picture, vector(scene)))
        record = self.acknowledged.setdefault(kept.id, [camera, 0, 0])
        record[1] = max(int(str(record[1])), microseconds(time))
        record[2] = getattr(kept, "count", 1)

    @rule(camera=st.sampled_from("ABC"), scene=st.integers(0, 3), late=st.sampled_from([0, 0, 0, 90, 5_000]))
    def one(self, camera: str, scene: int, late: float) -> None:
        self.add(camera, scene, late)

    @rule(count=st.integers(3, 12))
    def burst(self, count: int) -> None:
        for scene in range(count):
            self.add("A", 100 + scene)
            self.bench.clock.advance(0.1)

    @rule(seconds=st.sampled_from([1, 20, 400, 2_000, 8_000]))
    def wait(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)

    @precondition(lambda self: self.bench.window is not None)
    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        if killed:
            assert self.bench.window is not None
            self.bench.window._folder.close()  # the lock goes with a process; nothing else is done at its end
            self.bench.window = None
        self.reopen()
        self.bench.clock.advance(601)  # a leap of the clock while nothing ran is believed after ten minutes
        assert self.bench.window is not None
        self.bench.window.status()

    @precondition(lambda self: self.bench.window is not None)
    @invariant()
    def what_is_held_is_what_should_be(self) -> None:
        assert self.bench.window is not None
        held = {f.id: f for f in self.bench.window.latest(k=100_000)}
        cutoff = microseconds(self.bench.clock.now) - HOURS * 3_600_000_000
        believed = self.bench.window._buckets.cutoff()
        assert believed <= cutoff
        for frame_id, frame in held.items():
            camera, last, count = self.acknowledged[frame_id]
            assert (frame.camera, microseconds(frame.until), frame.count) == (camera, last, count)
            assert microseconds(frame.until) >= believed
        fresh = [frame_id for frame_id, (_, last, _) in self.acknowledged.items() if int(str(last)) >= cutoff]
        lost = [frame_id not in held for frame_id in fresh]
        if self.disk_mib > 1:
            assert not any(lost)
        assert lost == sorted(lost, reverse=True)  # of what is young enough, the first to arrive are the first to go

    @precondition(lambda self: self.bench.window is not None)
    @invariant()
    def bounds_hold(self) -> None:
        assert self.bench.window is not None
        status = self.bench.window.status()
        assert self.bench.disk() <= self.disk_mib * MIB
        assert status.disk_bytes == self.bench.disk()
        assert status.memory_bytes <= 4 * MIB
        assert status.damaged == 0

    def teardown(self) -> None:
        self.bench.close()
        self._temporary.cleanup()


Window.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_limits = Window.TestCase
