"""The strip's surface behind a rolling stand, seen from above; it runs along the picture's x axis."""

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
    stroke,
)

Defect = Literal["clean", "scratches", "scale", "edge-crack"]


def strip(rng: np.random.Generator, defect: Defect) -> Scene:
    """Rolled strip between its table rollers: sound, scratched, with rolled-in scale, or cracked at an edge."""
    top, bottom = rng.uniform(70, 125), rng.uniform(315, 400)
    canvas = _roller_table(rng)
    canvas = blend(canvas, (0.05, 0.05, 0.05), 0.6 * box(-9, top + 8, WIDTH + 9, bottom + 12, 7))
    canvas = blend(canvas, _metal(rng), box(-9, top, WIDTH + 9, bottom, 0.8))
    canvas = blend(canvas, (0.85, 0.86, 0.88), 0.5 * box(-9, top, WIDTH + 9, top + 2.5, 0.8))
    canvas = _water_and_light(canvas, rng, top, bottom)
    if defect == "scratches":
        canvas = _scratches(canvas, rng, top, bottom)
    elif defect == "scale":
        canvas = _scale(canvas, rng, top, bottom)
    elif defect == "edge-crack":
        canvas = _edge_cracks(canvas, rng, top, bottom)
    if rng.random() < 0.5:
        canvas = canvas[::-1].copy()
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1].copy()
    return Scene(canvas)


def _roller_table(rng: np.random.Generator) -> Array:
    canvas = shade(plain(pick(rng, [(0.16, 0.16, 0.17), (0.22, 0.19, 0.16), (0.12, 0.14, 0.16)])), 0.7 + fractal(rng))
    pitch, width = rng.uniform(70, 120), rng.uniform(26, 44)
    phase = ((COLUMNS + rng.uniform(0, pitch)) % pitch) / np.float32(width)
    roller = np.where(phase < 1, np.sin(np.pi * np.clip(phase, 0, 1)), 0).astype(np.float32)
    return blend(canvas, jitter(rng, (0.48, 0.46, 0.44)), np.broadcast_to(roller * 0.8, (HEIGHT, WIDTH)))


def _metal(rng: np.random.Generator) -> Array:
    """Brushed steel: streaks along the rolling direction, a broad reflection, some tint."""
    base = pick(rng, [(0.58, 0.59, 0.61), (0.50, 0.52, 0.56), (0.60, 0.57, 0.53), (0.46, 0.46, 0.47)])
    streaks = smooth_noise(rng, (HEIGHT // 3, 3)) * 0.5 + smooth_noise(rng, (HEIGHT // 10, 2)) * 0.5
    brightness = 1 + (streaks - 0.5) * rng.uniform(0.12, 0.3) + (fractal(rng, (2, 3), 2) - 0.5) * 0.3
    sheen = np.exp(-(((ROWS - rng.uniform(100, 330)) / rng.uniform(30, 90)) ** 2)) * rng.uniform(0, 0.3)
    chatter = 1 + rng.uniform(0, 0.03) * np.sin(COLUMNS * rng.uniform(0.15, 0.4))
    return shade(plain(base), (brightness + sheen) * chatter)


def _water_and_light(canvas: Array, rng: np.random.Generator, top: float, bottom: float) -> Array:
    """What a sound strip shows too: drops of cooling water, faint stains, a lamp's reflection."""
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(3, 16))):
            x, y, r = rng.uniform(0, WIDTH), rng.uniform(top + 12, bottom - 12), rng.uniform(2, 6)
            canvas = blend(canvas, (0.75, 0.78, 0.8), 0.35 * disc(x, y, r, 0.7))
            canvas = blend(canvas, (1.0, 1.0, 1.0), 0.7 * disc(x - r * 0.3, y - r * 0.3, r * 0.3))
    if rng.random() < 0.3:
        x, y = rng.uniform(80, 480), rng.uniform(top + 30, bottom - 30)
        canvas = shade(canvas, 1 - 0.14 * glow(x, y, rng.uniform(40, 110), rng.uniform(12, 30)))
    if rng.random() < 0.4:
        x = rng.uniform(60, 500)
        lamp = glow(x, rng.uniform(top, bottom), rng.uniform(12, 40), rng.uniform(60, 200))
        canvas = canvas + 0.28 * (lamp * box(-9, top, WIDTH + 9, bottom))[..., None]
    return canvas


