"""The figures of the stands' manuals: roll change, chock, surface inspection and roll cooling."""

from __future__ import annotations

from collections.abc import Callable

from demo.drawing import AMBER, BLUE, INK, LIGHT, MUTED, OIL, RED, STEEL, WATER, Drawing


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


FIGURES: dict[str, Callable[[], Drawing]] = {
    "stand/roll-change-sequence.png": roll_change_sequence,
    "stand/chock-section.png": chock_section,
    "stand/surface-camera.png": surface_camera,
    "stand/roll-cooling.png": roll_cooling,
}
