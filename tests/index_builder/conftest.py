"""A small plant on disk and encoders that start at once."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lineside.encoders import JointEncoder, Runtime, TextEncoder, load_joint_encoder, load_text_encoder
from tests.encoders.models import save_clip, save_tiny_vit, tiny_clip_config

REFERENCE = Runtime(engine="torch", dtype="float32", max_batch=4)

PUMP = """# Pump manual

## Seal leakage

A mechanical seal that drips more than 10 drops a minute is replaced. Use seal kit HX-200/A.

![Cross-section of the seal](seal.png)

## Cavitation

Cavitation sounds like gravel. Raise the suction pressure above 0.6 bar.
"""
DRIVE = """# Drive manual

## Bearing temperature

The bearing alarm is raised at 95 °C. Grease the bearing every 2000 h.
"""


def picture(seed: int, width: int = 48, height: int = 32) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height))


def write_plant(root: Path) -> Path:
    """Two families: two manuals, one figure, six labelled frames."""
    for family, text in (("pump", PUMP), ("drive", DRIVE)):
        (root / family).mkdir(parents=True)
        (root / family / "manual.md").write_text(text, encoding="utf-8")
    picture(1).save(root / "pump" / "seal.png")
    frames = root / "frames" / "pump"
    frames.mkdir(parents=True)
    with (frames / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label", "caption"])
        for n in range(6):
            picture(10 + n).save(frames / f"cam1-{n}.png")
            label, caption = ("leak", "A leak below the seal") if n % 2 else ("dry", "A dry pump")
            table.writerow([f"cam1-{n}.png", label, caption])
    return root


@pytest.fixture(scope="session")
def text(models_dir: Path) -> TextEncoder:
    return load_text_encoder(models_dir / "minilm", runtime=REFERENCE)


@pytest.fixture(scope="session")
def joint(tmp_path_factory: pytest.TempPathFactory) -> JointEncoder:
    """CLIP with random weights."""
    return load_joint_encoder(save_clip(tmp_path_factory.mktemp("m") / "clip", tiny_clip_config()), runtime=REFERENCE)


@pytest.fixture(scope="session")
def vision(tmp_path_factory: pytest.TempPathFactory) -> JointEncoder:
    """A backbone without text tower."""
    return load_joint_encoder(save_tiny_vit(tmp_path_factory.mktemp("m") / "vit"), runtime=REFERENCE)
