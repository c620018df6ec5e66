"""The shaft seal of a water pump, and the sight glass in its suction line."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from demo.scenes.canvas import (
    COLUMNS,
    HEIGHT,
    WIDTH,
    Array,
    Scene,
    as_mask,
    blend,
    blob,
    box,
    curve,
    disc,
    fractal,
    glow,
    jitter,
    machine_hall,
    pick,
    polygon,
    shade,
    stroke,
)


def seal(rng: np.random.Generator, leaking: bool) -> Scene:
    """Casing, gland plate, shaft and bearing housing; the gland is dry, or water runs and sprays from it."""
    canvas = machine_hall(rng)
    paint = pick(rng, [(0.14, 0.30, 0.52), (0.16, 0.42, 0.34), (0.48, 0.49, 0.50), (0.60, 0.30, 0.14)])
    y, gland = HEIGHT / 2 + rng.uniform(-35, 5), WIDTH / 2 + rng.uniform(-40, 20)
    base = y + rng.uniform(112, 132)
    canvas = blend(
        canvas, pick(rng, [(0.42, 0.41, 0.40), (0.33, 0.34, 0.36)]), box(-9, base + 26, WIDTH + 9, HEIGHT + 9, 3)
    )
    canvas = blend(canvas, (0.28, 0.29, 0.30), box(20, base, WIDTH - 20, base + 28, 1))
    canvas = _painted(canvas, rng, paint, disc(gland - 140, y + 8, rng.uniform(105, 125)))
    canvas = blend(canvas, (0.1, 0.1, 0.1), 0.35 * disc(gland - 140, y + 8, 70) * (1 - disc(gland - 140, y + 8, 66)))
    canvas = _painted(canvas, rng, paint, box(gland - 60, y - 50, gland - 26, y + 50))
    canvas = _painted(canvas, rng, paint, box(gland + 92, y - 58, gland + 250, y + base - y))
    canvas = _steel(canvas, rng, gland - 20, gland + 95, y, rng.uniform(14, 20))
    flange = rng.uniform(42, 56)
    canvas = _steel(canvas, rng, gland - 28, gland - 4, y, flange)
    canvas = _steel(canvas, rng, gland - 4, gland + 16, y, flange * 0.62)
    for side in (-1, 1):
        canvas = blend(
            canvas,
            (0.2, 0.2, 0.2),
            box(gland - 2, y + side * flange * 0.75 - 6, gland + 12, y + side * flange * 0.75 + 6),
        )
    if rng.random() < 0.5:  # the flush line
        path = curve([(gland - 16, y - flange), (gland - 20, y - flange - 50), (gland - 90, y - flange - 70)])
        canvas = blend(canvas, (0.68, 0.60, 0.42), stroke(path, 8))
    canvas = shade(canvas, 0.85 + 0.3 * fractal(rng, (6, 8)))
    if rng.random() < 0.45:  # an old, dry stain is no leak
        stain = polygon([(px, base + 50 + (py - base - 50) * 0.3) for px, py in blob(rng, gland, base + 50, 60)], 5)
        canvas = shade(canvas, 1 - rng.uniform(0.1, 0.3) * stain)
    if leaking:
        canvas = _water(canvas, rng, gland + 6, y + flange * 0.5, base)
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1].copy()
    return Scene(canvas)


def _painted(canvas: Array, rng: np.random.Generator, paint: tuple[float, float, float], mask: Array) -> Array:
    return blend(canvas, jitter(rng, paint, 0.03), mask)


def _steel(canvas: Array, rng: np.random.Generator, left: float, right: float, y: float, half: float) -> Array:
    """A turned part lying along x: bright in the middle, dark towards its outline."""
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    across = np.clip((rows - np.float32(y)) / np.float32(half), -1, 1)
    light = 0.22 + 0.62 * np.clip(1 - (across + 0.3) ** 2, 0, 1) + 0 * COLUMNS
    metal = np.stack([light, light, light * 1.03], axis=-1).astype(np.float32)
    return blend(canvas, metal * np.float32(rng.uniform(0.8, 1.05)), box(left, y - half, right, y + half))


def _water(canvas: Array, rng: np.random.Generator, x: float, y: float, base: float) -> Array:
    white = (0.86, 0.92, 0.97)
    for _ in range(int(rng.integers(3, 9))):
        px = x + rng.uniform(-14, 16)
        drift = rng.uniform(-22, 34)
        run = curve(
            [(px, y - rng.uniform(0, 25)), (px + drift * 0.35, (y + base) / 2), (px + drift, base + rng.uniform(0, 14))]
        )
        canvas = blend(canvas, white, rng.uniform(0.4, 0.8) * stroke(run, rng.uniform(2, 8), 1.2))
    drops = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(drops)
    for _ in range(int(rng.integers(60, 240))):
        angle, distance = rng.uniform(-0.6, 3.4), rng.gamma(2.2, 24)
        px, py = x + distance * np.cos(angle), y + distance * np.sin(angle) * 0.9
        r = rng.uniform(0.8, 2.8)
        draw.ellipse((px - r, py - r, px + r, py + r), fill=int(rng.uniform(120, 255)))
    canvas = blend(canvas, white, 0.85 * as_mask(drops, 0.8))
    canvas = blend(canvas, white, rng.uniform(0.15, 0.4) * glow(x, y, 42, 36))
    floor = base + 40
    corners = [(px, floor + (py - floor) * 0.26) for px, py in blob(rng, x + 15, floor, rng.uniform(110, 185))]
    puddle = polygon(corners, 2.5)
    canvas = blend(canvas, (0.35, 0.45, 0.52), 0.6 * puddle)
    for _ in range(4):
        shine = glow(x + rng.uniform(-80, 90), floor + rng.uniform(-18, 22), rng.uniform(14, 60), rng.uniform(3, 7))
        canvas = blend(canvas, (0.95, 0.98, 1.0), 0.8 * shine * puddle)
    return canvas


def bubbles(rng: np.random.Generator) -> Scene:
    """The sight glass in the suction line full of vapour bubbles: the pump cavitates."""
    canvas = machine_hall(rng)
    x, y, radius = WIDTH / 2 + rng.uniform(-30, 30), HEIGHT / 2 + rng.uniform(-20, 20), rng.uniform(105, 145)
    half = rng.uniform(110, 150)
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    light = 0.25 + 0.5 * np.clip(1 - ((rows - np.float32(y)) / half + 0.25) ** 2, 0, 1) + 0 * COLUMNS
    paint = np.float32(pick(rng, [(0.75, 0.76, 0.78), (0.3, 0.55, 0.85), (0.4, 0.75, 0.55)]))
    canvas = blend(canvas, light[..., None] * paint * np.float32(1.3), box(-9, y - half, WIDTH + 9, y + half, 1.5))
    canvas = blend(canvas, jitter(rng, (0.45, 0.45, 0.47)), disc(x, y, radius + 30))
    for angle in np.arange(8) * np.pi / 4 + rng.uniform(0, 0.7):
        bx, by = x + (radius + 16) * np.cos(angle), y + (radius + 16) * np.sin(angle)
        canvas = blend(canvas, (0.2, 0.2, 0.2), disc(bx, by, 9))
        canvas = blend(canvas, (0.75, 0.75, 0.75), 0.6 * disc(bx - 2, by - 2, 5))
    water = pick(rng, [(0.12, 0.34, 0.42), (0.18, 0.36, 0.34), (0.22, 0.40, 0.52), (0.30, 0.36, 0.30)])
    glass = disc(x, y, radius)
    canvas = blend(canvas, water, glass)
    canvas = blend(canvas, (0.8, 0.88, 0.9), glass * rng.uniform(0.2, 0.5) * fractal(rng, (4, 5)) ** 1.5)
    shells = Image.new("L", (WIDTH, HEIGHT))
    lights = Image.new("L", (WIDTH, HEIGHT))
    draw, spark = ImageDraw.Draw(shells), ImageDraw.Draw(lights)
    for _ in range(int(rng.integers(60, 200))):
        angle, reach = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform(0, 1))
        px, py, r = x + reach * np.cos(angle), y + reach * np.sin(angle), 2 + rng.gamma(1.8, 2.6)
        draw.ellipse((px - r, py - r, px + r, py + r), outline=int(rng.uniform(150, 255)), width=2, fill=70)
        spark.ellipse((px - r * 0.5, py - r * 0.5, px - r * 0.05, py - r * 0.05), fill=255)
    canvas = blend(canvas, (0.85, 0.94, 0.97), as_mask(shells, 0.6) * glass * 0.85)
    canvas = blend(canvas, (1.0, 1.0, 1.0), as_mask(lights, 0.5) * glass)
    return Scene(blend(canvas, (1.0, 1.0, 1.0), 0.25 * glass * glow(x - radius * 0.4, y - radius * 0.4, 40, 25)))
