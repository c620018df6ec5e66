"""A window with a clock that the test sets."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.window import FrameIn, RollingWindow, WindowSettings
from edge.window.folder import WindowFolder
from edge.window.frames import Vector, moment

KEY = bytes(range(32))
DIMENSION = 32
START_S = 1_760_000_000.0


@functools.cache
def image(seed: int = 0, side: int = 48) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((side, side)).save(out, "PNG")
    return out.getvalue()


def vector(seed: int, dimension: int = DIMENSION) -> Vector:
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


@dataclass
class Clock:
    """Seconds; `advance` is time that passes, setting `wall` alone is somebody who sets the clock."""

    wall: float = START_S
    monotonic: float = 100.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    @property
    def now(self) -> datetime:
        return moment(int(self.wall * 1e6))


@dataclass
class Bench:
    """Opens windows in one folder, one after the other."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    window: RollingWindow | None = None

    def open(
        self, *, key: bytes = KEY, fingerprint: str = "joint-1", dimension: int = DIMENSION, **set_: object
    ) -> RollingWindow:
        self.close()
        values = {"sync": "process", "commit_ms": 0, **set_}
        held = WindowFolder(self.folder)
        try:
            self.window = RollingWindow(
                held,
                WindowSettings.model_validate(values),
                key,
                dimension,
                fingerprint,
                wall=lambda: self.clock.wall,
                monotonic=lambda: self.clock.monotonic,
            )
        except BaseException:
            held.close()
            raise
        return self.window

    def close(self) -> None:
        if self.window is not None:
            self.window.close()
            self.window = None

    def disk(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.suffix)

    def files(self, ending: str) -> list[Path]:
        return sorted(self.folder.glob(f"*{ending}"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path / "window")
    yield found
    found.close()


@pytest.fixture
def frame(bench: Bench) -> Callable[..., FrameIn]:
    """A frame of now; `scene` says what it shows."""

    def make(
        camera: str = "CAM-1", scene: int = 0, *, time: datetime | None = None, labels: tuple[str, ...] = ()
    ) -> FrameIn:
        return FrameIn(camera, time or bench.clock.now, image(scene), vector(scene), labels)

    return make
