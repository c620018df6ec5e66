"""The figures of the hydraulics manuals: station, gauge sectors and inspection of hoses."""

from __future__ import annotations

import math
from collections.abc import Callable

from demo.drawing import AMBER, BLUE, GREEN, INK, LIGHT, MUTED, OIL, PAPER, RED, STEEL, WATER, Drawing


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
    "hydraulics/hydraulic-circuit.png": hydraulic_circuit,
    "hydraulics/gauge-sectors.png": gauge_sectors,
    "hydraulics/hose-round.png": hose_round,
    "hydraulics/hose-leak-points.png": hose_leak_points,
}
