"""A burner of the reheating furnace, seen through a peep hole in the opposite wall."""

from __future__ import annotations

from typing import Literal

import numpy as np

from demo.scenes.canvas import (
    COLUMNS,
    HEIGHT,
    ROWS,
    WIDTH,
    Array,
    Scene,
    blend,
    box,
    disc,
    fractal,
    glow,
    jitter,
    plain,
    shade,
    stroke,
)

Flame = Literal["normal", "yellow", "out"]


def burner(rng: np.random.Generator, flame: Flame) -> Scene:
    """The burner quarl in its brick wall with a crisp blue flame, a long sooty yellow one, or none."""
    x, y, radius = rng.uniform(105, 160), HEIGHT / 2 + rng.uniform(-35, 35), rng.uniform(44, 62)
    canvas = _brick_wall(rng)
    heat = rng.uniform(0.15, 0.5) if flame != "out" else rng.uniform(0.02, 0.4)
    canvas = canvas + np.float32([1.0, 0.42, 0.12]) * (heat * (0.5 + 0.7 * fractal(rng, (2, 3), 2)))[..., None]
    if rng.random() < 0.45:  # a hot slab on the beams passes below the burner
        top = rng.uniform(330, 365)
        canvas = blend(canvas, jitter(rng, (0.95, 0.45, 0.15)), 0.9 * box(-5, top, WIDTH + 5, top + 70, 3))
    canvas = blend(canvas, jitter(rng, (0.50, 0.42, 0.36)), disc(x, y, radius + 17))
    canvas = blend(canvas, (0.16, 0.11, 0.09), disc(x, y, radius, edge=6))
    canvas = blend(canvas, (0.06, 0.05, 0.05), disc(x, y, radius * 0.55, edge=4))
    canvas = blend(canvas, (0.45, 0.45, 0.47), 0.8 * disc(x, y, radius * 0.25, edge=3))
    if flame == "normal":
        canvas = _blue_flame(canvas, rng, x, y, radius)
    elif flame == "yellow":
        canvas = _yellow_flame(canvas, rng, x, y, radius)
    else:
        canvas = _no_flame(canvas, rng, x, y, radius)
    if rng.random() < 0.4:
        canvas = shade(canvas, 0.12 + 0.88 * disc(WIDTH / 2, HEIGHT / 2, rng.uniform(225, 265), edge=14))
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1].copy()
    return Scene(canvas)


def _brick_wall(rng: np.random.Generator) -> Array:
    canvas = plain(jitter(rng, (0.34, 0.22, 0.16), 0.15))
    height, width = rng.uniform(26, 40), rng.uniform(60, 90)
    row = np.floor(ROWS / height)
    joints = ((ROWS % height) < 2.5) | (((COLUMNS + (row % 2) * width / 2) % width) < 2.5)
    canvas = shade(canvas, np.where(joints, 0.55, 1.0).astype(np.float32))
    return shade(canvas, 0.65 + 0.7 * fractal(rng, (6, 8)))


def _jet(rng: np.random.Generator, x: float, y: float, length: float, root: float, tip: float, lift: float) -> Array:
    """How far along (0..1, beyond 1 outside) and across a jet that leaves the quarl; (2, H, W)."""
    along = (COLUMNS - np.float32(x)) / np.float32(length)
    sway = np.float32(rng.uniform(6, 14)) * np.sin(along * rng.uniform(4, 8) + rng.uniform(0, 6)) * np.clip(along, 0, 1)
    centre = np.float32(y) - np.float32(lift) * np.clip(along, 0, 2) ** 2 + sway
    half = np.float32(root) + np.float32(tip - root) * np.clip(along, 0, 1)
    return np.stack(np.broadcast_arrays(along, (ROWS - centre) / half))


def _blue_flame(canvas: Array, rng: np.random.Generator, x: float, y: float, radius: float) -> Array:
    length = rng.uniform(190, 300)
    along, across = _jet(rng, x, y, length, radius * 0.45, radius * rng.uniform(0.6, 0.9), rng.uniform(-5, 12))
    inside = (along > 0) * np.clip(1.25 - along, 0, 1) * np.exp(-(across**2))
    body = np.clip(inside * (0.75 + 0.5 * fractal(rng, (5, 9), 3)), 0, 1)
    canvas = blend(canvas, jitter(rng, (0.16, 0.36, 0.98), 0.06), np.clip(body * 1.15, 0, 0.95))
    core = (along > 0) * np.clip(1 - along / 0.45, 0, 1) * np.exp(-((across * 2.2) ** 2))
    canvas = blend(canvas, jitter(rng, (0.68, 0.88, 1.0), 0.03), np.clip(core, 0, 0.95))
    tip = np.exp(-(((along - 1) / 0.25) ** 2) - across**2) * rng.uniform(0, 0.35)
    return blend(canvas, (0.8, 0.5, 0.75), tip)


def _yellow_flame(canvas: Array, rng: np.random.Generator, x: float, y: float, radius: float) -> Array:
    length = rng.uniform(300, 430)
    along, across = _jet(rng, x, y, length, radius * 0.6, radius * rng.uniform(1.4, 2.1), rng.uniform(20, 90))
    ragged = fractal(rng, (6, 8), 4)
    inside = (along > -0.02) * np.clip(1.35 - along, 0, 1) * np.exp(-(across**2))
    body = np.clip((inside * 1.5 + ragged - 0.85) * 2.2, 0, 1)
    smoke = np.clip(np.exp(-((across + 0.9) ** 2)) * (along > 0.25) * fractal(rng, (4, 6), 4) - 0.2, 0, 1)
    canvas = blend(canvas, (0.07, 0.06, 0.06), smoke * rng.uniform(0.5, 1.0))
    canvas = blend(canvas, jitter(rng, (1.0, 0.55, 0.08), 0.05), body * 0.95)
    return blend(canvas, jitter(rng, (1.0, 0.88, 0.35), 0.03), np.clip(body * 1.6 - 0.75, 0, 1) * ragged**0.5)


def _no_flame(canvas: Array, rng: np.random.Generator, x: float, y: float, radius: float) -> Array:
    canvas = blend(canvas, (0.02, 0.02, 0.03), 0.85 * disc(x, y, radius * 0.8, edge=10))
    canvas = blend(canvas, (0.5, 0.5, 0.52), 0.7 * disc(x, y, radius * 0.22, edge=2))
    if rng.random() < 0.6:  # the igniter's rod shows when nothing burns before it
        rod = [(x - radius * 0.6, y - radius * 0.7), (x + radius * 0.1, y - radius * 0.1)]
        canvas = blend(canvas, (0.55, 0.55, 0.55), stroke(rod, 5))
    if rng.random() < 0.4:
        canvas = blend(canvas, (0.5, 0.5, 0.5), 0.18 * glow(x + 90, y - 30, 110, 60) * fractal(rng))
    return canvas
