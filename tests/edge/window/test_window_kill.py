"""kill -9 at random moments of writing: the window always opens, and no frame is lost that was acknowledged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.window import RollingWindow, WindowSettings
from edge.window.frames import microseconds
from tests.edge.window.conftest import DIMENSION, KEY

ROUNDS = 50


@pytest.mark.slow
@pytest.mark.integration
def test_fifty_kills_lose_no_acknowledged_frame(tmp_path: Path) -> None:
    rng = random.Random(19)
    folder = tmp_path / "window"
    acknowledged: dict[str, tuple[int, int]] = {}  # id -> last time, count
    rounds_with_frames, longest_s = 0, 0.2
    with writers(folder) as process:
        for number in range(ROUNDS):
            settings = WindowSettings(
                sync="process" if number % 2 else "fsync",
                commit_ms=1,
                bucket_minutes=0.001,  # a new bucket every 60 ms: kills hit that as well
                thumbnail_px=32,
            )
            lines = killed_after(process, settings, rng.uniform(0, longest_s))
            rounds_with_frames += bool(lines)
            longest_s = min(longest_s * (0.9 if lines else 1.4), 1)  # so that most kills hit writing, on any machine
            for line in lines:
                frame_id, moment_us, count = line.split()
                last, most = acknowledged.get(frame_id, (0, 0))
                acknowledged[frame_id] = (max(last, int(moment_us)), max(most, int(count)))
            window = RollingWindow.open(folder, settings, KEY, DIMENSION, "joint-1")
            held = {f.id: f for f in window.latest(k=1_000_000)}
            status = window.status()
            window.close()
            assert not set(acknowledged) - set(held)
            for frame_id, (last, count) in acknowledged.items():
                assert microseconds(held[frame_id].until) >= last
                assert held[frame_id].count >= count
            assert (status.damaged, status.unreadable_buckets) == (0, 0)
    assert rounds_with_frames > ROUNDS // 2
    assert any(count > 1 for _, count in acknowledged.values())
    window = RollingWindow.open(folder, WindowSettings(), KEY, DIMENSION, "joint-1")
    assert all(window.image(frame_id).data for frame_id in acknowledged)
    window.close()
    assert not list(folder.glob(".writing-*"))


@contextmanager
def writers(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.edge.window.writing", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def killed_after(process: subprocess.Popen[bytes], settings: WindowSettings, seconds: float) -> list[str]:
    """Starts a writer and kills it; gives the lines that it had written until then."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(settings.model_dump_json().encode() + b"\n")
    process.stdin.flush()
    lines = []
    child = None
    while child is None:
        line = process.stdout.readline().decode()
        if line.startswith("pid "):
            child = int(line.split()[1])
        else:
            lines.append(line)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    while (line := process.stdout.readline().decode()) != "killed\n":
        lines.append(line)
    return lines
