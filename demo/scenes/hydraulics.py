"""Pressure gauges and hoses of the hydraulic stations."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo.scenes.canvas import (
    HEIGHT,
    WIDTH,
    Array,
    Colour,
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
    plain,
    polygon,
    shade,
    stroke,
)

Reading = Literal["normal", "low", "high"]

# (full scale, step of the numerals, unit)
_SCALES = ((250, 50, "bar"), (400, 100, "bar"), (160, 40, "bar"), (16, 4, "MPa"), (25, 5, "MPa"), (4000, 1000, "psi"))
_START, _SWEEP = 135.0, 270.0  # degrees, clockwise from east as pictures count


def gauge(rng: np.random.Generator, reading: Reading) -> Scene:
    """A dial gauge whose green band marks the permitted range: the needle stands in it, below it or above it."""
    x, y, radius = WIDTH / 2 + rng.uniform(-30, 30), HEIGHT / 2 + rng.uniform(-20, 20), rng.uniform(112, 162)
    canvas = _panel(rng, x, y, radius)
    dark_face = rng.random() < 0.2
    face: Colour = jitter(rng, (0.10, 0.10, 0.11)) if dark_face else jitter(rng, (0.90, 0.89, 0.85), 0.04)
    ink = (235, 235, 235) if dark_face else (25, 25, 25)
    canvas = blend(canvas, (0.04, 0.04, 0.04), 0.5 * disc(x + 8, y + 10, radius * 1.14, edge=14))
    rim = pick(rng, [(0.14, 0.14, 0.15), (0.68, 0.68, 0.70), (0.62, 0.52, 0.25)])
    canvas = blend(canvas, rim, disc(x, y, radius * 1.12))
    canvas = blend(canvas, (0.9, 0.9, 0.9), 0.35 * disc(x - 4, y - 5, radius * 1.08) * (1 - disc(x, y, radius * 1.04)))
    canvas = blend(canvas, face, disc(x, y, radius))

    low = rng.uniform(0.30, 0.45)
    high = low + rng.uniform(0.22, 0.33)
    if reading == "normal":
        value = rng.uniform(low + 0.035, high - 0.035)
    elif reading == "low":
        value = rng.uniform(0.01, low - 0.09)
    else:
        value = rng.uniform(high + 0.08, 0.99)
    dial = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    _draw_dial(dial, rng, (x, y, radius), (low, high), ink)
    _draw_needle(dial, rng, (x, y, radius), value, dark_face)
    canvas = np.asarray(dial, dtype=np.float32) / 255
    if rng.random() < 0.45:  # the glass reflects a lamp
        angle = rng.uniform(0, 6.28)
        streak = glow(x + np.cos(angle) * radius * 0.5, y + np.sin(angle) * radius * 0.5, 18, radius * 0.5)
        canvas = blend(canvas, (1.0, 1.0, 1.0), rng.uniform(0.2, 0.5) * streak * disc(x, y, radius))
    if rng.random() < 0.3:
        canvas = blend(canvas, (0.35, 0.28, 0.2), 0.4 * fractal(rng, (5, 6)) ** 3 * disc(x, y, radius))
    return Scene(canvas)


def _panel(rng: np.random.Generator, x: float, y: float, radius: float) -> Array:
    if rng.random() < 0.35:
        canvas = machine_hall(rng)
    else:
        canvas = plain(pick(rng, [(0.55, 0.57, 0.58), (0.25, 0.36, 0.45), (0.62, 0.60, 0.50), (0.3, 0.42, 0.34)]))
        canvas = shade(canvas, 0.75 + 0.5 * fractal(rng))
        for px, py in ((60, 50), (500, 50), (60, 370), (500, 370)):
            canvas = blend(canvas, (0.3, 0.3, 0.3), disc(px, py, 9))
            canvas = blend(canvas, (0.7, 0.7, 0.7), 0.6 * disc(px - 2, py - 2, 5))
    stem = rng.uniform(26, 36)
    canvas = blend(canvas, jitter(rng, (0.62, 0.54, 0.30)), box(x - stem / 2, y + radius, x + stem / 2, HEIGHT + 5))
    if rng.random() < 0.5:
        row = rng.uniform(20, 60)
        canvas = blend(canvas, jitter(rng, (0.5, 0.5, 0.52)), box(-5, row, WIDTH + 5, row + rng.uniform(10, 24), 1))
    return canvas


def _draw_dial(
    image: Image.Image,
    rng: np.random.Generator,
    place: tuple[float, float, float],
    band: tuple[float, float],
    ink: tuple[int, int, int],
) -> None:
    x, y, radius = place
    draw = ImageDraw.Draw(image)
    width = int(radius * rng.uniform(0.10, 0.17))
    outer = radius * 0.93
    bounds = (x - outer, y - outer, x + outer, y + outer)
    green = tuple(int(255 * c) for c in jitter(rng, (0.12, 0.66, 0.25), 0.08))
    draw.arc(bounds, _START + _SWEEP * band[0], _START + _SWEEP * band[1], fill=green, width=width)
    if rng.random() < 0.7:
        red = tuple(int(255 * c) for c in jitter(rng, (0.85, 0.14, 0.12), 0.06))
        draw.arc(bounds, _START + _SWEEP * min(band[1] + 0.12, 0.93), _START + _SWEEP, fill=red, width=width)
    full, step, unit = _SCALES[int(rng.integers(len(_SCALES)))]
    font = ImageFont.load_default(radius * 0.13)
    for index in range(41):
        angle = np.deg2rad(_START + _SWEEP * index / 40)
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        inner = radius * (0.78 if index % 5 == 0 else 0.85)
        line = [(x + inner * cos, y + inner * sin), (x + outer * cos, y + outer * sin)]
        draw.line(line, fill=ink, width=3 if index % 5 == 0 else 1)
    for value in range(0, full + 1, step):
        angle = np.deg2rad(_START + _SWEEP * value / full)
        spot = (x + radius * 0.64 * float(np.cos(angle)), y + radius * 0.64 * float(np.sin(angle)))
        draw.text(spot, str(value), font=font, fill=ink, anchor="mm")
    draw.text((x, y + radius * 0.38), unit, font=font, fill=ink, anchor="mm")


def _draw_needle(
    image: Image.Image,
    rng: np.random.Generator,
    place: tuple[float, float, float],
    value: float,
    dark_face: bool,
) -> None:
    x, y, radius = place
    draw = ImageDraw.Draw(image)
    angle = np.deg2rad(_START + _SWEEP * value)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    reach, tail, half = radius * rng.uniform(0.76, 0.86), radius * 0.2, radius * rng.uniform(0.028, 0.045)
    bright = [(245, 245, 245), (255, 150, 30), (240, 60, 40)]
    dark = [(15, 15, 15), (180, 25, 20), (20, 30, 90)]
    colour = (bright if dark_face else dark)[int(rng.integers(3))]
    draw.polygon(
        [
            (x - half * sin - tail * cos, y + half * cos - tail * sin),
            (x + half * sin - tail * cos, y - half * cos - tail * sin),
            (x + reach * cos, y + reach * sin),
        ],
        fill=colour,
    )
    hub = radius * 0.09
    draw.ellipse((x - hub, y - hub, x + hub, y + hub), fill=(60, 60, 60) if dark_face else (30, 30, 30))


def hose_leak(rng: np.random.Generator) -> Scene:
    """Hydraulic hoses between fittings, one of which loses oil: spray, drips, a film and a puddle."""
    canvas = machine_hall(rng)
    floor = rng.uniform(320, 360)
    canvas = blend(
        canvas, pick(rng, [(0.38, 0.37, 0.36), (0.30, 0.31, 0.33)]), box(-9, floor, WIDTH + 9, HEIGHT + 9, 4)
    )
    leak: tuple[float, float] | None = None
    for index in range(int(rng.integers(2, 5))):
        left, right = rng.uniform(95, 150), rng.uniform(410, 480)
        top = rng.uniform(60, 200)
        sag = rng.uniform(30, 110)
        points = [
            (left, top),
            ((left + right) / 2 - 70, top + sag),
            ((left + right) / 2 + 70, top + sag * rng.uniform(0.5, 1.2)),
            (right, top + rng.uniform(-40, 50)),
        ]
        path = curve(points)
        width = rng.uniform(16, 27)
        canvas = blend(canvas, (0.05, 0.05, 0.05), 0.5 * stroke([(px + 5, py + 8) for px, py in path], width, 5))
        canvas = blend(canvas, jitter(rng, (0.09, 0.09, 0.10)), stroke(path, width))
        sheen = stroke([(px, py - width * 0.22) for px, py in path], width * 0.16, 1.2)
        canvas = blend(canvas, (0.62, 0.63, 0.66), rng.uniform(0.35, 0.6) * sheen)
        for end, inward in ((path[0], 1), (path[-1], -1)):
            metal = jitter(rng, (0.66, 0.63, 0.55))
            canvas = blend(canvas, metal, box(end[0] - 14, end[1] - width * 0.75, end[0] + 14, end[1] + width * 0.75))
            collar = box(end[0] + inward * 20 - 7, end[1] - width * 0.6, end[0] + inward * 20 + 7, end[1] + width * 0.6)
            canvas = blend(canvas, (0.45, 0.44, 0.42), collar)
        if index == 0:
            leak = path[0] if rng.random() < 0.25 else path[int(rng.integers(len(path) // 4, 3 * len(path) // 4))]
    assert leak is not None
    return Scene(_oil(canvas, rng, leak[0], leak[1], floor))


def _oil(canvas: Array, rng: np.random.Generator, x: float, y: float, floor: float) -> Array:
    amber = pick(rng, [(0.50, 0.28, 0.04), (0.42, 0.24, 0.06), (0.58, 0.36, 0.08)])
    direction = rng.choice([-1, 1])
    mist = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(mist)
    for _ in range(int(rng.integers(90, 260))):
        distance = rng.gamma(2.0, 30)
        angle = np.deg2rad(rng.normal(35, 22))
        px = x + direction * distance * np.cos(angle)
        py = y + distance * np.sin(angle)
        r = rng.uniform(0.8, 3.2)
        draw.ellipse((px - r, py - r, px + r, py + r), fill=int(rng.uniform(120, 255)))
    canvas = blend(canvas, amber, 0.9 * as_mask(mist, 0.7))
    canvas = blend(canvas, (0.75, 0.6, 0.35), 0.35 * glow(x + direction * 30, y + 22, 48, 34))
    for _ in range(int(rng.integers(3, 7))):
        px = x + rng.normal(0, 14)
        run = [
            (px, y),
            (px + rng.uniform(-5, 5), (y + floor) / 2),
            (px + rng.uniform(-6, 6), floor + rng.uniform(0, 25)),
        ]
        canvas = blend(canvas, amber, rng.uniform(0.7, 0.95) * stroke(curve(run), rng.uniform(3, 8)))
        canvas = blend(canvas, (1.0, 0.88, 0.55), 0.5 * stroke(curve([(a - 1.5, b) for a, b in run]), 1.5))
    puddle = polygon(
        [(px, floor + 28 + (py - floor - 28) * 0.3) for px, py in blob(rng, x, floor + 28, rng.uniform(70, 130))], 2
    )
    canvas = blend(canvas, (amber[0] * 0.45, amber[1] * 0.45, amber[2] * 0.5), 0.9 * puddle)
    shine = glow(x + rng.uniform(-40, 40), floor + rng.uniform(18, 34), rng.uniform(20, 50), 7)
    return blend(canvas, (0.95, 0.85, 0.6), 0.7 * shine * puddle)
