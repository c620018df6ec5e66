"""Draws the figures of the pump, conveyor, welder and coiler manuals."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from demo.drawing import AMBER, BLUE, GREEN, HOT, INK, LIGHT, MUTED, OIL, PAPER, RED, STEEL, WATER, Drawing, Rect


def render_figures(out_dir: Path) -> list[Path]:
    """Draw every figure as `out_dir/<family>/<name>.png`, byte-identical from run to run, and return the paths."""
    return [figure().save(out_dir / name) for name, figure in FIGURES.items()]


def pump_section() -> Drawing:
    d = Drawing("Cooling-water pump, section through the shaft")
    d.draw.pieslice((225, 110, 415, 300), 0, 360, fill=WATER, outline=INK, width=2)
    d.hatch((270, 92, 370, 124))
    d.hatch((270, 286, 370, 318))
    d.box((297, 140, 343, 270), "impeller", fill=STEEL, size=11)
    d.box((90, 196, 560, 214), fill=STEEL, radius=2)
    for x in (110, 480):
        d.hatch((x, 170, x + 44, 240))
        d.circle((x + 22, 182), 8, fill=PAPER)
        d.circle((x + 22, 228), 8, fill=PAPER)
    d.box((176, 184, 216, 226), fill=AMBER, radius=3)
    d.box((424, 184, 464, 226), fill=AMBER, radius=3)
    d.box((560, 178, 604, 232), fill=LIGHT)
    d.callout((132, 240), (70, 292), "free end\n6315 C3")
    d.callout((502, 240), (540, 292), "drive end\nNU 315")
    d.callout((444, 226), (452, 338), "seal cartridge MS-85")
    d.callout((444, 184), (486, 126), "flush, chamber + 0.5 bar", colour=BLUE)
    d.callout((582, 178), (582, 84), "coupling")
    d.arrow((320, 380), (320, 322), colour=BLUE, width=4)
    d.label((330, 368), "suction", anchor="lm", colour=BLUE)
    d.arrow((256, 110), (256, 58), colour=BLUE, width=4)
    d.label((246, 76), "discharge", anchor="rm", colour=BLUE)
    return d


def pump_curve() -> Drawing:
    d = Drawing("P-101 to P-104 at 1485 rpm: head and required NPSH")
    place = d.axes(
        (70, 80, 600, 320),
        x_range=(0, 1200),
        y_range=(0, 80),
        x_label="flow, m3/h",
        y_label="head, m; five times the required NPSH, m",
        x_ticks=range(0, 1201, 200),
        y_ticks=range(0, 81, 20),
    )
    left, bottom = place(500, 0)
    right, top = place(950, 80)
    d.draw.rectangle((left, top, right, bottom - 1), fill=(228, 242, 230))
    d.label(((left + right) / 2, top + 12), "permitted range", size=12, colour=GREEN)
    flows = range(0, 1151, 25)
    d.curve(place, [(q, 66 - 14 * (q / 820) ** 2) for q in flows])
    d.curve(place, [(q, 5 * (2.2 + 2.4 * (q / 820) ** 3)) for q in flows], colour=RED)
    d.circle(place(820, 52), 5, fill=BLUE)
    d.callout(place(820, 52), (490, 110), "820 m3/h, 52 m")
    d.callout(place(820, 23), (470, 286), "NPSH 4.6 m", colour=RED)
    return d


def descaling_circuit() -> Drawing:
    d = Drawing("Descaling system: one of two equal branches")
    d.box((24, 200, 104, 250), "basin", fill=WATER)
    d.pump((150, 225), 20)
    d.label((150, 262), "boost pump\n3.5 to 5 bar", size=12, anchor="mt")
    d.box((196, 206, 250, 244), "filter\n0.1 mm", size=12)
    d.pump((306, 225), 26, fill=AMBER)
    d.label((306, 266), "P-105\nfive plungers", size=12, anchor="mt")
    for a, b in (
        ((104, 225), (130, 225)),
        ((170, 225), (196, 225)),
        ((250, 225), (280, 225)),
        ((332, 225), (520, 225)),
    ):
        d.line([a, b], colour=BLUE, width=4)
    d.line([(360, 225), (360, 130), (64, 130), (64, 200)], colour=BLUE, width=2, dash=6)
    d.valve((210, 130))
    d.label((210, 112), "bypass BPV-63", size=12)
    d.circle((410, 150), 24, fill=LIGHT)
    d.line([(410, 174), (410, 225)], width=3)
    d.label((410, 104), "AC-64\nnitrogen 120 bar", size=12)
    d.line([(450, 225), (450, 300)], width=2)
    d.valve((450, 300))
    d.label((450, 322), "relief RV-65, 225 bar", size=12, colour=RED)
    d.valve((490, 225))
    for y in (150, 300):
        d.line([(520, 225), (520, y), (610, y)], colour=BLUE, width=4)
    for x in range(540, 611, 16):
        d.line([(x, 152), (x - 5, 208)], colour=WATER, width=2)
        d.line([(x, 298), (x - 5, 242)], colour=WATER, width=2)
    d.box((526, 212, 624, 238), "slab", fill=HOT, radius=2)
    d.label((566, 130), "24 nozzles", size=12)
    d.label((566, 350), "190 bar at the header", size=13, colour=BLUE)
    return d


def descaling_nozzles() -> Drawing:
    d = Drawing("Flat-jet nozzles DN-2603 on a header")
    d.box((60, 80, 580, 110), "header", fill=STEEL)
    for i in range(6):
        x = 100 + i * 88
        d.box((x - 9, 110, x + 9, 132), fill=AMBER, radius=2)
        d.draw.polygon([(x, 132), (x - 54, 270), (x + 54, 270)], outline=BLUE, fill=None)
    d.box((40, 270, 600, 306), "slab", fill=HOT, radius=2)
    d.dimension((100, 65), (188, 65), "75 mm")
    d.dimension((616, 132), (616, 270), "")
    d.label((628, 66), "150 mm", size=13, anchor="rm", colour=BLUE)
    d.label((60, 340), "seen from above: jets turned by 15°", anchor="lm", size=13)
    for i in range(5):
        x = 350 + i * 54
        d.line([(x - 24, 346), (x + 24, 332)], colour=BLUE, width=4)
    d.label((60, 372), "rated flow 38 l/min, worn at 15 % more", anchor="lm", size=13, colour=MUTED)
    return d


def belt_tracking() -> Drawing:
    d = Drawing("Steering a belt by turning one idler frame (view from above)")
    for index, (name, turn, shift) in enumerate((("centred", 0.0, 0), ("idler turned", 0.14, 34))):
        left = 50 + index * 300
        d.label((left + 115, 62), name, size=15)
        points = [(left + 50 + shift * (1 - k / 10), 84 + k * 26) for k in range(11)]
        d.draw.polygon([*points, *[(x + 130, y) for x, y in reversed(points)]], fill=(92, 98, 106), outline=INK)
        for k in range(4):
            y = 110 + k * 70
            dy = 110 * turn if k == 1 else 0
            d.line([(left + 5, y + dy), (left + 225, y - dy)], colour=RED if dy else STEEL, width=7)
        d.arrow((left + 115, 340), (left + 115, 86), colour=PAPER, width=3)
    d.callout((570, 164), (590, 250), "", colour=RED)
    d.label((628, 262), "2 mm", size=14, colour=RED, anchor="rm")
    d.label((320, 372), "The belt moves to the side that it reaches first. Wait three turns after every step.", size=13)
    return d


def drive_station() -> Drawing:
    d = Drawing("CV-1: drive station, gravity take-up, scraper and impact bed")
    d.line([(100, 130), (560, 130)], width=6)
    d.line([(100, 210), (250, 210)], width=6)
    d.line([(390, 210), (560, 210)], width=6)
    d.circle((100, 170), 40, fill=STEEL)
    d.label((100, 170), "tail", size=13)
    d.circle((560, 170), 40, fill=AMBER)
    d.label((560, 170), "drive", size=13)
    for x in (280, 360):
        d.circle((x, 226), 14, fill=LIGHT)
    d.line([(250, 210), (292, 226), (306, 290)], width=4)
    d.line([(390, 210), (348, 226), (334, 290)], width=4)
    d.circle((320, 296), 16, fill=STEEL)
    d.box((276, 322, 364, 370), "640 kg", fill=AMBER)
    d.line([(320, 312), (320, 322)], width=3)
    for x in range(150, 240, 18):
        d.circle((x, 142), 7, fill=HOT)
    d.draw.polygon([(150, 60), (240, 60), (220, 122), (170, 122)], fill=LIGHT, outline=INK)
    d.label((195, 84), "chute", size=13)
    d.callout((204, 148), (214, 182), "impact idlers, 350 mm", size=12)
    for x in (300, 380, 460):
        d.circle((x, 142), 7, fill=LIGHT)
    d.label((380, 164), "idlers, 1 200 mm", size=12)
    d.line([(606, 186), (626, 210)], colour=RED, width=5)
    d.callout((612, 194), (500, 260), "scraper, 0.6 bar", colour=RED)
    d.arrow((330, 108), (450, 108), colour=BLUE, width=3)
    d.label((390, 92), "0.9 m/s", colour=BLUE)
    return d


def conveyor_zones() -> Drawing:
    d = Drawing("Conveyors CV-1 to CV-5: danger zones and isolating switches")
    belts: list[tuple[str, Rect]] = [
        ("CV-1", (60, 80, 300, 112)),
        ("CV-2", (340, 80, 580, 112)),
        ("CV-3", (60, 170, 420, 196)),
        ("CV-4", (470, 170, 580, 196)),
        ("CV-5", (60, 270, 580, 310)),
    ]
    for name, rect in belts:
        d.box(rect, name, fill=STEEL)
        d.box((rect[2] - 14, rect[3] + 6, rect[2], rect[3] + 20), fill=RED, radius=2)
    zones = {
        "Z1": [(60, 96), (340, 96)],
        "Z2": [(200, 96)],
        "Z3": [(270, 96), (540, 96)],
        "Z4": [(500, 184)],
        "Z5": [(320, 290)],
    }
    for name, places in zones.items():
        for x, y in places:
            d.circle((x, y), 24, fill=None, outline=HOT, width=4)
            d.label((x, y + 34), name, size=14, colour=HOT)
    d.box((40, 356, 54, 370), fill=RED, radius=2)
    d.label((62, 363), "isolating switch at the drive station", size=13, anchor="lm")
    d.circle((360, 363), 9, fill=None, outline=HOT, width=3)
    d.label((376, 363), "danger zone", size=13, anchor="lm")
    return d


def lockout_steps() -> Drawing:
    d = Drawing("Lock-out of a conveyor")
    d.steps(
        [
            "Tell the pulpit",
            "Run the belt\nempty, stop",
            "Switch to zero,\npadlock",
            "Lower the\ncounterweight",
            "Bleed the scraper\nair to 0 bar",
            "Try to start:\nmust not move",
            "Hang up the\nred card",
        ]
    )
    return d


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
    "pump/pump-section.png": pump_section,
    "pump/pump-curve.png": pump_curve,
    "pump/pump-descaling-circuit.png": descaling_circuit,
    "pump/pump-descaling-nozzles.png": descaling_nozzles,
    "conveyor/conveyor-tracking.png": belt_tracking,
    "conveyor/conveyor-drive-station.png": drive_station,
    "conveyor/conveyor-zones.png": conveyor_zones,
    "conveyor/conveyor-lockout.png": lockout_steps,
    "welder/welder-layout.png": welder_layout,
    "welder/welder-cycle.png": welder_cycle,
    "welder/welder-camera-setup.png": camera_setup,
    "welder/welder-seam-classes.png": seam_classes,
    "coiler/coiler-mandrel-section.png": mandrel_section,
    "coiler/coiler-tension-curve.png": tension_curve,
    "coiler/coiler-coil-shapes.png": coil_shapes,
    "coiler/coiler-tension-record.png": tension_record,
}
