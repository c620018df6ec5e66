"""A wound coil on the coiler's mandrel, its end face seen at a slant."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from demo.scenes.canvas import HEIGHT, WIDTH, Array, Scene, blend, box, fractal, jitter, machine_hall, pick, shade


def coil(rng: np.random.Generator, telescoped: bool) -> Scene:
    """A coil with a flat end face, or one whose inner wraps have slid out along the mandrel."""
    outer, inner = rng.uniform(135, 165), rng.uniform(40, 58)
    squash = rng.uniform(0.72, 0.9)  # width of the end face over its height, from the slant
    x, y = WIDTH / 2 + rng.uniform(-15, 45), HEIGHT / 2 + rng.uniform(-12, 12)
    depth = rng.uniform(90, 170)
    canvas = _hall(rng, y + outer)
    wraps = int(rng.integers(22, 38))
    radii = np.linspace(outer, inner, wraps)
    slide = _slide(rng, radii, telescoped)
    steel = np.array(pick(rng, [(0.60, 0.61, 0.63), (0.50, 0.52, 0.56), (0.58, 0.53, 0.48), (0.42, 0.42, 0.44)]))
    image = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    _draw_barrel(draw, rng, (x, y), outer, squash, depth, steel)
    for index, (radius, out) in enumerate(zip(radii, slide, strict=True)):
        previous = slide[index - 1] if index else 0.0
        for step in np.arange(min(previous, out), out, 2.0):  # the side of a wrap that stands proud
            _ring(draw, x - step, y, radius, squash, steel * 0.42)
        tone = steel * (0.82 + 0.3 * (index % 2)) * rng.uniform(0.82, 1.12)
        _ring(draw, x - out, y, radius, squash, tone, outline=steel * 0.38)
    end = float(slide[-1])
    _ring(draw, x - end, y, inner - 2, squash, np.array([0.05, 0.05, 0.06]))
    _mandrel(draw, rng, x - end * 0.88, y, inner, squash)
    canvas = np.asarray(image, dtype=np.float32) / 255
    slant = np.linspace(*rng.permutation([0.8, 1.15]), WIDTH, dtype=np.float32)[None, :]
    canvas = shade(canvas, (slant * (0.85 + 0.3 * fractal(rng, (4, 5)))).astype(np.float32))
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1].copy()
    return Scene(canvas)


def _slide(rng: np.random.Generator, radii: np.ndarray, telescoped: bool) -> np.ndarray:
    """How far each wrap stands out of the end face, in pixels, from the outermost inwards."""
    small = np.abs(rng.normal(0, 0.8, radii.size))
    if not telescoped:
        return small
    reach = rng.uniform(42, 95)
    inwards = (radii[0] - radii) / (radii[0] - radii[-1])
    if rng.random() < 0.6:  # a cone
        return small + reach * inwards ** rng.uniform(0.7, 1.6)
    start = rng.uniform(0.25, 0.6)  # a core pushed out as one, in one or two steps
    steps = np.where(inwards > start, 0.6, 0.0) + np.where(inwards > start + 0.25, 0.4, 0.0)
    return small + reach * steps


def _hall(rng: np.random.Generator, floor: float) -> Array:
    canvas = machine_hall(rng)
    ground = pick(rng, [(0.34, 0.33, 0.32), (0.27, 0.28, 0.30)])
    canvas = blend(canvas, ground, box(-9, min(floor - 14, HEIGHT - 30), WIDTH + 9, HEIGHT + 9, 3))
    saddle = pick(rng, [(0.70, 0.55, 0.12), (0.25, 0.28, 0.32), (0.45, 0.22, 0.12)])
    return blend(canvas, saddle, box(130, floor - 24, 470, floor + 26, 1))


def _ring(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    radius: float,
    squash: float,
    tone: np.ndarray,
    outline: np.ndarray | None = None,
) -> None:
    bounds = (x - radius * squash, y - radius, x + radius * squash, y + radius)
    draw.ellipse(bounds, fill=_rgb(tone), outline=None if outline is None else _rgb(outline), width=1)


def _draw_barrel(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: tuple[float, float],
    outer: float,
    squash: float,
    depth: float,
    steel: np.ndarray,
) -> None:
    """The coil's outer surface, running back from the end face, with or without a strap around it."""
    x, y = centre
    strap = rng.uniform(0.3, 0.7) * depth if rng.random() < 0.5 else None
    for back in np.arange(depth, 0, -2.0):
        tone = steel * (0.50 + 0.12 * np.sin(back * 0.35))
        if strap is not None and abs(back - strap) < 8:
            tone = np.array([0.20, 0.22, 0.30])
        _ring(draw, x + back, y, outer, squash, tone)


def _mandrel(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, inner: float, squash: float
) -> None:
    if rng.random() < 0.65:
        _ring(draw, x, y, inner * 0.72, squash, np.array(jitter(rng, (0.40, 0.40, 0.42))))
        for angle in np.arange(4) * np.pi / 2 + rng.uniform(0, 1.5):
            end = (x + inner * 0.72 * squash * np.cos(angle), y + inner * 0.72 * np.sin(angle))
            draw.line([(x, y), end], fill=(25, 25, 25), width=3)
        _ring(draw, x, y, inner * 0.2, squash, np.array([0.15, 0.15, 0.16]))


def _rgb(tone: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(255 * min(max(float(c), 0), 1)) for c in tone)
    return red, green, blue
