"""The figures of the furnace's manuals: zones, heating curve, gas train and flame detector."""

from __future__ import annotations

import math
from collections.abc import Callable

from demo.drawing import AMBER, BLUE, GREEN, HOT, INK, LIGHT, MUTED, RED, STEEL, WATER, Drawing


def furnace_zones() -> Drawing:
    d = Drawing("Furnace F1: zones, roof burners and walking beam")
    zones = [
        ("Preheating", "BRN-01..04", "950 °C", (250, 226, 196)),
        ("Heating 1", "BRN-05..12", "1 180 °C", (250, 200, 150)),
        ("Heating 2", "BRN-13..20", "1 270 °C", (246, 168, 112)),
        ("Soaking", "BRN-21..24", "1 245 °C", (240, 186, 120)),
    ]
    d.hatch((40, 78, 600, 94))
    d.hatch((40, 300, 600, 316))
    for index, (zone, burners, setpoint, colour) in enumerate(zones):
        left = 40 + index * 140
        d.box((left, 94, left + 140, 300), fill=colour, radius=0, width=1)
        d.label((left + 70, 126), zone, size=16)
        d.label((left + 70, 150), burners, size=13, colour=MUTED)
        d.label((left + 70, 178), setpoint, size=17, colour=RED)
        for offset in (36, 104):
            d.draw.polygon([(left + offset - 6, 94), (left + offset + 6, 94), (left + offset, 110)], fill=BLUE)
    for left in range(56, 590, 68):
        d.box((left, 214, left + 52, 234), fill=STEEL, radius=2, width=1)
    d.line([(40, 238), (600, 238)], width=3)
    d.label((320, 252), "slabs on fixed and moving skids", size=13)
    d.arrow((300, 280), (400, 280), colour=BLUE, width=3)
    d.label((290, 280), "walking beam, 550 mm a step", size=13, anchor="rm")
    d.label((40, 60), "charging door", anchor="lm")
    d.label((600, 60), "discharge door", anchor="rm")
    d.label((320, 348), "Slabs travel from the charging door to the discharge door.", size=14)
    d.label((320, 370), "Setpoints for carbon steel at 150 t/h", size=13, colour=MUTED)
    return d


def heating_curve() -> Drawing:
    d = Drawing("Permitted heating curve from cold")
    place = d.axes(
        (70, 80, 610, 330),
        x_range=(0, 60),
        y_range=(0, 1400),
        x_label="hours after lighting the first burner",
        y_label="roof temperature, °C",
        x_ticks=range(0, 61, 10),
        y_ticks=range(0, 1401, 200),
    )
    times = [(0, 20), (11.2, 300), (23.2, 300), (35.7, 800), (41.7, 800), (49.2, 1250), (60, 1250)]
    d.curve(place, times, colour=HOT, width=4)
    for at, text in (
        ((3.4, 250), "25 °C/h"),
        ((17, 370), "hold 300 °C: 12 h"),
        ((26.5, 620), "40 °C/h"),
        ((37, 890), "hold 800 °C: 6 h"),
        ((41, 1100), "60 °C/h"),
        ((54.5, 1320), "setpoints"),
    ):
        d.label(place(*at), text, size=14)
    return d


def gas_train() -> Drawing:
    d = Drawing("Gas train of furnace F1")
    y = 200
    d.line([(30, y), (610, y)], colour=AMBER, width=5)
    d.label((30, y - 22), "network\n3.5 bar", size=13, anchor="lb")
    d.label((612, y - 22), "header\n180 mbar", size=13, anchor="rb")
    d.box((112, y - 22, 172, y + 22), "filter", size=13)
    d.box((200, y - 26, 270, y + 26), "PCV-1", size=14)
    d.label((235, y + 44), "regulator", size=12, colour=MUTED)
    d.line([(300, y), (300, 110)], colour=AMBER, width=3)
    d.box((268, 80, 332, 110), "RV-1", size=13)
    d.label((300, 66), "opens at 300 mbar", size=12, colour=MUTED)
    for x, tag in ((360, "SSV-1"), (500, "SSV-2")):
        d.valve((x, y), 18, fill=WATER)
        d.label((x, y + 34), tag, size=14)
        d.label((x, y + 52), "closes in 1 s", size=12, colour=MUTED)
    d.line([(430, y), (430, 130)], colour=AMBER, width=3)
    d.valve((430, 130), 14, fill=LIGHT)
    d.arrow((430, 116), (430, 78), colour=AMBER)
    d.label((438, 92), "to the roof", size=12, colour=MUTED, anchor="lm")
    d.label((450, 130), "VV-1 vent, DN 25", size=13, anchor="lm")
    for x, tag, limit in ((285, "PSL-1", "110 mbar"), (570, "PSH-1", "240 mbar")):
        d.line([(x, y), (x, 290)], dash=5, colour=MUTED)
        d.circle((x, 310), 26)
        d.label((x, 310), tag, size=12)
        d.label((x, 348), f"trips at {limit}", size=12)
    d.label((30, 380), "VV-1 opens when both shut-off valves close, so that no gas stands between them.", anchor="lm")
    return d


def flame_signal() -> Drawing:
    d = Drawing("Flame detector signal at a loss of flame")
    place = d.axes(
        (70, 80, 610, 320),
        x_range=(0, 10),
        y_range=(0, 100),
        x_label="time, s",
        y_label="signal, %",
        x_ticks=range(0, 11, 2),
        y_ticks=range(0, 101, 20),
    )
    points = [(t / 10, 78 + 5 * math.sin(t * 0.9)) for t in range(41)]
    points += [(4.3, 60), (4.7, 38), (5.1, 20), (5.6, 8), (6.2, 4), (10, 4)]
    d.curve(place, points)
    d.curve(place, [(0, 45), (10, 45)], colour=GREEN, width=2, dash=7)
    d.curve(place, [(0, 20), (10, 20)], colour=RED, width=2, dash=7)
    d.label(place(9.9, 49), "45 %: stable flame above", size=13, colour=GREEN, anchor="rm")
    d.label(place(9.9, 13), "20 %: valve closes within 1 s", size=13, colour=RED, anchor="rm")
    x, top = place(6.1, 92)
    d.line([(x, top), place(6.1, 0)], dash=4, colour=INK)
    d.label((x + 6, top), "burner valve closed", size=13, anchor="lm")
    return d


FIGURES: dict[str, Callable[[], Drawing]] = {
    "furnace/furnace-zones.png": furnace_zones,
    "furnace/furnace-heating-curve.png": heating_curve,
    "furnace/gas-train.png": gas_train,
    "furnace/flame-signal.png": flame_signal,
}
