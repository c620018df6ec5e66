"""Draws the figures of all manuals, family by family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from demo.drawing import Drawing
from demo.figures import coiler, conveyor, drive, furnace, hydraulics, pump, stand, welder

FIGURES: dict[str, Callable[[], Drawing]] = {
    name: draw
    for family in (furnace, stand, drive, hydraulics, pump, conveyor, welder, coiler)
    for name, draw in family.FIGURES.items()
}


def render_figures(out_dir: Path) -> list[Path]:
    """Draw every figure as `out_dir/<family>/<name>.png`, byte-identical from run to run, and return the paths."""
    return [draw().save(out_dir / name) for name, draw in FIGURES.items()]
