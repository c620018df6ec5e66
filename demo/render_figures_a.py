"""Draws the figures of the furnace, stand, drive and hydraulics manuals."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from demo.drawing import AMBER, BLUE, GREEN, HOT, INK, LIGHT, MUTED, OIL, PAPER, RED, STEEL, WATER, Drawing


def render_figures(out_dir: Path) -> list[Path]:
    """Draw every figure as `out_dir/<family>/<name>.png`, byte-identical from run to run, and return the paths."""
    return [figure().save(out_dir / name) for name, figure in FIGURES.items()]


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


def roll_change_sequence() -> Drawing:
    d = Drawing("Work roll change: the six main steps, 12 minutes")
    d.steps(
        [
            "Stop the strip,\nopen the gap to\n60 mm, lock",
            "Spindles to the\nchange position,\nwithin 2°",
            "Close cooling,\nretract wipers\nand guides",
            "Release bending\nbelow 5 bar,\nopen the clamps",
            "Draw the rolls out,\nshift 2 100 mm,\npush new rolls in",
            "Clamp bolts M42\nto 2 600 Nm,\nconnect, unlock",
        ],
        top=90,
    )
    d.label((320, 330), "Then zero the stand: 15 rpm, cooling on, 8 MN.", size=15)
    d.label((320, 356), "Never push rolls in with the bending pressure on.", size=14, colour=RED)
    return d


def chock_section() -> Drawing:
    d = Drawing("Work roll chock in section")
    d.box((40, 180, 600, 240), "roll neck", fill=STEEL, radius=2)
    d.hatch((150, 84, 500, 124))
    d.hatch((150, 296, 500, 336))
    for column in range(4):
        left = 196 + column * 66
        slant = 6 if column % 2 else -6
        for y0, y1 in ((130, 174), (246, 290)):
            d.draw.polygon(
                [(left, y0 + slant), (left + 54, y0 - slant), (left + 54, y1 - slant), (left, y1 + slant)],
                fill=WATER,
                outline=INK,
            )
    for x in (168, 478):
        for y0, y1 in ((126, 178), (242, 294)):
            d.box((x - 9, y0, x + 9, y1), fill=RED, radius=2, width=1)
    for x in (250, 400):
        d.arrow((x, 56), (x, 126), colour=OIL, width=3)
    d.label((412, 62), "grease, 120 g per 8 h a line", size=13, anchor="lm")
    d.callout((478, 140), (520, 100), "seal\nSEL-RS-520")
    d.callout((330, 268), (520, 278), "bearing")
    d.callout((420, 316), (520, 330), "chock")
    d.label((320, 364), "Four-row taper roller bearing BRG-4R-482-TQ, axial clearance 0.25 to 0.40 mm", size=13)
    return d


def surface_camera() -> Drawing:
    d = Drawing("Surface inspection behind a stand")
    for y in (130, 250):
        d.circle((110, y), 46, fill=STEEL)
    d.label((110, 130), "work\nroll")
    d.label((110, 250), "work\nroll")
    d.label((110, 320), "stand")
    d.box((30, 186, 610, 194), fill=STEEL, radius=0, width=1)
    d.arrow((470, 214), (590, 214), colour=BLUE, width=3)
    d.label((530, 232), "strip, up to 14 m/s", size=13)
    d.box((330, 60, 400, 96), "camera", fill=LIGHT)
    d.draw.polygon([(365, 98), (320, 184), (410, 184)], fill=(226, 238, 248))
    d.dimension((300, 98), (300, 184), "850 mm")
    d.box((490, 100, 580, 130), "LED line", fill=(255, 244, 204))
    d.arrow((500, 132), (392, 184), colour=AMBER, width=3)
    d.label((470, 170), "30°", size=13, colour=AMBER)
    d.box((330, 262, 400, 298), "camera")
    d.draw.polygon([(365, 260), (320, 196), (410, 196)], fill=(226, 238, 248))
    d.label((365, 314), "lower side", size=13, colour=MUTED)
    d.label((320, 360), "Scratches run along, edge cracks run across the direction of travel.", size=14)
    return d


def roll_cooling() -> Drawing:
    d = Drawing("Roll cooling over the barrel width")
    place = d.axes(
        (70, 80, 610, 320),
        x_range=(0, 1780),
        y_range=(0, 120),
        x_label="position on the barrel from the operator side, mm",
        y_label="specific flow, %",
        x_ticks=(0, 445, 890, 1335, 1780),
        y_ticks=range(0, 121, 20),
    )
    d.curve(place, [(0, 100), (1780, 100)], colour=MUTED, dash=7)
    masked = [(0, 18), (180, 22), (300, 70), (380, 98), (1400, 98), (1480, 70), (1600, 22), (1780, 18)]
    d.curve(place, masked, colour=BLUE)
    blocked = [(820, 97), (860, 58), (920, 58), (960, 97)]
    d.curve(place, blocked, colour=RED)
    d.label(place(890, 107), "edge masks open", size=13, colour=MUTED)
    d.label(place(600, 84), "edge masks closed", size=13, colour=BLUE)
    d.label(place(890, 48), "more than three nozzles blocked:\nvisible band", size=13, colour=RED)
    return d


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


def hydraulic_circuit() -> Drawing:
    d = Drawing("Station HYD-1, simplified")
    d.box((30, 320, 420, 368), "tank, 6 000 l, HFC-46, 38 to 48 °C", fill=(240, 214, 160))
    for number, x in enumerate((60, 130, 200, 270), start=1):
        d.line([(x, 320), (x, 278)], colour=OIL, width=3)
        d.pump((x, 258), 20)
        d.line([(x, 238), (x, 190)], colour=OIL, width=3)
        d.label((x + 16, 228), str(number), size=12, anchor="lm")
    d.label((235, 292), "stand-by", size=12, colour=MUTED)
    d.line([(60, 190), (540, 190)], colour=OIL, width=4)
    d.box((312, 168, 374, 212), "filter\n3 micron", size=13)
    for x in (402, 444):
        d.line([(x, 190), (x, 146)], colour=OIL, width=3)
        d.box((x - 15, 84, x + 15, 146), "N2", fill=WATER, radius=14, size=12)
    d.label((424, 66), "accumulators 8 of 50 l", size=13)
    d.line([(390, 190), (390, 320)], colour=OIL, width=3)
    d.box((358, 240, 422, 274), "relief\n315 bar", size=12)
    d.gauge((200, 116), 52, low=0, high=400, value=280, unit="bar", green=(260, 295), divisions=4)
    d.line([(200, 168), (200, 190)], colour=INK)
    d.box((500, 172, 580, 210), "SRV-G72-4", size=13)
    d.line([(540, 210), (540, 250)], colour=OIL, width=4)
    d.box((478, 250, 604, 330), fill=PAPER)
    d.hatch((482, 284, 600, 302))
    d.box((520, 302, 562, 366), fill=STEEL, radius=0)
    d.label((541, 266), "AGC cylinder", size=13)
    return d


def gauge_sectors() -> Drawing:
    d = Drawing("Station gauge HYD-1: too low, normal, too high")
    for index, (value, caption, colour) in enumerate(
        (
            (205, "too low: left of green", AMBER),
            (280, "normal: green sector", GREEN),
            (335, "too high: right of green", RED),
        )
    ):
        x = 115 + index * 205
        d.gauge((x, 170), 90, low=0, high=400, value=value, unit="bar", green=(260, 295), divisions=4)
        d.label((x, 290), caption, size=15, colour=colour)
    d.label((320, 334), "Green sector: HYD-1 260 to 295 bar, HYD-2 145 to 172 bar", size=14)
    d.label((320, 360), "The mill stops below 230 bar (HYD-1) and 120 bar (HYD-2).", size=14)
    return d


def hose_round() -> Drawing:
    d = Drawing("Round of the hose inspection")
    d.box((30, 90, 170, 160), "1 pump room\nHYD-1, HYD-2", fill=(240, 214, 160))
    d.box((220, 105, 600, 145), "2 pipe trench, leak detectors", fill=LIGHT)
    for index in range(4):
        left = 240 + index * 92
        d.box((left, 190, left + 66, 290), fill=STEEL)
        d.label((left + 33, 240), f"S{index + 1}", size=18)
        d.box((left + 8, 176, left + 58, 198), "AGC", fill=WATER, size=12)
        d.arrow((left + 33, 147), (left + 33, 174), colour=OIL, width=3)
        d.box((left + 4, 292, left + 62, 314), "clamps", fill=LIGHT, size=12)
    d.arrow((172, 125), (218, 125), colour=BLUE, width=3)
    d.label((228, 187), "3", size=16, colour=BLUE)
    d.label((228, 303), "4", size=16, colour=BLUE)
    d.line([(600, 330), (100, 330)], colour=BLUE, width=3)
    d.arrow((100, 330), (100, 262), colour=BLUE, width=3)
    d.box((30, 212, 170, 260), "5 hose list")
    d.label((320, 364), "Every 500 hours under pressure, every 4 000 hours by touch and discharged", size=14)
    return d


def hose_leak_points() -> Drawing:
    d = Drawing("Where hoses leak")
    d.box((20, 150, 80, 230), "block", fill=STEEL, radius=2)
    d.box((80, 166, 124, 214), fill=(206, 184, 128), radius=4)
    d.box((124, 172, 196, 208), fill=(150, 160, 170), radius=4)
    bend = [(190 + 4 * k, 190 - 60 * math.sin(k / 90 * math.pi) + k * 0.6) for k in range(91)]
    for x, y in bend:
        d.circle((x, y), 13, fill=(46, 50, 56), outline=(46, 50, 56))
    d.line(bend, colour=(84, 90, 98), width=6)
    d.hatch((396, 84, 470, 148))
    d.label((433, 74), "edge", size=12, colour=MUTED)
    for x, y in ((102, 232), (190, 224), (430, 184)):
        for drop in range(3):
            d.draw.ellipse((x - 4, y + drop * 22, x + 4, y + 10 + drop * 22), fill=OIL)
    d.draw.ellipse((60, 296, 250, 318), fill=OIL)
    d.draw.ellipse((380, 258, 490, 276), fill=OIL)
    d.callout((100, 168), (110, 110), "union nut")
    d.callout((178, 176), (216, 66), "crimped sleeve:\ncrimp loosened")
    d.callout((428, 150), (540, 120), "bend chafed\non an edge")
    d.label((320, 348), "Wet, dark, shiny streaks and a puddle: class D, stop the station.", size=14, colour=RED)
    d.label((320, 372), "Search with cardboard, never with the hand.", size=14)
    return d


FIGURES: dict[str, Callable[[], Drawing]] = {
    "furnace/furnace-zones.png": furnace_zones,
    "furnace/furnace-heating-curve.png": heating_curve,
    "furnace/gas-train.png": gas_train,
    "furnace/flame-signal.png": flame_signal,
    "stand/roll-change-sequence.png": roll_change_sequence,
    "stand/chock-section.png": chock_section,
    "stand/surface-camera.png": surface_camera,
    "stand/roll-cooling.png": roll_cooling,
    "drive/motor-thermal-zones.png": motor_thermal_zones,
    "drive/winding-temperature.png": winding_temperature,
    "drive/gearbox-oil-circuit.png": gearbox_oil_circuit,
    "drive/tooth-contact.png": tooth_contact,
    "hydraulics/hydraulic-circuit.png": hydraulic_circuit,
    "hydraulics/gauge-sectors.png": gauge_sectors,
    "hydraulics/hose-round.png": hose_round,
    "hydraulics/hose-leak-points.png": hose_leak_points,
}
