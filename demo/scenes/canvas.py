"""The canvas scenes are drawn on: textures, masks and blending as float32 arrays.

A canvas is `(HEIGHT, WIDTH, 3) float32` in [0, 1], or `(HEIGHT, WIDTH) float32` in °C for thermal scenes. It is larger
than the frame and 1.5 times as fine, so that a camera may move over it and lines come out smooth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 560, 420
CENTRE = (WIDTH / 2, HEIGHT / 2)

Array = NDArray[np.float32]
Colour = tuple[float, float, float]
Point = tuple[float, float]

COLUMNS: Array = np.arange(WIDTH, dtype=np.float32)[None, :]
ROWS: Array = np.arange(HEIGHT, dtype=np.float32)[:, None]


@dataclass(frozen=True)
class Scene:
    """What stands before the camera. `pixels`: a colour canvas, or a temperature canvas when `thermal`."""

    pixels: Array
    thermal: bool = False


def smooth_noise(rng: np.random.Generator, cells: tuple[int, int]) -> Array:
    """Values in [0, 1] that vary smoothly over a grid of (rows, columns) cells; `(HEIGHT, WIDTH) float32`."""
    grid = Image.fromarray(rng.random(cells, dtype=np.float32), mode="F")
    return np.clip(np.asarray(grid.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float32), 0, 1)


def fractal(rng: np.random.Generator, cells: tuple[int, int] = (4, 5), octaves: int = 4) -> Array:
    """Noise with detail at `octaves` scales, each half as strong; about 0.5 on average."""
    total = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    weight = 0.0
    for octave in range(octaves):
        share = 0.5**octave
        total += share * smooth_noise(rng, (cells[0] * 2**octave, cells[1] * 2**octave))
        weight += share
    return total / np.float32(weight)


def plain(colour: Colour) -> Array:
    """A canvas of one colour."""
    return np.broadcast_to(np.float32(colour), (HEIGHT, WIDTH, 3)).copy()


def blend(canvas: Array, colour: Colour | Array, mask: Array) -> Array:
    """Paints `colour` on `canvas`, in place, where `mask` (H, W) in [0, 1] says so; returns `canvas`."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return canvas
    columns = np.flatnonzero(mask.any(axis=0))
    window = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    paint = np.asarray(colour, dtype=np.float32)
    if paint.ndim == 3:
        paint = paint[window]
    part = canvas[window]
    part += (paint - part) * mask[window][..., None].astype(np.float32)
    return canvas


def shade(canvas: Array, factor: Array) -> Array:
    """`canvas` multiplied by a (H, W) brightness."""
    return canvas * factor[..., None].astype(np.float32)


def as_mask(image: Image.Image, blur: float = 0.0) -> Array:
    """An 8-bit grey image as a mask in [0, 1], blurred by `blur` pixels."""
    if blur > 0:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(image, dtype=np.float32) / 255


def polygon(points: Sequence[Point], blur: float = 0.6) -> Array:
    """Mask of a filled polygon."""
    return _drawn(points, blur, 0, lambda draw, path: draw.polygon(path, fill=255))


def box(left: float, top: float, right: float, bottom: float, blur: float = 0.6) -> Array:
    """Mask of an upright rectangle."""
    return polygon([(left, top), (right, top), (right, bottom), (left, bottom)], blur)


def stroke(points: Sequence[Point], width: float, blur: float = 0.6) -> Array:
    """Mask of a line through `points`."""
    thick = max(1, round(width))
    return _drawn(points, blur, thick, lambda draw, path: draw.line(path, fill=255, width=thick, joint="curve"))


def _drawn(
    points: Sequence[Point], blur: float, margin: float, draw: Callable[[ImageDraw.ImageDraw, list[Point]], None]
) -> Array:
    """A mask drawn and blurred only where `points` lie: most shapes cover a small part of the canvas."""
    path = np.asarray(points, dtype=np.float64)
    reach = margin + 3 * blur + 2
    low = np.floor(path.min(axis=0) - reach).astype(int)
    high = np.ceil(path.max(axis=0) + reach).astype(int)
    (x0, y0), (x1, y1) = np.clip(low, 0, (WIDTH, HEIGHT)), np.clip(high, 0, (WIDTH, HEIGHT))
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    if x1 > x0 and y1 > y0:
        image = Image.new("L", (int(x1 - x0), int(y1 - y0)))
        draw(ImageDraw.Draw(image), [(float(x - x0), float(y - y0)) for x, y in path])
        mask[y0:y1, x0:x1] = as_mask(image, blur)
    return mask


