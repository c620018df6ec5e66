"""The figures of the pumps' manuals: section, curve and descaling system."""

from __future__ import annotations

from collections.abc import Callable

from demo.drawing import AMBER, BLUE, GREEN, HOT, INK, LIGHT, MUTED, PAPER, RED, STEEL, WATER, Drawing


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
    d.callout((604, 212), (603, 366), "coupling")
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


FIGURES: dict[str, Callable[[], Drawing]] = {
    "pump/pump-section.png": pump_section,
    "pump/pump-curve.png": pump_curve,
    "pump/pump-descaling-circuit.png": descaling_circuit,
    "pump/pump-descaling-nozzles.png": descaling_nozzles,
}
