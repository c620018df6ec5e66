"""Geometry of SVG: transforms, and paths and shapes as moves, lines and cubic curves."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(r"[MmZzLlHhVvCcSsQqTtAa]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_NUMBERS = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TRANSFORM = re.compile(r"(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^)]*)\)")
_COUNT = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_MAX_CURVES = 50_000
_CIRCLE = 0.5522847498  # control points of a quarter circle as a cubic curve
_BOUND = 1e7

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Matrix:
    """x' = a x + c y + e, y' = b x + d y + f."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def then(self, inner: Matrix) -> Matrix:
        """The transform that applies `inner` first."""
        return Matrix(
            self.a * inner.a + self.c * inner.b,
            self.b * inner.a + self.d * inner.b,
            self.a * inner.c + self.c * inner.d,
            self.b * inner.c + self.d * inner.d,
            self.a * inner.e + self.c * inner.f + self.e,
            self.b * inner.e + self.d * inner.f + self.f,
        )

    def point(self, x: float, y: float) -> Point:
        """The transformed point, kept within what PDFium can draw."""
        px, py = self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f
        return _bounded(px), _bounded(py)

    @property
    def scale(self) -> float:
        """Mean enlargement, for the width of lines."""
        return math.sqrt(abs(self.a * self.d - self.b * self.c))


IDENTITY = Matrix(1, 0, 0, 1, 0, 0)