def disc(x: float, y: float, radius: float, squash: float = 1.0, edge: float = 1.2) -> Array:
    """Mask of an ellipse of half-axes `radius` and `radius * squash`, its rim `edge` pixels soft."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    window = _window(x, y, radius + edge, (radius + edge) * squash)
    distance = np.hypot(COLUMNS[:, window[1]] - np.float32(x), (ROWS[window[0]] - np.float32(y)) / np.float32(squash))
    mask[window] = np.clip((np.float32(radius) - distance) / np.float32(edge) + 0.5, 0, 1)
    return mask


def glow(x: float, y: float, sx: float, sy: float) -> Array:
    """A Gaussian bump of height 1, cut off at three widths."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    window = _window(x, y, 3 * sx, 3 * sy)
    across = np.exp(-(((COLUMNS[:, window[1]] - np.float32(x)) / np.float32(sx)) ** 2))
    mask[window] = across * np.exp(-(((ROWS[window[0]] - np.float32(y)) / np.float32(sy)) ** 2))
    return mask


def _window(x: float, y: float, reach_x: float, reach_y: float) -> tuple[slice, slice]:
    """The part of the canvas within a reach of a point."""
    left, right = np.clip([x - reach_x - 1, x + reach_x + 2], 0, WIDTH).astype(int)
    top, bottom = np.clip([y - reach_y - 1, y + reach_y + 2], 0, HEIGHT).astype(int)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def curve(points: Sequence[Point], steps: int = 24) -> list[Point]:
    """A smooth path through `points` (Catmull-Rom)."""
    path: list[Point] = []
    knots = np.array([points[0], *points, points[-1]], dtype=np.float64)
    for p0, p1, p2, p3 in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        t = np.linspace(0, 1, steps, endpoint=False)[:, None]
        value = 0.5 * (
            2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
        )
        path.extend((float(x), float(y)) for x, y in value)
    path.append((float(knots[-1][0]), float(knots[-1][1])))
    return path


def blob(rng: np.random.Generator, x: float, y: float, radius: float, ragged: float = 0.3) -> list[Point]:
    """Corners of an irregular round patch."""
    angles = np.linspace(0, 2 * np.pi, 22, endpoint=False)
    reach = radius * (1 + ragged * rng.uniform(-1, 1, angles.size))
    return [(x + r * np.cos(a), y + r * np.sin(a)) for a, r in zip(angles, reach, strict=True)]


def jitter(rng: np.random.Generator, colour: Colour, spread: float = 0.04) -> Colour:
    """`colour` with brightness and hue moved a little."""
    moved = np.clip(np.float32(colour) * rng.uniform(1 - spread, 1 + spread, 3) * rng.uniform(0.85, 1.15), 0, 1)
    return (float(moved[0]), float(moved[1]), float(moved[2]))


def pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of `colours`, jittered."""
    return jitter(rng, colours[int(rng.integers(len(colours)))])


def machine_hall(rng: np.random.Generator) -> Array:
    """A dim, cluttered background: wall, pipes, boxes and stains."""
    canvas = plain(pick(rng, [(0.32, 0.33, 0.35), (0.24, 0.27, 0.30), (0.36, 0.34, 0.30), (0.22, 0.30, 0.28)]))
    canvas = shade(canvas, 0.7 + 0.6 * fractal(rng))
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        w, h = rng.uniform(30, 130), rng.uniform(30, 130)
        paint = pick(rng, [(0.42, 0.42, 0.42), (0.2, 0.3, 0.42), (0.45, 0.38, 0.2), (0.18, 0.2, 0.2)])
        canvas = blend(canvas, paint, 0.8 * box(x, y, x + w, y + h, 1.5))
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(0, WIDTH)
        bend = rng.uniform(-60, 60)
        width = rng.uniform(6, 22)
        path = [(x, -10), (x + bend / 2, HEIGHT / 2), (x + bend, HEIGHT + 10)]
        canvas = blend(canvas, pick(rng, [(0.5, 0.5, 0.5), (0.3, 0.25, 0.2), (0.5, 0.45, 0.2)]), stroke(path, width))
        canvas = blend(canvas, (0.8, 0.8, 0.8), 0.3 * stroke([(px - width * 0.2, py) for px, py in path], width * 0.25))
    return canvas
