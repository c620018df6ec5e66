"""The rolling window under a stream of camera frames: memory and disk over time, adding, searching, opening.

1. Ten minutes of a simulated clock, 10 frames/s from each camera, into a window whose bytes run out on the way: what it
   holds is printed every simulated minute, and must not grow once it is full.
2. What `add` takes: frames that are kept and frames that are collapsed, under either sync mode, alone and from many
   cameras at once. Wall time, with the disk that the window lies on.
3. Opening and searching a window of 200 000 records.

Frames are rendered by the demo plant and encoded by its joint encoder; a camera's scene stays for about two seconds, in
which every frame differs by shift, light, noise and JPEG.

    python -m benchmarks.window [--folder FOLDER] [--minutes 10] [--cameras 4] [--records 200000]
        [--parts stream add search]
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.report import table
from demo.render_frames import HELD_OUT, LABELS, render_frame
from edge.window import Collapsed, FrameIn, RollingWindow, WindowSettings
from edge.window.bucket import Made
from edge.window.bucket_writer import BucketWriter
from edge.window.codes import VectorCodes
from edge.window.folder import WindowFolder
from edge.window.frames import Vector, moment
from lineside.encoders import load_joint_encoder
from lineside.local import lineside_home
from lineside.shards.images import thumbnail

KEY = bytes(range(32))
MIB = 1 << 20
FRAMES_PER_S = 10
VARIANTS = 6
SCENES_PER_LABEL = 2
PARTS = ("stream", "add", "search")


@dataclass(frozen=True)
class Picture:
    image: bytes
    vector: Vector


Scene = list[Picture]


@dataclass
class SimulatedClock:
    seconds: float = 1_760_000_000.0


def jittered(image: Image.Image, rng: np.random.Generator) -> bytes:
    """The next frame of a camera that stands still: shift by a pixel, 2 % light, noise of 3 levels, JPEG."""
    shifted = np.roll(np.asarray(image, np.float32), rng.integers(-1, 2, 2), (0, 1))
    pixels = shifted * (1 + rng.normal(0, 0.02)) + rng.normal(0, 3, shifted.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def scenes(model: Path) -> tuple[list[Scene], str]:
    """Every label's scenes, each as several frames of it, with their vectors; and the encoder's fingerprint."""
    encoder = load_joint_encoder(model)
    rng = np.random.default_rng(7)
    found = []
    for label in LABELS:
        for number in range(SCENES_PER_LABEL):
            rendered = render_frame(label, HELD_OUT.start + number)
            images = [jittered(rendered, rng) for _ in range(VARIANTS)]
            vectors = encoder.encode_images([Image.open(io.BytesIO(image)) for image in images])
            found.append([Picture(image, vector) for image, vector in zip(images, vectors, strict=True)])
    return found, encoder.fingerprint


def stream(pool: Sequence[Scene], cameras: int, seconds: float, clock: SimulatedClock) -> Iterator[FrameIn]:
    """Frames of all cameras in the order of their time; the clock goes with them."""
    rng = np.random.default_rng(11)
    shown = [int(n) for n in rng.integers(len(pool), size=cameras)]
    for _ in range(int(seconds * FRAMES_PER_S)):
        for camera in range(cameras):
            if rng.random() < 0.5 / FRAMES_PER_S:
                shown[camera] = int(rng.integers(len(pool)))
            picture = pool[shown[camera]][int(rng.integers(VARIANTS))]
            yield FrameIn(f"CAM-{camera}", moment(int(clock.seconds * 1e6)), picture.image, picture.vector)
        clock.seconds += 1 / FRAMES_PER_S


def open_window(
    folder: Path, fingerprint: str, dimension: int, clock: SimulatedClock, **values: object
) -> RollingWindow:
    def now() -> float:
        return clock.seconds

    settings = WindowSettings.model_validate(values)
    return RollingWindow(WindowFolder(folder), settings, KEY, dimension, fingerprint, wall=now, monotonic=now)


def flat_when_full(
    folder: Path, pool: Sequence[Scene], fingerprint: str, cameras: int, minutes: int, disk_mib: float
) -> None:
    clock = SimulatedClock()
    window = open_window(
        folder, fingerprint, len(pool[0][0].vector), clock,
        max_disk_mib=disk_mib, max_memory_mib=64, bucket_minutes=1, sync="process",
    )  # fmt: skip
    process, rows, kept, collapsed = psutil.Process(), [], 0, 0
    next_minute = clock.seconds + 60
    began, last_camera = clock.seconds, f"CAM-{cameras - 1}"
    for frame in stream(pool, cameras, minutes * 60, clock):
        if isinstance(window.add(frame), Collapsed):
            collapsed += 1
        else:
            kept += 1
        if clock.seconds >= next_minute - 1.5 / FRAMES_PER_S and frame.camera == last_camera:
            next_minute += 60
            status = window.status()
            on_disk = sum(path.stat().st_size for path in folder.iterdir())
            span = (
                0.0 if status.since is None or status.until is None else (status.until - status.since).total_seconds()
            )
            rows.append(
                (
                    f"{(clock.seconds - began) / 60:.0f}",
                    status.bounded_by,
                    f"{kept + collapsed}",
                    f"{kept}",
                    f"{status.records}",
                    f"{span:.0f}",
                    f"{status.buckets}",
                    f"{on_disk / MIB:.2f}",
                    f"{status.memory_bytes / MIB:.2f}",
                    f"{process.memory_info().rss / MIB:.0f}",
                )
            )
    print(
        f"\n{cameras} cameras, {FRAMES_PER_S} frames/s each, {minutes} simulated minutes, "
        f"at most {disk_mib:g} MiB on disk"
    )
    head = ("minute", "bound", "frames", "kept", "held", "span s", "buckets", "disk MiB", "window MiB", "RSS MiB")
    print(table(head, rows))
    status = window.status()
    print(
        f"collapsed {collapsed / (kept + collapsed):.1%} of the frames; "
        f"on disk {status.disk_bytes / status.records:.0f} B a record, "
        f"{status.disk_bytes / status.frames:.0f} B a frame"
    )
    window.close()


def adding(folder: Path, pool: Sequence[Scene], fingerprint: str, disk_mib: float = 512) -> None:
    rows = []
    for sync in ("process", "fsync"):
        for commit_ms in (0, 10) if sync == "fsync" else (0,):
            for cameras in (1, 16):
                clock = SimulatedClock()
                name = f"{sync}-{commit_ms}-{cameras}"
                window = open_window(
                    folder / name, fingerprint, len(pool[0][0].vector), clock,
                    max_disk_mib=disk_mib, sync=sync, commit_ms=commit_ms,
                )  # fmt: skip
                for what, same in (("kept", False), ("collapsed", True)):
                    each = max(40, 400 // cameras)
                    spent, elapsed = _added(window, pool, clock, cameras, each, same=same)
                    rows.append(
                        (
                            sync, str(commit_ms), what, str(cameras), f"{np.percentile(spent, 50) * 1e3:.2f}",
                            f"{np.percentile(spent, 95) * 1e3:.2f}", f"{len(spent) / elapsed:.0f}",
                        )
                    )  # fmt: skip
                window.close()
    print("\nadd, closed loop: every camera sends its next frame when the last is durable")
    print(table(("sync", "commit ms", "frames", "cameras", "p50 ms", "p95 ms", "frames/s"), rows))


def _added(
    window: RollingWindow, pool: Sequence[Scene], clock: SimulatedClock, cameras: int, each: int, *, same: bool
) -> tuple[list[float], float]:
    """Seconds of every add, and of all together."""

    def camera(number: int) -> list[float]:
        spent = []
        for place in range(each + 1):
            scene = pool[(number if same else number + place) % len(pool)]
            time_us = int(clock.seconds * 1e6) + place * 1_000
            frame = FrameIn(f"CAM-{number}-{same}", moment(time_us), scene[0].image, scene[0].vector)
            started = time.perf_counter()
            window.add(frame)
            spent.append(time.perf_counter() - started)
        return spent[1:]

    started = time.perf_counter()
    with ThreadPoolExecutor(cameras) as threads:
        spent = [value for values in threads.map(camera, range(cameras)) for value in values]
    return spent, time.perf_counter() - started


def searching(folder: Path, pool: Sequence[Scene], fingerprint: str, records: int, cameras: int) -> None:
    """Writes a window of 48 h without decoding each image anew, then opens and searches it."""
    clock = SimulatedClock()
    dimension = len(pool[0][0].vector)
    codes, rng = VectorCodes(dimension), np.random.default_rng(3)
    start = clock.seconds - 47.9 * 3_600
    thumbnails = [thumbnail(s[0].image, max_px=256, quality=60, max_pixels=10**8) for s in pool]
    buckets = 96
    began = time.perf_counter()
    folder.mkdir()
    written = 0
    for sequence in range(1, buckets + 1):
        first = start + (sequence - 1) * 1_795
        writer = BucketWriter(
            folder, sequence, KEY, Made(fingerprint, dimension, int((first + 1_800) * 1e6)), codes, durable=False
        )
        for place in range(records * sequence // buckets - written):
            number = int(rng.integers(len(pool)))
            vector = pool[number][0].vector + 0.02 * rng.standard_normal(dimension).astype(np.float32)
            code = codes.encode(codes.turned(vector))
            time_us = int((first + place * 1_795 * buckets / records) * 1e6)
            writer.add(time_us, f"CAM-{place % cameras}", (), code, thumbnails[number])
        written = records * sequence // buckets
        writer.finish()
    print(f"\nwrote {records} records over 48 h in {time.perf_counter() - began:.1f} s")
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    window = open_window(folder, fingerprint, dimension, clock, max_disk_mib=8_192, max_memory_mib=512, clock_hold_s=0)
    opened_s = time.perf_counter() - began
    status = window.status()
    print(
        f"opened in {opened_s:.2f} s; {status.records} records, {status.memory_bytes / status.records:.0f} B each in "
        f"memory ({status.memory_bytes / MIB:.0f} MiB; RSS grew by "
        f"{(psutil.Process().memory_info().rss - before) / MIB:.0f} MiB), "
        f"{status.disk_bytes / status.records:.0f} B on disk"
    )
    if status.since is None or status.until is None:
        raise SystemExit("the window is empty")
    end = status.until
    queries = [scene[1].vector for scene in pool]
    searches: dict[str, Callable[[Vector], object]] = {
        "all cameras, 48 h": lambda q: window.search(q, k=8),
        "all, near-equal ones folded": lambda q: window.search(q, k=2, duplicate_cosine=0.995),
        "one camera, 48 h": lambda q: window.search(q, cameras=["CAM-1"], k=8),
        "all cameras, last 10 minutes": lambda q: window.search(q, time_from=end - timedelta(minutes=10), k=8),
        "listing, last 10 minutes": lambda q: window.latest(time_from=end - timedelta(minutes=10), k=8),
        "thumbnail": lambda q: window.image(first_id),
    }
    first_id = window.search(queries[0], k=1)[0].id
    rows = []
    for name, search in searches.items():
        spent = []
        for query in queries * 2:
            started = time.perf_counter()
            search(query)
            spent.append((time.perf_counter() - started) * 1e3)
        rows.append((name, "", *(f"{np.percentile(spent, p):.2f}" for p in (50, 95))))
    print(table(("search", "", "p50 ms", "p95 ms"), rows))
    window.close()


def code_error(pool: Sequence[Scene]) -> None:
    """What int8 costs: cosines between frames, by codes and exactly."""
    codes = VectorCodes(len(pool[0][0].vector))
    vectors = np.array([scene[0].vector for scene in pool])
    turned = np.array([codes.turned(v) for v in vectors])
    decoded = codes.decode(codes.encode(turned))
    fidelity = (decoded * turned).sum(axis=1) / np.linalg.norm(decoded, axis=1)
    error = np.abs(decoded @ decoded.T - vectors @ vectors.T)
    print(
        f"int8: cosine of a code to its vector at least {fidelity.min():.5f}; "
        f"cosines between frames off by {error.mean():.4f} on average, {error.max():.4f} at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=None, help="a folder on the disk to measure; temporary otherwise"
    )
    parser.add_argument("--model", type=Path, default=None, help="the joint encoder; the demo's otherwise")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--disk-mib", type=float, default=2.5)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    pool, fingerprint = scenes(arguments.model or lineside_home() / "models" / "joint-demo")
    code_error(pool)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        if "stream" in arguments.parts:
            flat_when_full(
                folder / "stream", pool, fingerprint, arguments.cameras, arguments.minutes, arguments.disk_mib
            )
        if "add" in arguments.parts:
            adding(folder, pool, fingerprint)
        if "search" in arguments.parts:
            searching(folder / "large", pool, fingerprint, arguments.records, arguments.cameras)


if __name__ == "__main__":
    main()
