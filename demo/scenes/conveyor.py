"""A belt conveyor seen along its direction of travel, from above the tail end."""

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
    disc,
    fractal,
    jitter,
    machine_hall,
    pick,
    polygon,
    shade,
    smooth_noise,
    stroke,
)

State = Literal["centred", "mistracking", "torn"]


class _View:
    """Maps (across, along) on the conveyor to the canvas: across -1..1 between the rails, along 0 (near) to 1 (far)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.near, self.far = rng.uniform(225, 262), rng.uniform(95, 150)
        self.x_near, self.x_far = WIDTH / 2 + rng.uniform(-18, 18), WIDTH / 2 + rng.uniform(-35, 35)
        self.along = ((HEIGHT + 30 - ROWS) / np.float32(HEIGHT + 60)).astype(np.float32)
        half = self.near + (self.far - self.near) * self.along
        centre = self.x_near + (self.x_far - self.x_near) * self.along
        self.across = ((COLUMNS - centre) / half).astype(np.float32)

    def point(self, across: float, along: float) -> tuple[float, float]:
        half = self.near + (self.far - self.near) * along
        return (
            self.x_near + (self.x_far - self.x_near) * along + across * half,
            HEIGHT + 30 - along * (HEIGHT + 60),
        )


def belt(rng: np.random.Generator, state: State) -> Scene:
    """The belt between its rails: running in the middle, off to one side, or torn open."""
    view = _View(rng)
    canvas = _frame(machine_hall(rng), rng, view)
    width = rng.uniform(0.62, 0.72)
    shift_near, shift_far = rng.uniform(-0.035, 0.035, 2)
    if state == "mistracking":
        side = rng.choice([-1, 1])
        shift_near, shift_far = side * rng.uniform(0.22, 0.36), side * rng.uniform(0.16, 0.42)
    position = view.across - (shift_near + (shift_far - shift_near) * view.along)
    mask = np.clip((width - np.abs(position)) * 60, 0, 1)
    shadow = np.clip((width + 0.05 - np.abs(position - 0.02)) * 12, 0, 1)
    canvas = blend(canvas, (0.03, 0.03, 0.03), 0.5 * shadow)
    surface = _rubber(rng, position, view.along)
    if state == "torn":
        mask, frayed = _tear(rng, view, mask, width)
        canvas = blend(canvas, surface, mask)
        canvas = blend(canvas, jitter(rng, (0.78, 0.70, 0.55)), frayed)
    else:
        canvas = blend(canvas, surface, mask)
    canvas = _load(canvas, rng, view, (shift_near + shift_far) / 2, busy=state != "torn")
    if rng.random() < 0.4:
        canvas = shade(canvas, 0.8 + 0.4 * fractal(rng, (5, 7)))
    return Scene(canvas)


def _frame(canvas: Array, rng: np.random.Generator, view: _View) -> Array:
    """Idlers across the whole width, and the rails on both sides."""
    inside = np.clip((1.0 - np.abs(view.across)) * 40, 0, 1)
    canvas = blend(canvas, jitter(rng, (0.13, 0.13, 0.14)), inside)
    count = rng.uniform(9, 15)
    wave = np.clip(np.sin(view.along**1.25 * 2 * np.pi * count + rng.uniform(0, 6)), 0, 1) + 0 * COLUMNS
    canvas = blend(canvas, jitter(rng, (0.62, 0.62, 0.64), 0.04), inside * wave * 0.85)
    rail = np.clip((0.075 - np.abs(np.abs(view.across) - 1.02)) * 50, 0, 1)
    return blend(
        canvas, pick(rng, [(0.80, 0.62, 0.10), (0.20, 0.36, 0.60), (0.58, 0.58, 0.58), (0.65, 0.28, 0.12)]), rail
    )


def _rubber(rng: np.random.Generator, position: Array, along: Array) -> Array:
    base = pick(rng, [(0.17, 0.17, 0.18), (0.23, 0.22, 0.21), (0.30, 0.28, 0.25), (0.14, 0.17, 0.15)])
    texture = 0.8 + 0.4 * fractal(rng, (8, 10), 3)
    kind = rng.integers(4)
    travel = along**1.2 * 2 * np.pi * rng.uniform(16, 26)
    if kind == 1:
        texture = texture * (1 + 0.22 * np.sign(np.sin(travel + np.abs(position) * 14)))
    elif kind == 2:
        texture = texture * (1 + 0.18 * np.sign(np.sin(travel)))
    elif kind == 3:
        texture = texture * (0.9 + 0.35 * smooth_noise(rng, (5, 40)))
    dust = np.exp(-((position / 0.4) ** 2)) * rng.uniform(0, 0.35)
    from_colour = np.broadcast_to(np.float32(base), (HEIGHT, WIDTH, 3)) * texture[..., None]
    return from_colour + (np.float32([0.45, 0.40, 0.34]) - from_colour) * dust[..., None]


def _tear(rng: np.random.Generator, view: _View, mask: Array, width: float) -> tuple[Array, Array]:
    """The belt's mask with an opening in it, and the frayed carcass along the opening's rim."""
    kind = rng.choice(["rip", "hole", "edge"], p=[0.5, 0.25, 0.25])
    if kind == "rip":
        start, end = rng.uniform(0.1, 0.25), rng.uniform(0.65, 0.95)
        at, lean, gape = rng.uniform(-0.3, 0.3), rng.uniform(-0.15, 0.15), rng.uniform(0.06, 0.15)
        steps = np.linspace(start, end, 14)
        left = [
            view.point(at + lean * s - gape * np.sin(np.pi * (s - start) / (end - start)) * rng.uniform(0.5, 1.2), s)
            for s in steps
        ]
        right = [
            view.point(at + lean * s + gape * np.sin(np.pi * (s - start) / (end - start)) * rng.uniform(0.5, 1.2), s)
            for s in steps
        ]
        corners = left + right[::-1]
    elif kind == "hole":
        x, y = view.point(rng.uniform(-0.3, 0.3), rng.uniform(0.3, 0.6))
        corners = blob(rng, x, y, rng.uniform(36, 62), 0.4)
    else:
        side = rng.choice([-1, 1])
        start, end = rng.uniform(0.15, 0.3), rng.uniform(0.6, 0.85)
        inner = [view.point(side * (width - rng.uniform(0.18, 0.42)), s) for s in np.linspace(start, end, 9)]
        corners = [
            view.point(side * (width + 0.05), start - 0.04),
            *inner,
            view.point(side * (width + 0.05), end + 0.04),
        ]
    opening = polygon(corners, 0.8)
    rim = stroke([*corners, corners[0]], rng.uniform(4, 8), 1.0) * mask
    frayed = rim * np.clip(fractal(rng, (40, 50), 2) * 3 - 0.9, 0, 1)
    return mask * (1 - opening), frayed * (1 - opening * 0.4)


def _load(canvas: Array, rng: np.random.Generator, view: _View, shift: float, busy: bool) -> Array:
    """Scrap pieces on the belt; few on a torn one, so that the tear stays in sight."""
    if rng.random() < 0.45:
        return canvas
    for _ in range(int(rng.integers(3, 22 if busy else 7))):
        along = rng.uniform(0.05, 0.95)
        x, y = view.point(shift + rng.normal(0, 0.2), along)
        size = rng.uniform(5, 17) * (1.15 - 0.6 * along)
        piece = blob(rng, x, y, size, 0.22)
        canvas = blend(canvas, (0.03, 0.03, 0.03), 0.4 * disc(x + 3, y + 4, size, 0.8, 6))
        canvas = blend(canvas, pick(rng, [(0.5, 0.5, 0.52), (0.42, 0.30, 0.22), (0.62, 0.62, 0.64)]), polygon(piece))
    return canvas