def _bounded(value: float) -> float:
    return max(-_BOUND, min(_BOUND, value)) if math.isfinite(value) else 0.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A move, a line, a cubic curve (its two controls and its end) or the closing of a figure."""

    kind: Literal["M", "L", "C", "Z"]
    points: tuple[Point, ...]


def transform_of(text: str) -> Matrix:
    """The `transform` attribute as one matrix."""
    result = IDENTITY
    for name, arguments in _TRANSFORM.findall(text):
        v = [float(n) for n in _NUMBERS.findall(arguments)]
        if name == "matrix" and len(v) == 6:
            step = Matrix(*v)
        elif name == "translate" and v:
            step = Matrix(1, 0, 0, 1, v[0], v[1] if len(v) > 1 else 0.0)
        elif name == "scale" and v:
            step = Matrix(v[0], 0, 0, v[1] if len(v) > 1 else v[0], 0, 0)
        elif name == "rotate" and v:
            cos, sin = math.cos(math.radians(v[0])), math.sin(math.radians(v[0]))
            step = Matrix(cos, sin, -sin, cos, 0, 0)
            if len(v) >= 3:
                step = Matrix(1, 0, 0, 1, v[1], v[2]).then(step).then(Matrix(1, 0, 0, 1, -v[1], -v[2]))
        elif name == "skewX" and v:
            step = Matrix(1, 0, math.tan(math.radians(v[0])), 1, 0, 0)
        elif name == "skewY" and v:
            step = Matrix(1, math.tan(math.radians(v[0])), 0, 1, 0, 0)
        else:
            continue
        result = result.then(step)
    return result


def path_curves(d: str) -> list[Curve]:
    """The `d` attribute of a path; it is read up to its first mistake, as the specification asks."""
    tokens = _TOKEN.findall(d)
    curves: list[Curve] = []
    x = y = start_x = start_y = 0.0
    control: Point | None = None  # of the curve before, for the smooth commands
    before = command = ""
    place = 0
    while place < len(tokens) and len(curves) < _MAX_CURVES:
        if tokens[place].isalpha():
            command = tokens[place]
            place += 1
        elif command in ("", "Z", "z"):
            break
        upper = command.upper()
        raw = tokens[place : place + _COUNT[upper]]
        if len(raw) < _COUNT[upper] or any(token.isalpha() for token in raw) or (not curves and upper != "M"):
            break
        place += _COUNT[upper]
        v = [float(token) for token in raw]
        dx, dy = (x, y) if command.islower() else (0.0, 0.0)
        held, control = control, None
        if upper == "Z":
            curves.append(Curve("Z", ()))
            x, y = start_x, start_y
        elif upper in "ML":
            x, y = v[0] + dx, v[1] + dy
            curves.append(Curve("M" if upper == "M" else "L", ((x, y),)))
            if upper == "M":
                start_x, start_y = x, y
                command = "l" if command == "m" else "L"  # further pairs are lines
        elif upper in "HV":
            x, y = (v[0] + dx, y) if upper == "H" else (x, v[0] + dy)
            curves.append(Curve("L", ((x, y),)))
        elif upper == "A":
            end = (v[5] + dx, v[6] + dy)
            curves += _arc((x, y), end, v[0], v[1], v[2], bool(v[3]), bool(v[4]))
            x, y = end
        else:
            pairs = [(v[n] + dx, v[n + 1] + dy) for n in range(0, len(v), 2)]
            mirrored = (2 * x - held[0], 2 * y - held[1]) if held and before in _FAMILY[upper] else (x, y)
            if upper in "CS":
                first = pairs[0] if upper == "C" else mirrored
                control, end = pairs[-2], pairs[-1]
                curves.append(Curve("C", (first, control, end)))
            else:
                control = pairs[0] if upper == "Q" else mirrored
                end = pairs[-1]
                curves.append(_quadratic((x, y), control, end))
            x, y = end
        before = upper
    return curves


_FAMILY = {"C": "CS", "S": "CS", "Q": "QT", "T": "QT"}


def _quadratic(start: Point, control: Point, end: Point) -> Curve:
    def between(point: Point) -> Point:
        return point[0] + 2 / 3 * (control[0] - point[0]), point[1] + 2 / 3 * (control[1] - point[1])

    return Curve("C", (between(start), between(end), end))


def _arc(start: Point, end: Point, rx: float, ry: float, turn: float, large: bool, sweep: bool) -> list[Curve]:
    """An elliptical arc as cubic curves (SVG 1.1, appendix F.6)."""
    rx, ry = abs(rx), abs(ry)
    if rx == 0 or ry == 0 or start == end:
        return [Curve("L", (end,))]
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    hx, hy = (start[0] - end[0]) / 2, (start[1] - end[1]) / 2
    px, py = cos * hx + sin * hy, cos * hy - sin * hx
    grow = (px / rx) ** 2 + (py / ry) ** 2
    if grow > 1:
        rx, ry = rx * math.sqrt(grow), ry * math.sqrt(grow)
    denominator = (rx * py) ** 2 + (ry * px) ** 2
    root = math.sqrt(max(0.0, ((rx * ry) ** 2 - denominator) / denominator)) if denominator else 0.0
    if large == sweep:
        root = -root
    cx, cy = root * rx * py / ry, -root * ry * px / rx
    mx, my = cos * cx - sin * cy + (start[0] + end[0]) / 2, sin * cx + cos * cy + (start[1] + end[1]) / 2
    first = math.atan2((py - cy) / ry, (px - cx) / rx)
    span = math.atan2((-py - cy) / ry, (-px - cx) / rx) - first
    if sweep and span < 0:
        span += 2 * math.pi
    elif not sweep and span > 0:
        span -= 2 * math.pi
    pieces = max(1, math.ceil(abs(span) / (math.pi / 2)))
    place = Matrix(cos * rx, sin * rx, -sin * ry, cos * ry, mx, my)
    curves = []
    for n in range(pieces):
        a, b = first + span * n / pieces, first + span * (n + 1) / pieces
        reach = 4 / 3 * math.tan((b - a) / 4)
        one = place.point(math.cos(a) - reach * math.sin(a), math.sin(a) + reach * math.cos(a))
        two = place.point(math.cos(b) + reach * math.sin(b), math.sin(b) - reach * math.cos(b))
        curves.append(Curve("C", (one, two, place.point(math.cos(b), math.sin(b)))))
    return curves


def shape_curves(name: str, get: Callable[[str], str | None]) -> list[Curve]:
    """Rectangles, circles, ellipses, lines and polygons by their attributes; nothing for other elements."""

    def number(attribute: str) -> float:
        found = _NUMBERS.search(get(attribute) or "")
        return float(found.group()) if found else 0.0

    if name == "rect":
        x, y, w, h = number("x"), number("y"), number("width"), number("height")
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        return _polygon(corners, closed=True) if w > 0 and h > 0 else []
    if name in ("circle", "ellipse"):
        rx = number("r") if name == "circle" else number("rx")
        ry = number("r") if name == "circle" else number("ry")
        return _ellipse(number("cx"), number("cy"), rx, ry) if rx > 0 and ry > 0 else []
    if name == "line":
        return _polygon([(number("x1"), number("y1")), (number("x2"), number("y2"))], closed=False)
    if name in ("polyline", "polygon"):
        values = [float(n) for n in _NUMBERS.findall(get("points") or "")][:_MAX_CURVES]
        return _polygon(list(zip(values[::2], values[1::2], strict=False)), closed=name == "polygon")
    return []


def _polygon(points: list[Point], *, closed: bool) -> list[Curve]:
    if len(points) < 2:
        return []
    curves = [Curve("M", (points[0],)), *(Curve("L", (point,)) for point in points[1:])]
    return [*curves, Curve("Z", ())] if closed else curves


def _ellipse(cx: float, cy: float, rx: float, ry: float) -> list[Curve]:
    k = _CIRCLE
    unit = [
        ((1, k), (k, 1), (0, 1)),
        ((-k, 1), (-1, k), (-1, 0)),
        ((-1, -k), (-k, -1), (0, -1)),
        ((k, -1), (1, -k), (1, 0)),
    ]
    curves = [Curve("M", ((cx + rx, cy),))]
    curves += [Curve("C", tuple((cx + rx * x, cy + ry * y) for x, y in quarter)) for quarter in unit]
    return [*curves, Curve("Z", ())]
