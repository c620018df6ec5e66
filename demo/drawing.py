"""The plant's drawing style: palette and shapes that the figures of all manuals are made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Rect = tuple[float, float, float, float]
Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER: Colour = (252, 252, 250)
INK: Colour = (34, 40, 49)
MUTED: Colour = (120, 128, 138)
GRID: Colour = (222, 226, 230)
STEEL: Colour = (176, 190, 202)
LIGHT: Colour = (232, 238, 243)
BLUE: Colour = (44, 110, 178)
WATER: Colour = (137, 190, 226)
OIL: Colour = (214, 158, 54)
GREEN: Colour = (58, 146, 88)
AMBER: Colour = (232, 160, 32)
RED: Colour = (196, 52, 48)
HOT: Colour = (238, 112, 48)


@lru_cache(maxsize=32)
def font(size: int) -> Font:
    """Pillow's built-in typeface, so that a figure looks the same on every machine."""
    return ImageFont.load_default(size=size)


class Drawing:
    """A figure in the making. Coordinates are pixels from the top left; angles degrees clockwise from east."""

    def __init__(
        self,
        title: str,
        width: int = 640,
        height: int = 400,
        background: Colour = PAPER,
    ) -> None:
        self.width = width
        self.height = height
        self.image = Image.new("RGB", (width, height), background)
        self.draw = ImageDraw.Draw(self.image)
        if title:
            self.label((16, 12), title, size=18, anchor="lt")
            self.draw.line((16, 38, width - 16, 38), fill=MUTED, width=1)

    def save(self, path: Path) -> Path:
        """Write the figure as PNG, creating its folder, and return the path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.image.save(path, format="PNG", optimize=True)
        return path

    def label(
        self,
        at: Point,
        text: str,
        *,
        size: int = 14,
        colour: Colour = INK,
        anchor: str = "mm",
    ) -> None:
        """Text, of one or more lines, whose `anchor` (l, m, r then t, m, b) stands at `at`."""
        face = font(size)
        x, y = at
        lines = text.split("\n")
        pitch = round(size * 1.25)
        top = {
            "t": y,
            "m": y - pitch * (len(lines) - 1) / 2,
            "b": y - pitch * (len(lines) - 1),
        }[anchor[1]]
        vertical = {"t": "a", "m": "m", "b": "d"}[anchor[1]]
        for row, line in enumerate(lines):
            self.draw.text(
                (x, top + row * pitch),
                line,
                fill=colour,
                font=face,
                anchor=anchor[0] + vertical,
            )

    def box(
        self,
        rect: Rect,
        text: str = "",
        *,
        fill: Colour | None = LIGHT,
        outline: Colour = INK,
        size: int = 14,
        radius: int = 6,
        width: int = 2,
    ) -> None:
        """A rounded rectangle `(left, top, right, bottom)` with centred text."""
        self.draw.rounded_rectangle(rect, radius=radius, fill=fill, outline=outline, width=width)
        if text:
            self.label(((rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2), text, size=size)

    def circle(
        self,
        centre: Point,
        radius: float,
        *,
        fill: Colour | None = LIGHT,
        outline: Colour = INK,
        width: int = 2,
    ) -> None:
        x, y = centre
        self.draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius),
            fill=fill,
            outline=outline,
            width=width,
        )

    def line(
        self,
        points: Sequence[Point],
        *,
        colour: Colour = INK,
        width: int = 2,
        dash: int = 0,
    ) -> None:
        """A polyline; `dash` > 0 draws dashes of that many pixels."""
        if not dash:
            self.draw.line(list(points), fill=colour, width=width, joint="curve")
            return
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            length = math.hypot(x1 - x0, y1 - y0)
            for step in range(0, math.ceil(length), 2 * dash):
                a, b = step / length, min(1.0, (step + dash) / length)
                self.draw.line(
                    (
                        x0 + (x1 - x0) * a,
                        y0 + (y1 - y0) * a,
                        x0 + (x1 - x0) * b,
                        y0 + (y1 - y0) * b,
                    ),
                    fill=colour,
                    width=width,
                )

    def arrow(
        self,
        start: Point,
        end: Point,
        *,
        colour: Colour = INK,
        width: int = 2,
        head: int = 10,
    ) -> None:
        """A straight arrow from `start` to `end`."""
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        neck = (
            end[0] - head * 0.8 * math.cos(angle),
            end[1] - head * 0.8 * math.sin(angle),
        )
        self.draw.line((*start, *neck), fill=colour, width=width)
        wings = [
            (
                end[0] - head * math.cos(angle + turn),
                end[1] - head * math.sin(angle + turn),
            )
            for turn in (0.42, -0.42)
        ]
        self.draw.polygon([end, *wings], fill=colour)

    def callout(
        self,
        target: Point,
        at: Point,
        text: str,
        *,
        size: int = 13,
        colour: Colour = INK,
    ) -> None:
        """Text at `at` with a thin leader and a dot on `target`; the text stands clear of the leader."""
        self.draw.line((*target, *at), fill=colour, width=1)
        self.circle(target, 3, fill=colour, outline=colour, width=1)
        side = "l" if at[0] >= target[0] else "r"
        self.label(
            (at[0] + (4 if side == "l" else -4), at[1]),
            text,
            size=size,
            colour=colour,
            anchor=side + "m",
        )

    def hatch(
        self,
        rect: Rect,
        *,
        pitch: int = 9,
        colour: Colour = MUTED,
        outline: Colour | None = INK,
    ) -> None:
        """A section through solid material: lines at 45 degrees clipped to the rectangle."""
        left, top, right, bottom = rect
        height = bottom - top
        offset = left - height
        while offset < right:
            x0, x1 = max(left, offset), min(right, offset + height)
            if x1 > x0:
                self.draw.line(
                    (x0, bottom - (x0 - offset), x1, bottom - (x1 - offset)),
                    fill=colour,
                    width=1,
                )
            offset += pitch
        if outline is not None:
            self.draw.rectangle(rect, outline=outline, width=2)

    def dimension(
        self,
        start: Point,
        end: Point,
        text: str,
        *,
        size: int = 12,
        colour: Colour = BLUE,
    ) -> None:
        """A dimension line with arrowheads at both ends and its value in the middle."""
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.arrow(middle, start, colour=colour, width=1, head=8)
        self.arrow(middle, end, colour=colour, width=1, head=8)
        vertical = abs(end[1] - start[1]) > abs(end[0] - start[0])
        at = (middle[0] + 5, middle[1]) if vertical else (middle[0], middle[1] - 4)
        self.label(at, text, size=size, colour=colour, anchor="lm" if vertical else "mb")

    def gauge(
        self,
        centre: Point,
        radius: float,
        *,
        low: float,
        high: float,
        value: float,
        unit: str,
        green: tuple[float, float] | None = None,
        divisions: int = 5,
    ) -> None:
        """A round dial over 270 degrees from the lower left; beyond the sector `green` its rim is red."""
        x, y = centre
        self.circle(centre, radius, fill=(255, 255, 255), width=3)

        def angle(reading: float) -> float:
            return 135 + 270 * (reading - low) / (high - low)

        ring = radius * 0.88
        if green is not None:
            bounds = (x - ring, y - ring, x + ring, y + ring)
            band = max(4, round(radius * 0.1))
            for start, end, colour in ((green[0], green[1], GREEN), (green[1], high, RED)):
                self.draw.arc(bounds, angle(start), angle(end), fill=colour, width=band)
        for step in range(divisions + 1):
            reading = low + (high - low) * step / divisions
            turn = math.radians(angle(reading))
            cos, sin = math.cos(turn), math.sin(turn)
            self.draw.line(
                (
                    x + cos * radius * 0.78,
                    y + sin * radius * 0.78,
                    x + cos * ring,
                    y + sin * ring,
                ),
                fill=INK,
                width=2,
            )
            self.label(
                (x + cos * radius * 0.6, y + sin * radius * 0.6),
                f"{reading:g}",
                size=max(9, int(radius / 6)),
            )
        turn = math.radians(angle(value))
        tip = (x + math.cos(turn) * radius * 0.74, y + math.sin(turn) * radius * 0.74)
        self.draw.line((x, y, *tip), fill=RED, width=3)
        self.circle(centre, max(3, radius * 0.07), fill=INK)
        self.label((x, y + radius * 0.5), unit, size=max(10, int(radius / 5)))

    def axes(
        self,
        rect: Rect,
        *,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_label: str,
        y_label: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
    ) -> Callable[[float, float], Point]:
        """Axes of a chart in `rect`; returns the mapping from values to pixels."""
        left, top, right, bottom = rect

        def place(x: float, y: float) -> Point:
            return (
                left + (right - left) * (x - x_range[0]) / (x_range[1] - x_range[0]),
                bottom - (bottom - top) * (y - y_range[0]) / (y_range[1] - y_range[0]),
            )

        for tick in x_ticks:
            px = place(tick, y_range[0])[0]
            self.draw.line((px, top, px, bottom), fill=GRID, width=1)
            self.label((px, bottom + 6), f"{tick:g}", size=12, anchor="mt")
        for tick in y_ticks:
            py = place(x_range[0], tick)[1]
            self.draw.line((left, py, right, py), fill=GRID, width=1)
            self.label((left - 6, py), f"{tick:g}", size=12, anchor="rm")
        self.draw.line((left, top, left, bottom, right, bottom), fill=INK, width=2)
        self.label(((left + right) / 2, bottom + 26), x_label, size=13, anchor="mt")
        self.label((left, top - 8), y_label, size=13, anchor="lb")
        return place

    def curve(
        self,
        place: Callable[[float, float], Point],
        points: Sequence[Point],
        *,
        colour: Colour = BLUE,
        width: int = 3,
        dash: int = 0,
    ) -> None:
        """A polyline through values on axes made by `axes`."""
        self.line([place(x, y) for x, y in points], colour=colour, width=width, dash=dash)

    def valve(self, centre: Point, size: float = 12, *, fill: Colour = LIGHT) -> None:
        """The two-triangle symbol of a valve in a horizontal line."""
        x, y = centre
        for side in (-1, 1):
            self.draw.polygon(
                [
                    (x, y),
                    (x + side * size, y - size * 0.7),
                    (x + side * size, y + size * 0.7),
                ],
                fill=fill,
                outline=INK,
            )

    def pump(self, centre: Point, radius: float = 18, *, fill: Colour = LIGHT) -> None:
        """The circle-and-triangle symbol of a pump that delivers upwards."""
        x, y = centre
        self.circle(centre, radius, fill=fill)
        self.draw.polygon(
            [
                (x, y - radius + 1),
                (x - radius * 0.5, y - radius * 0.25),
                (x + radius * 0.5, y - radius * 0.25),
            ],
            fill=INK,
        )

    def steps(self, texts: Sequence[str], *, top: float = 70, per_row: int = 3, size: int = 13) -> None:
        """A numbered sequence as boxes joined by arrows, row after row, each row from left to right."""
        gap, margin, height, pitch = 30, 20, 76, 106
        width = (self.width - 2 * margin - gap * (per_row - 1)) / per_row
        for index, text in enumerate(texts):
            row, column = divmod(index, per_row)
            left, y = margin + column * (width + gap), top + row * pitch
            self.box((left, y, left + width, y + height), text, size=size)
            self.circle((left, y), 11, fill=BLUE, outline=BLUE)
            self.label((left, y), str(index + 1), size=12, colour=PAPER)
            if index + 1 == len(texts):
                break
            if column + 1 < per_row:
                self.arrow(
                    (left + width + 3, y + height / 2),
                    (left + width + gap - 3, y + height / 2),
                )
            else:
                middle = y + height + (pitch - height) / 2
                self.line(
                    [
                        (left + width / 2, y + height),
                        (left + width / 2, middle),
                        (margin + width / 2, middle),
                    ]
                )
                self.arrow((margin + width / 2, middle), (margin + width / 2, y + pitch - 2))
