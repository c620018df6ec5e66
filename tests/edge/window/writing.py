"""The writer of the kill test: for every line of input (settings) a new process that adds until it is killed.

The processes are forked from this one, which has loaded everything and done nothing. Three cameras write at once; what
`add` has acknowledged goes to standard output, a line for each frame.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

from edge.window import FrameIn, RollingWindow, WindowSettings
from edge.window.frames import moment
from tests.edge.window.conftest import DIMENSION, KEY, image

_SCENES = np.random.default_rng(3).standard_normal((64, DIMENSION)).astype(np.float32)


def write(folder: Path, settings: WindowSettings, picture: bytes) -> None:
    window = RollingWindow.open(folder, settings, KEY, DIMENSION, "joint-1")

    def camera(number: int) -> None:
        rng = np.random.default_rng([os.getpid(), number])
        while True:
            scene = _SCENES[rng.integers(64)]
            for _ in range(int(rng.integers(1, 6))):  # a scene that stays for a while is collapsed
                microseconds = time.time_ns() // 1_000
                kept = window.add(FrameIn(f"CAM-{number}", moment(microseconds), picture, scene))
                # One write, shorter than a pipe's buffer: it arrives whole or not at all.
                os.write(1, f"{kept.id} {microseconds} {getattr(kept, 'count', 1)}\n".encode())

    for number in range(3):
        threading.Thread(target=camera, args=(number,), daemon=True).start()
    threading.Event().wait()


def main() -> None:
    folder, picture = Path(sys.argv[1]), image()
    for line in sys.stdin:
        settings = WindowSettings.model_validate_json(line)
        child = os.fork()
        if child == 0:
            write(folder, settings, picture)
        os.write(1, f"pid {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"killed\n")


if __name__ == "__main__":
    main()
