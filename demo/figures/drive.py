"""The figures of the drives' manuals: motor, winding, gearbox oil and tooth contact."""

from __future__ import annotations

import math
from collections.abc import Callable

from demo.drawing import AMBER, GREEN, INK, MUTED, OIL, RED, STEEL, WATER, Drawing


def motor_thermal_zones() -> Drawing:
    d = Drawing("Main drive motor: what the thermal camera sees")
    d.box((150, 130, 490, 300), fill=(190, 220, 226))
    d.box((230, 150, 410, 280), "stator frame\nwarning 130 °C\ntrip 145 °C\n(winding)", fill=(248, 206, 150))
    d.box((220, 76, 420, 130), "air-to-water cooler\nair below 45 °C", fill=WATER)
    for left, text in ((76, "non-drive\nend"), (490, "drive\nend")):
        d.box((left, 180, left + 74, 250), text, fill=(252, 226, 128), size=13)
    d.box((564, 205, 624, 225), fill=STEEL, radius=0)
    d.box((16, 205, 76, 225), fill=STEEL, radius=0)
    d.box((130, 300, 510, 322), "foundation bolts M56, 4 200 Nm", fill=STEEL, radius=0, size=12)
    d.callout((527, 184), (540, 120), "bearing\nBRG-23160-C4")
    d.callout((110, 184), (104, 120), "bearing\nBRG-NU1056-M1", size=12)
    d.label((320, 348), "A hot bearing shows at the end of the shaft: 85 °C warning, 95 °C trip.", size=14)
    d.label((320, 372), "A hot winding shows in the middle of the frame.", size=14)
    return d


def winding_temperature() -> Drawing:
    d = Drawing("Stator winding temperature at constant load")
    place = d.axes(
        (70, 80, 610, 320),
        x_range=(0, 60),
        y_range=(40, 180),
        x_label="minutes",
        y_label="winding temperature, °C",
        x_ticks=range(0, 61, 10),
        y_ticks=range(40, 181, 20),
    )
    for rise, colour, text, stop in (
        (55, GREEN, "100 %", 60),
        (118, AMBER, "150 %", 60),
        (160, RED, "175 %", 28),
    ):
        points = [
            (t, 60 + rise * (1 - math.exp(-t / 22))) for t in range(stop + 1) if rise * (1 - math.exp(-t / 22)) < 86
        ]
        d.curve(place, points, colour=colour)
        x, y = place(*points[-1])
        d.label((x - 6, y - 14 if stop < 60 or rise > 100 else y + 16), text, size=13, colour=colour, anchor="rm")
    d.curve(place, [(0, 130), (60, 130)], colour=MUTED, width=2, dash=7)
    d.curve(place, [(0, 145), (60, 145)], colour=INK, width=2, dash=7)
    d.label(place(59, 125), "warning 130 °C", size=13, anchor="rm")
    d.label(place(59, 150), "trip 145 °C", size=13, anchor="rm")
    return d


def gearbox_oil_circuit() -> Drawing:
    d = Drawing("Oil circuit of a gearbox")
    d.box((400, 70, 610, 170), "gearbox\nspray nozzles\n2.5 bar", fill=STEEL)
    d.box((60, 290, 580, 350), "oil tank, OIL-CLP-320, 40 to 55 °C", fill=(240, 214, 160))
    for x, text in ((80, "duty"), (172, "stand-by,\nbelow 1.5 bar")):
        d.pump((x, 236), 22)
        d.line([(x, 258), (x, 290)], colour=OIL, width=4)
        d.line([(x, 214), (x, 120)], colour=OIL, width=4)
        d.label((x + 28, 236), text, size=12, anchor="lm")
    d.line([(80, 120), (400, 120)], colour=OIL, width=4)
    d.box((192, 92, 258, 148), "filter\n25 micron", size=13)
    d.box((272, 92, 326, 148), "cooler", fill=WATER, size=13)
    d.gauge((362, 84), 33, low=0, high=4, value=2.5, unit="bar", divisions=2)
    d.arrow((505, 172), (505, 288), colour=OIL, width=4)
    d.label((515, 230), "return", size=13, anchor="lm")
    d.label((225, 76), "FLT-GB-25", size=12, colour=MUTED)
    d.label((320, 374), "The drive trips at 0.8 bar and at 70 °C.", size=14, colour=RED)
    return d


def tooth_contact() -> Drawing:
    d = Drawing("Contact pattern on the tooth flank")
    for index, (caption, verdict, colour) in enumerate(
        (("good: even over\n70 % of the width", "no action", GREEN),
         ("shifted to one end:\nshaft, bearing, base", "find the cause", AMBER),
         ("pits above 3 mm", "report, halve interval", RED))
    ):  # fmt: skip
        left = 30 + index * 200
        d.draw.polygon([(left, 240), (left + 20, 100), (left + 160, 100), (left + 180, 240)], fill=STEEL, outline=INK)
        if index == 0:
            d.draw.ellipse((left + 22, 138, left + 158, 204), fill=(104, 122, 138))
        elif index == 1:
            d.draw.ellipse((left + 112, 130, left + 168, 216), fill=(104, 122, 138))
        else:
            d.draw.ellipse((left + 22, 138, left + 158, 204), fill=(140, 156, 170))
            for k in range(11):
                x, y = left + 40 + (k * 37) % 104, 152 + (k * 23) % 38
                radius = 3 + k % 3
                d.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(60, 52, 48))
        d.label((left + 90, 276), caption, size=14)
        d.label((left + 90, 316), verdict, size=14, colour=colour)
    d.label((320, 76), "face width from left to right, tooth tip above, root below", size=13, colour=MUTED)
    d.label((320, 362), "A crack at the tooth root takes the gearbox out of service at once.", size=14, colour=RED)
    return d


FIGURES: dict[str, Callable[[], Drawing]] = {
    "drive/motor-thermal-zones.png": motor_thermal_zones,
    "drive/winding-temperature.png": winding_temperature,
    "drive/gearbox-oil-circuit.png": gearbox_oil_circuit,
    "drive/tooth-contact.png": tooth_contact,
}
