"""A small plant on disk and encoders that start at once."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from index_builder.build import BuildReport, build_release
from index_builder.encode import Encoders, Rows
from index_builder.settings import BuildSettings, JobSettings, ModelSettings
from lineside.encoders import JointEncoder, Runtime, TextEncoder, load_joint_encoder, load_text_encoder
from lineside.releases import Catalogue
from tests.encoders.models import save_clip, save_tiny_vit, tiny_clip_config

# The production engine: only with it a vector has the same bits in whatever batch it is encoded.
REFERENCE = Runtime(engine="openvino", dtype="float32", max_batch=4)

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
def text(models_dir: Path) -> ModelSettings:
    return ModelSettings(folder=models_dir / "minilm", runtime=REFERENCE)


@pytest.fixture(scope="session")
def joint(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    """CLIP with random weights."""
    folder = save_clip(tmp_path_factory.mktemp("m") / "clip", tiny_clip_config())
    return ModelSettings(folder=folder, runtime=REFERENCE)


@pytest.fixture(scope="session")
def vision(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    """A backbone without text tower."""
    return ModelSettings(folder=save_tiny_vit(tmp_path_factory.mktemp("m") / "vit"), runtime=REFERENCE)


@pytest.fixture(scope="session")
def text_encoder(text: ModelSettings) -> TextEncoder:
    return load_text_encoder(text.folder, runtime=REFERENCE)


@pytest.fixture(scope="session")
def joint_encoder(joint: ModelSettings) -> JointEncoder:
    return load_joint_encoder(joint.folder, runtime=REFERENCE)


@pytest.fixture(scope="session")
def vision_encoder(vision: ModelSettings) -> JointEncoder:
    return load_joint_encoder(vision.folder, runtime=REFERENCE)


@dataclass
class Plant:
    """A source, a store, and loaded encoders that count what they are given."""

    source: Path
    store: Path
    text: ModelSettings
    joint: ModelSettings | None
    encoders: CountingEncoders
    settings: BuildSettings = field(default_factory=BuildSettings)

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.store)

    def job(self, **changes: Any) -> JobSettings:
        return JobSettings(
            source=str(self.source),
            store=str(self.store),
            text=self.text,
            joint=self.joint,
            build=self.settings,
            **changes,
        )

    def build(self, *, isolated: bool = False, note: str = "") -> BuildReport:
        return build_release(
            self.source,
            self.catalogue,
            self.text,
            self.joint,
            settings=self.settings,
            encoders=self.encoders,
            isolated=isolated,
            note=note,
        )


class CountingEncoders(Encoders):
    """Remembers every text and image that was encoded, by space; the probes of empty spaces left out."""

    def __init__(self, text: TextEncoder, joint: JointEncoder | None) -> None:
        super().__init__(cast(JobSettings, None), text, joint)
        self.seen: Counter[tuple[str, object]] = Counter()

    def texts(self, texts: Sequence[str], *, joint: bool) -> Rows:
        if texts != ["probe"]:
            self.seen.update(("joint" if joint else "text", text) for text in texts)
        return super().texts(texts, joint=joint)

    def images(self, images: Sequence[bytes]) -> tuple[Rows, list[int]]:
        self.seen.update(("image", image) for image in images)
        return super().images(images)

    @property
    def joint(self) -> JointEncoder:
        assert self._joint is not None
        return self._joint


@pytest.fixture
def plant(
    tmp_path: Path, text: ModelSettings, joint: ModelSettings, text_encoder: TextEncoder, joint_encoder: JointEncoder
) -> Plant:
    """The small plant, not yet indexed, in folders of the test's own."""
    source = write_plant(tmp_path / "source")
    return Plant(source, tmp_path / "store", text, joint, CountingEncoders(text_encoder, joint_encoder))
