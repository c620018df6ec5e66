"""The figures of the conveyors' manuals: tracking, drive station, danger zones and lock-out."""

from __future__ import annotations

from collections.abc import Callable

from demo.drawing import AMBER, BLUE, HOT, INK, LIGHT, PAPER, RED, STEEL, Drawing, Rect


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


FIGURES: dict[str, Callable[[], Drawing]] = {
    "conveyor/conveyor-tracking.png": belt_tracking,
    "conveyor/conveyor-drive-station.png": drive_station,
    "conveyor/conveyor-zones.png": conveyor_zones,
    "conveyor/conveyor-lockout.png": lockout_steps,
}
