"""The figures of the welder's manuals: layout, laser cycle, cameras and classes of seams."""

from __future__ import annotations

from collections.abc import Callable

from demo.drawing import AMBER, BLUE, GREEN, HOT, INK, LIGHT, MUTED, RED, STEEL, WATER, Drawing


def welder_layout() -> Drawing:
    d = Drawing("Welder W1, side view")
    d.line([(20, 236), (620, 236)], width=5, colour=STEEL)
    d.arrow((24, 262), (90, 262), colour=BLUE)
    d.label((96, 262), "strip", anchor="lm", colour=BLUE)
    for x, name in ((130, "entry clamp"), (300, "exit clamp")):
        d.hatch((x, 168, x + 60, 230))
        d.hatch((x, 242, x + 60, 304))
        d.label((x + 30, 322), f"{name}\n480 kN", size=12, anchor="mt")
    d.draw.polygon([(205, 180), (218, 180), (211, 226)], fill=AMBER, outline=INK)
    d.draw.polygon([(228, 180), (241, 180), (234, 226)], fill=AMBER, outline=INK)
    d.label((205, 136), "double shear", size=12)
    d.line([(110, 84), (600, 84)], width=8, colour=STEEL)
    d.label((126, 66), "beam with linear motor", size=12, anchor="lm")
    d.box((246, 90, 284, 150), "laser", fill=WATER, size=11)
    d.draw.polygon([(256, 150), (274, 150), (265, 232)], fill=RED)
    d.callout((284, 116), (330, 128), "12 kW, helium 28 l/min")
    d.box((390, 150, 440, 190), "SC-1", size=12)
    d.line([(415, 190), (415, 232)], dash=4, colour=MUTED)
    d.label((415, 206), "camera", size=11)
    d.circle((480, 216), 19, fill=STEEL)
    d.circle((480, 256), 19, fill=STEEL)
    d.label((480, 292), "planishing\n60 kN", size=12)
    d.box((540, 206, 600, 230), fill=HOT)
    d.label((570, 186), "annealer\n720 °C", size=12)
    return d


def welder_cycle() -> Drawing:
    d = Drawing("Laser cycle of 52 s and reserve of the accumulator")
    left, width, span = 150, 460, 80.0
    phases = [
        ("Stop and thread", 0, 14, STEEL),
        ("Centre and clamp", 14, 20, LIGHT),
        ("Cut", 20, 25, AMBER),
        ("Close the gap", 25, 28, LIGHT),
        ("Weld", 28, 42, RED),
        ("Planish, picture", 42, 48, BLUE),
        ("Release", 48, 52, GREEN),
    ]
    for row, (name, start, end, colour) in enumerate(phases):
        y = 66 + row * 34
        d.label((left - 10, y + 11), name, size=13, anchor="rm")
        d.box((left + width * start / span, y, left + width * end / span, y + 22), fill=colour, radius=2, width=1)
    for tick in range(0, 81, 10):
        x = left + width * tick / span
        d.line([(x, 306), (x, 314)], width=1)
        d.label((x, 318), str(tick), size=12, anchor="mt")
    d.line([(left, 306), (left + width, 306)])
    d.label((left + width / 2, 346), "seconds", size=13)
    x = left + width * 75 / span
    d.line([(x, 56), (x, 306)], colour=RED, dash=6)
    d.label((x - 6, 90), "accumulator\nempty at 75 s", size=12, anchor="rm", colour=RED)
    d.dimension((left + width * 52 / span, 282), (x, 282), "23 s")
    return d


def camera_setup() -> Drawing:
    d = Drawing("Seam cameras, lamp and profile laser")
    d.box((60, 220, 300, 236), fill=STEEL, radius=1)
    d.box((340, 220, 580, 236), fill=STEEL, radius=1)
    d.draw.ellipse((294, 210, 346, 246), fill=AMBER, outline=INK, width=2)
    for y, end, name in ((66, 206, "SC-1"), (362, 250, "SC-2")):
        d.box((290, y - 18, 350, y + 18), name)
        d.line([(320, y + (18 if y < 200 else -18)), (320, end)], colour=MUTED, dash=5)
    d.circle((520, 100), 20, fill=(255, 238, 160))
    d.label((520, 68), "flash lamp, drive side", size=13)
    d.arrow((502, 110), (348, 206), colour=HOT, width=3)
    d.draw.arc((270, 150, 430, 290), 325, 360, fill=INK, width=2)
    d.label((446, 206), "30°", size=14)
    d.box((110, 84, 180, 116), "PL-3", fill=LIGHT)
    d.arrow((160, 118), (300, 210), colour=RED, width=2)
    d.label((145, 70), "profile laser", size=13)
    d.label((180, 262), "operator side", size=13, colour=MUTED)
    d.label((470, 262), "drive side", size=13, colour=MUTED)
    return d


def seam_classes() -> Drawing:
    d = Drawing("Cross-sections of seams and their classes")
    names = ("A: sound", "B, C: pores", "D: step above 10 %", "D: burnt through")
    for index, name in enumerate(names):
        left, top = 40 + (index % 2) * 300, 80 + (index // 2) * 155
        step = 16 if index == 2 else 0
        d.box((left, top + 30, left + 115, top + 70), fill=STEEL, radius=1)
        d.box((left + 145, top + 30 - step, left + 260, top + 70 - step), fill=STEEL, radius=1)
        bead = (left + 104, top + 24 - step / 2, left + 156, top + 76 - step / 2)
        if index == 3:
            d.draw.polygon(
                [(left + 112, top + 30), (left + 126, top + 64), (left + 118, top + 84), (left + 106, top + 70)],
                fill=HOT,
                outline=INK,
            )
            d.draw.polygon(
                [(left + 148, top + 30), (left + 136, top + 62), (left + 144, top + 90), (left + 154, top + 70)],
                fill=HOT,
                outline=INK,
            )
        else:
            d.draw.ellipse(bead, fill=AMBER, outline=INK, width=2)
        if index == 1:
            for dx, dy, r in ((118, 44, 4), (132, 56, 5), (142, 40, 3), (126, 34, 3)):
                d.circle((left + dx, top + dy), r, fill=INK)
        d.label((left + 130, top + 110), name, size=15, colour=GREEN if index == 0 else RED if index > 1 else INK)
    return d


FIGURES: dict[str, Callable[[], Drawing]] = {
    "welder/welder-layout.png": welder_layout,
    "welder/welder-cycle.png": welder_cycle,
    "welder/welder-camera-setup.png": camera_setup,
    "welder/welder-seam-classes.png": seam_classes,
}
