"""The figures of all manuals are drawn, and are those the manuals show."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.render_figures import render_figures

KNOWLEDGE = Path(__file__).parents[2] / "demo" / "knowledge"


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("figures")
    return {path.relative_to(out).as_posix(): path for path in render_figures(out)}


def test_exactly_the_figures_that_the_manuals_show_are_drawn(figures: dict[str, Path]) -> None:
    shown = [
        f"{path.parent.name}/{name}"
        for path in KNOWLEDGE.glob("*/*")
        for name in re.findall(r"figures/([\w-]+\.png)", path.read_text(encoding="utf-8"))
    ]
    assert sorted(shown) == sorted(figures)


def test_figures_are_the_same_from_run_to_run(figures: dict[str, Path], tmp_path: Path) -> None:
    for path in render_figures(tmp_path):
        assert path.read_bytes() == figures[path.relative_to(tmp_path).as_posix()].read_bytes()


def test_all_figures_have_one_size(figures: dict[str, Path]) -> None:
    assert {Image.open(path).size for path in figures.values()} == {(640, 400)}


def test_no_two_figures_look_alike(figures: dict[str, Path]) -> None:
    thumbnails = {
        name: np.asarray(Image.open(path).convert("L").resize((64, 40)), np.float32) for name, path in figures.items()
    }
    for one, other in combinations(thumbnails, 2):
        assert np.abs(thumbnails[one] - thumbnails[other]).mean() > 3, (one, other)


def test_nothing_is_drawn_up_to_the_edge(figures: dict[str, Path]) -> None:
    cut_off = set()
    for name, path in figures.items():
        pixels = np.asarray(Image.open(path))
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        if (border != pixels[0, 0]).any():
            cut_off.add(name)
    assert not cut_off
