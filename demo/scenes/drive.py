"""A main drive motor in the thermal camera: frame, bearings at both ends, coupling and gearbox. Temperatures in °C."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from demo.scenes.canvas import COLUMNS, HEIGHT, ROWS, WIDTH, Array, Scene, as_mask, box, disc, fractal, glow

State = Literal["normal", "bearing-hot", "winding-hot"]


def motor(rng: np.random.Generator, state: State) -> Scene:
    """A motor at its working temperature, with one overheated bearing, or with an overheated winding."""
    ambient = rng.uniform(24, 36)
    field = ambient + 6 * (fractal(rng, (3, 4), 3) - 0.5)
    half_width, half_height = rng.uniform(95, 125), rng.uniform(66, 88)
    x, y = WIDTH / 2 + rng.uniform(-35, 10), HEIGHT / 2 + rng.uniform(-15, 30)
    body_heat = ambient + rng.uniform(14, 28)
    near, far = x - half_width - 24, x + half_width + 24

    field = _clutter(field, rng, ambient)
    field = _lay(field, box(40, y + half_height + 18, 520, y + half_height + 44, 2), ambient + rng.uniform(2, 7))
    shaft = box(near - 40, y - 10, far + 95, y + 10, 1.5)
    field = _lay(field, shaft, ambient + rng.uniform(10, 18))
    gearbox = box(far + 62, y - 62, far + 150, y + 70, 2)
    field = _lay(field, gearbox, ambient + rng.uniform(10, 22))
    field = _lay(field, box(far + 32, y - 26, far + 54, y + 26, 1.5), ambient + rng.uniform(8, 16))

    body = box(x - half_width, y - half_height, x + half_width, y + half_height, 3)
    pitch = rng.uniform(9, 15)
    fins = 2.2 * np.sin(ROWS * (2 * np.pi / pitch)) * np.ones_like(COLUMNS)
    warmth = body_heat + fins.astype(np.float32) + 6 * glow(x, y, half_width, half_height)
    field = field + (warmth - field) * body
    terminal = box(x - 34 + rng.uniform(-20, 20), y - half_height - 34, x + 30, y - half_height + 2, 2)
    field = _lay(field, terminal, ambient + rng.uniform(6, 12))
    for foot in (x - half_width * 0.7, x + half_width * 0.55):
        field = _lay(field, box(foot, y + half_height, foot + 30, y + half_height + 20, 1), ambient + 8)

    bearing_radius = rng.uniform(26, 36)
    for position in (near, far):
        field = _lay(field, disc(position, y, bearing_radius * 0.8, 1.25, 3), body_heat + rng.uniform(-6, 6))
        field = _lay(field, disc(position, y, 9, 1.2, 2), body_heat + rng.uniform(-10, 0))

    if state == "bearing-hot":
        position = near if rng.random() < 0.5 else far
        field = _hot_bearing(field, rng, position, y, bearing_radius, shaft)
    elif state == "winding-hot":
        field = _hot_winding(field, rng, x, y, half_width, half_height, body)
    if rng.random() < 0.5:
        field = field[:, ::-1]
    return Scene(np.ascontiguousarray(field, dtype=np.float32), thermal=True)


def _lay(field: Array, mask: Array, celsius: float) -> Array:
    return field + (np.float32(celsius) - field) * mask


def _clutter(field: Array, rng: np.random.Generator, ambient: float) -> Array:
    """Cabinets, warm pipes and a cold water line behind the motor."""
    for _ in range(int(rng.integers(1, 5))):
        left, top = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT * 0.6)
        mask = box(left, top, left + rng.uniform(20, 120), top + rng.uniform(20, 140), 2)
        field = _lay(field, mask * 0.8, ambient + rng.uniform(-6, 8))
    if rng.random() < 0.4:
        row = rng.uniform(20, 90)
        field = _lay(field, box(-5, row, WIDTH + 5, row + rng.uniform(8, 18), 2), ambient + rng.uniform(-8, 16))
    return field


def _hot_bearing(field: Array, rng: np.random.Generator, x: float, y: float, radius: float, shaft: Array) -> Array:
    peak = rng.uniform(92, 128)
    housing = disc(x, y, radius * 0.85, 1.25, 8)
    field = np.maximum(field, field + (np.float32(peak) - field) * housing * rng.uniform(0.85, 1.0))
    spread = glow(x, y, radius * rng.uniform(1.3, 2.0), radius * rng.uniform(1.2, 1.7))
    field = np.maximum(field, field + (np.float32(peak) - field) * spread * 0.55)
    along_shaft = glow(x, y, 75, 30) * shaft
    return np.maximum(field, field + (np.float32(peak) - field) * along_shaft * 0.7)


def _hot_winding(
    field: Array,
    rng: np.random.Generator,
    x: float,
    y: float,
    half_width: float,
    half_height: float,
    body: Array,
) -> Array:
    """Heat of the stator under the frame: wide, strongest over one part of the winding."""
    peak = rng.uniform(98, 132)
    at_x, at_y = x + rng.uniform(-0.25, 0.25) * half_width, y + rng.uniform(-0.3, 0.15) * half_height
    heat = glow(at_x, at_y, half_width * rng.uniform(0.6, 0.95), half_height * rng.uniform(0.65, 1.0))
    heat = heat * (0.88 + 0.24 * fractal(rng, (5, 6), 2)) * np.clip(body + 0.25 * _soft(body), 0, 1)
    return np.maximum(field, field + (np.float32(peak) - field) * np.clip(heat, 0, 1))


def _soft(mask: Array) -> Array:
    """`mask` with a wide soft rim: heat that leaks past an outline."""
    return as_mask(Image.fromarray((mask * 255).astype(np.uint8)), blur=12)
