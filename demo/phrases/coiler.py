"""Words for a coil on the coiler."""

from __future__ import annotations

from demo.phrases.wording import Wording

_COIL = ("a coil on the coiler", "the wound coil", "the coil on the mandrel", "the end face of a coil")

PHRASES: dict[str, Wording] = {
    "coil-tight": Wording(
        _COIL,
        (
            "the coil is tightly wound",
            "the end face is flat",
            "all wraps lie flush",
            "the wraps form even rings",
            "the coil is compact and straight",
            "the side of the coil is level",
            "the coil is wound well",
            "the wraps are aligned",
            "the coil is neat and round",
            "no wrap stands out",
        ),
        ("tight coil", "well-wound coil", "flat coil face", "neat coil", "good coil", "compact roll"),
    ),
    "coil-telescoped": Wording(
        _COIL,
        (
            "the inner wraps have slid out",
            "the coil is telescoped",
            "the wraps stand out like a cone",
            "the centre of the coil protrudes",
            "the wraps have shifted sideways",
            "the core is pushed out along the mandrel",
            "the end face is conical instead of flat",
            "the coil has slipped to one side in steps",
            "the windings are displaced along the axis",
            "the inside of the coil sticks out",
        ),
        ("telescoped coil", "telescoping", "cone-shaped coil", "shifted wraps", "protruding coil core", "slipped coil"),
    ),
}
