"""The seam of the strip welder, seen from above; it runs down the picture, the strip across it."""

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
    blob,
    box,
    disc,
    fractal,
    glow,
    jitter,
    pick,
    plain,
    polygon,
    shade,
    smooth_noise,
)

Quality = Literal["good", "porosity", "misaligned", "burn-through"]


def seam(rng: np.random.Generator, quality: Quality) -> Scene:
    """Two strip ends joined by a bead: sound, with pores, with the ends offset, or burnt through."""
    x = WIDTH / 2 + rng.uniform(-40, 40)
    top, bottom = rng.uniform(60, 115), rng.uniform(330, 400)
    offset = rng.uniform(-2, 2)
    if quality == "misaligned":
        offset = rng.choice([-1, 1]) * rng.uniform(24, 48)
    canvas = shade(plain(pick(rng, [(0.13, 0.13, 0.14), (0.20, 0.17, 0.15), (0.10, 0.13, 0.16)])), 0.6 + fractal(rng))
    steel = pick(rng, [(0.60, 0.61, 0.63), (0.52, 0.54, 0.57), (0.62, 0.60, 0.56)])
    canvas = _sheet(canvas, rng, steel, -9, x, top - offset / 2, bottom - offset / 2)
    canvas = _sheet(canvas, rng, steel, x, WIDTH + 9, top + offset / 2, bottom + offset / 2)
    half = rng.uniform(11, 18)
    wander = (smooth_noise(rng, (7, 1)) - 0.5) * 8
    bead_x = x + wander
    if quality == "misaligned":
        step = rng.choice([-1, 1])
        canvas = shade(canvas, 1 - 0.75 * box(min(x, x + step * 16), top, max(x, x + step * 16), bottom, 3))
        bead_x = bead_x - np.float32(step * rng.uniform(8, 18))
        half *= rng.uniform(0.7, 0.9)
    inside = box(-9, top + abs(offset) / 2 + 1, WIDTH + 9, bottom - abs(offset) / 2 - 1, 1)
    canvas = _heat_tint(canvas, rng, bead_x, half, inside)
    canvas = _bead(canvas, rng, bead_x, half, inside)
    if quality == "porosity":
        canvas = _pores(canvas, rng, x, half, (top + 14, bottom - 14))
    elif quality == "burn-through":
        canvas = _holes(canvas, rng, x, half, (top + 50, bottom - 50))
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(3, 14))):  # spatter
            sx, sy = x + rng.normal(0, 60), rng.uniform(top + 8, bottom - 8)
            canvas = blend(canvas, (0.88, 0.86, 0.82), 0.7 * disc(sx, sy, rng.uniform(1, 2.5)))
    return Scene(canvas)


def _sheet(
    canvas: Array,
    rng: np.random.Generator,
    steel: tuple[float, float, float],
    left: float,
    right: float,
    top: float,
    bottom: float,
) -> Array:
    streaks = smooth_noise(rng, (HEIGHT // 3, 3))
    light = 0.92 + 0.2 * (streaks - 0.5) + 0.3 * (fractal(rng, (2, 3), 2) - 0.5)
    canvas = blend(canvas, shade(plain(jitter(rng, steel, 0.02)), light), box(left, top, right, bottom))
    return blend(canvas, (0.85, 0.86, 0.88), 0.4 * box(left, top, right, top + 2.5))


def _heat_tint(canvas: Array, rng: np.random.Generator, x: Array, half: float, inside: Array) -> Array:
    distance = np.abs(COLUMNS - x)
    reach = rng.uniform(10, 26)
    for colour, centre, strength in (
        ((0.62, 0.48, 0.22), 1.0, 0.5),
        ((0.35, 0.22, 0.30), 0.45, 0.4),
        ((0.20, 0.26, 0.48), 0.1, 0.4),
    ):
        band = np.exp(-(((distance - half - reach * centre) / (reach * 0.5)) ** 2))
        canvas = blend(canvas, colour, strength * rng.uniform(0.4, 1.0) * band * inside)
    return canvas


def _bead(canvas: Array, rng: np.random.Generator, x: Array, half: float, inside: Array) -> Array:
    across = (COLUMNS - x) / np.float32(half)
    pitch = rng.uniform(7, 13)
    ripple = np.sin((ROWS + np.float32(half) * 0.8 * across**2) * (2 * np.pi / pitch))
    light = 0.62 + 0.16 * ripple + 0.22 * np.clip(1 - (across + 0.35) ** 2, 0, 1) - 0.18 * np.abs(across) ** 3
    grain = 0.9 + 0.2 * fractal(rng, (20, 20), 2)
    tone = np.float32(pick(rng, [(1.0, 0.99, 0.97), (0.92, 0.95, 1.0), (1.0, 0.94, 0.86)]))
    mask = np.clip((1 - np.abs(across)) * half * 0.8, 0, 1) * inside
    return blend(canvas, (light * grain)[..., None].astype(np.float32) * tone, mask)


def _pores(canvas: Array, rng: np.random.Generator, x: float, half: float, span: tuple[float, float]) -> Array:
    for _ in range(int(rng.integers(9, 30))):
        px, py = x + rng.uniform(-0.75, 0.75) * half, rng.uniform(*span)
        r = rng.uniform(2.2, 5.5)
        canvas = blend(canvas, (0.90, 0.90, 0.88), 0.5 * disc(px + 0.8, py + 1.0, r + 1.5))
        canvas = blend(canvas, (0.04, 0.04, 0.04), 0.95 * disc(px, py, r))
    return canvas


def _holes(canvas: Array, rng: np.random.Generator, x: float, half: float, span: tuple[float, float]) -> Array:
    count = int(rng.integers(1, 4))
    places = np.linspace(span[0], span[1], count + 2)[1:-1] + rng.uniform(-25, 25, count)
    backlit = rng.random() < 0.35
    for y in places:
        px, r = x + rng.uniform(-8, 8), half * rng.uniform(1.1, 2.2)
        soot = glow(px, float(y), r * rng.uniform(2.0, 2.8), r * rng.uniform(2.0, 2.8))
        canvas = blend(canvas, (0.12, 0.09, 0.07), rng.uniform(0.5, 0.8) * soot)
        rim = polygon(blob(rng, px, float(y), r * 1.22, 0.2), 1.5)
        canvas = blend(canvas, jitter(rng, (0.55, 0.42, 0.30)), rim)
        opening = polygon(blob(rng, px, float(y), r, 0.25), 0.8)
        canvas = blend(canvas, (1.0, 0.85, 0.5) if backlit else (0.02, 0.02, 0.02), opening)
    return canvas