def _scratches(canvas: Array, rng: np.random.Generator, top: float, bottom: float) -> Array:
    slope = rng.uniform(-0.08, 0.08)
    middle = rng.uniform(top + 40, bottom - 40)
    for _ in range(int(rng.integers(4, 12))):
        y = float(np.clip(middle + rng.normal(0, 50), top + 10, bottom - 14))
        x, length = rng.uniform(-60, 320), rng.uniform(150, 480)
        lean = slope + rng.normal(0, 0.012)
        path = [(x + s * length, y + s * length * lean + rng.normal(0, 0.6)) for s in (0, 0.25, 0.5, 0.75, 1)]
        width = rng.uniform(1.6, 4.2)
        mask = stroke(path, width, 0.5) * box(-9, top + 3, WIDTH + 9, bottom - 3)
        bright = rng.random() < 0.65
        canvas = blend(canvas, (0.95, 0.96, 0.97) if bright else (0.13, 0.13, 0.14), rng.uniform(0.55, 0.9) * mask)
        shadow = stroke([(px, py + width * 0.9) for px, py in path], width * 0.7, 0.6)
        canvas = blend(canvas, (0.12, 0.12, 0.13), 0.4 * shadow * box(-9, top + 3, WIDTH + 9, bottom - 3))
    return canvas


def _scale(canvas: Array, rng: np.random.Generator, top: float, bottom: float) -> Array:
    """Rolled-in scale: dark brown flecks stretched along the rolling direction, in patches."""
    flecks = smooth_noise(rng, (HEIGHT // 7, WIDTH // rng.integers(16, 26)))
    flecks = 0.7 * flecks + 0.3 * smooth_noise(rng, (HEIGHT // 3, WIDTH // 8))
    patches = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.uniform(60, 500), rng.uniform(top + 25, bottom - 25)
        patches = np.maximum(patches, glow(x, y, rng.uniform(60, 170), rng.uniform(22, 60)))
    mask = np.clip((flecks - 0.86 + 0.36 * patches) * 14, 0, 1) * np.clip(patches * 4 - 0.5, 0, 1)
    mask = mask * box(-9, top + 3, WIDTH + 9, bottom - 3)
    colour = pick(rng, [(0.17, 0.11, 0.08), (0.10, 0.09, 0.09), (0.24, 0.14, 0.09)])
    return blend(canvas, colour, mask * rng.uniform(0.8, 0.97))


def _edge_cracks(canvas: Array, rng: np.random.Generator, top: float, bottom: float) -> Array:
    """Transverse cracks that open from the strip's edge inwards, and chips broken out between them."""
    upper = rng.random() < 0.6
    edge, inward = (top, 1.0) if upper else (bottom, -1.0)
    x = rng.uniform(70, 160)
    dark = (0.06, 0.06, 0.07)
    while x < 520:
        depth, mouth = rng.uniform(30, 95), rng.uniform(7, 22)
        lean = rng.uniform(-18, 18)
        tip = (x + lean, edge + inward * depth)
        middle_y = edge + inward * depth * 0.5
        wedge = [
            (x - mouth / 2, edge - inward * 4),
            (x + lean * 0.4 - mouth * 0.28 + rng.uniform(-3, 3), middle_y),
            tip,
            (x + lean * 0.5 + mouth * 0.28 + rng.uniform(-3, 3), middle_y),
            (x + mouth / 2, edge - inward * 4),
        ]
        canvas = blend(canvas, dark, 0.95 * polygon(wedge))
        canvas = blend(canvas, dark, 0.8 * stroke([tip, (tip[0] + rng.uniform(-9, 9), tip[1] + inward * 18)], 2))
        if rng.random() < 0.35:
            chip = blob(rng, x + rng.uniform(14, 28), edge, rng.uniform(8, 17), 0.22)
            canvas = blend(canvas, dark, 0.95 * polygon(chip))
        x += rng.uniform(38, 130)
    return canvas
