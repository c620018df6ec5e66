"""Renders the demo plant's labelled camera frames, and writes them as an image folder with `labels.csv`.

`python -m demo.render_frames OUT [--per-label 24]`
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from demo.captions import compose_caption
from demo.scenes import camera, coiler, conveyor, drive, furnace, hydraulics, pump, stand, welder
from demo.scenes.canvas import Scene

Result = TypeVar("Result")

# Seeds of the three sets of frames; disjoint, so that no set holds a frame of another.
TRAIN = range(100_000)
INDEXED = range(100_000, 200_000)
HELD_OUT = range(200_000, 300_000)
FRAMES_PER_LABEL = 24

_SCENES: dict[str, tuple[str, Callable[[np.random.Generator], Scene]]] = {
    "flame-normal": ("furnace", lambda rng: furnace.burner(rng, "normal")),
    "flame-yellow": ("furnace", lambda rng: furnace.burner(rng, "yellow")),
    "flame-out": ("furnace", lambda rng: furnace.burner(rng, "out")),
    "strip-clean": ("stand", lambda rng: stand.strip(rng, "clean")),
    "strip-scratches": ("stand", lambda rng: stand.strip(rng, "scratches")),
    "strip-scale": ("stand", lambda rng: stand.strip(rng, "scale")),
    "strip-edge-crack": ("stand", lambda rng: stand.strip(rng, "edge-crack")),
    "thermal-normal": ("drive", lambda rng: drive.motor(rng, "normal")),
    "thermal-bearing-hot": ("drive", lambda rng: drive.motor(rng, "bearing-hot")),
    "thermal-winding-hot": ("drive", lambda rng: drive.motor(rng, "winding-hot")),
    "gauge-normal": ("hydraulics", lambda rng: hydraulics.gauge(rng, "normal")),
    "gauge-low": ("hydraulics", lambda rng: hydraulics.gauge(rng, "low")),
    "gauge-high": ("hydraulics", lambda rng: hydraulics.gauge(rng, "high")),
    "hose-leak": ("hydraulics", hydraulics.hose_leak),
    "seal-dry": ("pump", lambda rng: pump.seal(rng, leaking=False)),
    "seal-leak": ("pump", lambda rng: pump.seal(rng, leaking=True)),
    "pump-cavitation-bubbles": ("pump", pump.bubbles),
    "belt-centred": ("conveyor", lambda rng: conveyor.belt(rng, "centred")),
    "belt-mistracking": ("conveyor", lambda rng: conveyor.belt(rng, "mistracking")),
    "belt-torn": ("conveyor", lambda rng: conveyor.belt(rng, "torn")),
    "weld-good": ("welder", lambda rng: welder.seam(rng, "good")),
    "weld-porosity": ("welder", lambda rng: welder.seam(rng, "porosity")),
    "weld-misaligned": ("welder", lambda rng: welder.seam(rng, "misaligned")),
    "weld-burn-through": ("welder", lambda rng: welder.seam(rng, "burn-through")),
    "coil-tight": ("coiler", lambda rng: coiler.coil(rng, telescoped=False)),
    "coil-telescoped": ("coiler", lambda rng: coiler.coil(rng, telescoped=True)),
}
LABELS: tuple[str, ...] = tuple(_SCENES)
CAMERAS: dict[str, tuple[str, ...]] = {
    "furnace": ("F1-CAM-N", "F1-CAM-S", "F1-PORT-07"),
    "stand": ("S1-CAM", "S2-CAM", "S3-CAM", "S4-CAM"),
    "drive": ("M1-IR", "M2-IR", "M3-IR", "M4-IR"),
    "hydraulics": ("HYD-1-CAM", "HYD-2-CAM"),
    "pump": ("P-101-CAM", "P-103-CAM", "P-105-CAM"),
    "conveyor": ("CV-1-CAM", "CV-3-CAM", "CV-5-CAM"),
    "welder": ("W1-CAM-A", "W1-CAM-B"),
    "coiler": ("C1-CAM", "C2-CAM"),
}
_FIRST_DAY = datetime(2025, 1, 6, tzinfo=UTC)
_DAYS = 240


@dataclass(frozen=True)
class FrameInfo:
    """What is known about a frame beside its picture; one row of `labels.csv`."""

    file: str
    label: str
    family: str
    camera_id: str
    time: str
    caption: str


def family_of(label: str) -> str:
    """The equipment family a label belongs to. Raises: KeyError for an unknown label."""
    return _SCENES[label][0]


def render_frame(label: str, seed: int, harshness: float = 1.0) -> Image.Image:
    """The frame of `label` that belongs to `seed`: 320 x 240, RGB, always the same.

    `harshness` scales pose, light, blur, noise and occlusion; 1 is what training sees. Raises: KeyError.
    """
    family, draw = _SCENES[label]
    scene = draw(_random(label, seed, "scene"))
    eye = _random(label, seed, "camera")
    overlay = None
    if eye.random() < 0.7:
        when = _taken_at(label, seed).strftime("%Y-%m-%d %H:%M:%S")
        overlay = camera.Overlay(_camera_of(family, label, seed), when)
    return camera.photograph(scene, eye, overlay, harshness)


def caption(label: str, seed: int) -> str:
    """A sentence that says what the frame shows, in varied words. Raises: KeyError."""
    return compose_caption(label, _random(label, seed, "caption"))


def frame_info(label: str, seed: int, number: int) -> FrameInfo:
    """The row of `labels.csv` for the frame, `number` being its running number within the family."""
    family = family_of(label)
    camera_id = _camera_of(family, label, seed)
    return FrameInfo(
        file=f"{camera_id.lower()}-{number:04d}.jpg",
        label=label,
        family=family,
        camera_id=camera_id,
        time=_taken_at(label, seed).isoformat().replace("+00:00", "Z"),
        caption=caption(label, seed),
    )


def plan_frames(per_label: int = FRAMES_PER_LABEL, seed: int = INDEXED.start) -> Iterator[tuple[int, FrameInfo]]:
    """(seed, info) of every frame of a set: per family shuffled, so that numbers tell nothing about labels."""
    for family in CAMERAS:
        labels = [label for label in LABELS if family_of(label) == family]
        members = [(label, seed + offset) for label in labels for offset in range(per_label)]
        order = _random(family, seed, "order").permutation(len(members))
        for number, index in enumerate(order, start=1):
            label, frame_seed = members[int(index)]
            yield frame_seed, frame_info(label, frame_seed, number)


def write_frames(out: Path, per_label: int = FRAMES_PER_LABEL, seed: int = INDEXED.start, processes: int = 1) -> int:
    """Writes `out/<family>/<camera>-<number>.jpg` and `out/<family>/labels.csv`; returns the number of frames.

    Frames of a label use the seeds `seed`, `seed + 1`, ...
    """
    plan = list(plan_frames(per_label, seed))
    rows: dict[str, list[FrameInfo]] = {}
    for _, info in plan:
        rows.setdefault(info.family, []).append(info)
    for family in rows:
        (out / family).mkdir(parents=True, exist_ok=True)
    jobs = [(info.label, frame_seed, out / info.family / info.file) for frame_seed, info in plan]
    for _ in _each(_write_frame, jobs, processes):
        pass
    columns = list(FrameInfo.__dataclass_fields__)
    for family, infos in rows.items():
        with (out / family / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([getattr(info, column) for column in columns] for info in infos)
    return len(plan)


def render_frames(jobs: Sequence[tuple[str, int, float]], processes: int) -> Iterator[Image.Image]:
    """The frames of (label, seed, harshness), in order, rendered by `processes` processes."""
    return _each(render_frame, jobs, processes)


def _each(work: Callable[..., Result], jobs: Sequence[tuple[str, int, Any]], processes: int) -> Iterator[Result]:
    """`work(*job)` for each job, in order."""
    if processes == 1:
        for job in jobs:
            yield work(*job)
        return
    # Spawned, not forked: a caller may already run threads of torch or OpenVINO, which do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, *zip(*jobs, strict=True), chunksize=16)


def _write_frame(label: str, seed: int, path: Path) -> None:
    render_frame(label, seed).save(path, quality=92)


def _random(label: str, seed: int, purpose: str) -> np.random.Generator:
    """Independent streams for what is seen, how it is photographed and what is written about it."""
    digest = hashlib.blake2b(f"{label}/{seed}/{purpose}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _camera_of(family: str, label: str, seed: int) -> str:
    cameras = CAMERAS[family]
    return cameras[int(_random(label, seed, "station").integers(len(cameras)))]


def _taken_at(label: str, seed: int) -> datetime:
    return _FIRST_DAY + timedelta(seconds=int(_random(label, seed, "time").integers(_DAYS * 86_400)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-label", type=int, default=FRAMES_PER_LABEL)
    parser.add_argument("--seed", type=int, default=INDEXED.start, help="seed of the first frame of each label")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    count = write_frames(options.out, options.per_label, options.seed, options.processes)
    print(f"{count} frames of {len(LABELS)} labels in {options.out}")


if __name__ == "__main__":
    main()
