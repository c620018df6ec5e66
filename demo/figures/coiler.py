"""The figures of the coiler's manuals: mandrel, winding tension and shapes of coils."""

from __future__ import annotations

import math
from collections.abc import Callable

from demo.drawing import AMBER, BLUE, INK, LIGHT, MUTED, OIL, RED, STEEL, Drawing


def mandrel_section() -> Drawing:
    d = Drawing("Mandrel: section lengthwise and three positions")
    d.box((40, 150, 330, 182), "shaft with wedge rod", fill=LIGHT, size=12)
    for side, y in ((-1, 150), (1, 182)):
        d.draw.polygon([(90, y), (310, y), (310, y + side * 26), (90, y + side * 40)], fill=STEEL, outline=INK)
    d.label((200, 128), "segments", size=13)
    d.box((352, 140, 420, 192), "cylinder", fill=OIL, size=13)
    d.line([(330, 166), (352, 166)], width=6)
    d.arrow((346, 220), (286, 220), colour=BLUE, width=3)
    d.label((318, 236), "expands at 95 bar or more", size=12, colour=BLUE)
    d.hatch((24, 140, 40, 192))
    d.callout((32, 140), (60, 84), "outboard bearing")
    for index, (name, diameter, radius) in enumerate(
        (("collapsed", 727, 36), ("pre-expanded", 745, 42), ("expanded", 762, 48))
    ):
        x = 140 + index * 170
        d.circle((x, 306), 52, fill=None, outline=MUTED, width=1)
        for quarter in range(4):
            bounds = (x - radius, 306 - radius, x + radius, 306 + radius)
            d.draw.pieslice(bounds, quarter * 90 + 6, quarter * 90 + 84, fill=STEEL, outline=INK)
        d.circle((x, 306), 14, fill=LIGHT)
        d.label((x, 376), f"{name}: {diameter} mm", size=14)
    d.label((520, 100), "grease HT-180\n20 cm3 every 50 coils", size=13, colour=OIL)
    return d


def tension_curve() -> Drawing:
    d = Drawing("Specific winding tension over the strip thickness")
    place = d.axes(
        (70, 80, 600, 320),
        x_range=(0, 14),
        y_range=(0, 18),
        x_label="strip thickness, mm",
        y_label="tension, MPa",
        x_ticks=range(0, 15, 2),
        y_ticks=range(0, 19, 3),
    )
    thicknesses = [2 + 0.25 * i for i in range(41)]
    body = [(t, 12 - 6 * (t - 2) / 10) for t in thicknesses]
    d.curve(place, body)
    d.curve(place, [(t, 1.3 * s) for t, s in body], colour=RED, dash=8)
    d.callout(place(4, 14.04), (300, 110), "first five laps: 30 % more", colour=RED)
    d.callout(place(7, 9), (390, 250), "body of the coil", colour=BLUE)
    d.line([place(6, 0), place(6, 18)], colour=MUTED, dash=4)
    d.label((place(6, 0)[0] - 6, 306), "high gear", size=12, anchor="rm", colour=MUTED)
    d.label((place(6, 0)[0] + 6, 306), "low gear", size=12, anchor="lm", colour=MUTED)
    return d


def coil_shapes() -> Drawing:
    d = Drawing("Shapes of coils, seen from the side and in section")
    names = ("tight", "telescoped\ninwards", "telescoped\noutwards", "oval")
    for index, name in enumerate(names):
        x = 86 + index * 156
        squeeze = 0.72 if index == 3 else 1.0
        for ring in range(9):
            rx, ry = 26 + ring * 5, (26 + ring * 5) * (squeeze if ring < 4 else (1 + squeeze) / 2)
            d.draw.ellipse((x - rx, 130 - ry, x + rx, 130 + ry), outline=INK, width=2)
        for lap in range(12):
            shift = {1: max(0, 5 - lap) * 7, 2: max(0, lap - 7) * 8}.get(index, 0)
            for top in (270 - lap * 4, 300 + lap * 4):
                d.draw.line((x - 36 + shift, top, x + 20 + shift, top), fill=BLUE if shift else INK, width=3)
        d.label((x, 374), name, size=13)
    return d


def tension_record() -> Drawing:
    d = Drawing("Record of a winding: tension jump and moved laps")
    place = d.axes(
        (70, 80, 600, 320),
        x_range=(0, 60),
        y_range=(0, 160),
        x_label="seconds since the head was caught",
        y_label="tension, % of set value; side offset, mm",
        x_ticks=range(0, 61, 10),
        y_ticks=range(0, 161, 40),
    )
    seconds = [0.5 * i for i in range(121)]
    d.curve(
        place,
        [(t, (130 if t < 5 else 100) + 3 * math.sin(t * 2.1) + 38 * math.exp(-((t - 36) ** 2) / 5)) for t in seconds],
    )
    d.curve(place, [(t, 6 + 48 / (1 + math.exp(-(t - 38) * 1.2))) for t in seconds], colour=RED)
    d.line([place(0, 120), place(60, 120)], colour=AMBER, dash=6)
    d.label((place(60, 120)[0] - 4, place(60, 120)[1] - 4), "limit: 20 % above", size=12, anchor="rb", colour=AMBER)
    d.callout(place(36, 138), (270, 96), "jump, CL-E28", colour=BLUE)
    d.callout(place(48, 54), (500, 266), "laps stand out", colour=RED)
    return d


FIGURES: dict[str, Callable[[], Drawing]] = {
    "coiler/coiler-mandrel-section.png": mandrel_section,
    "coiler/coiler-tension-curve.png": tension_curve,
    "coiler/coiler-coil-shapes.png": coil_shapes,
    "coiler/coiler-tension-record.png": tension_record,
}
