"""Words for the weld seam between two strip ends."""

from __future__ import annotations

from demo.phrases.wording import Wording

_SEAM = ("the weld seam", "the welded joint of the strip", "the welder's bead", "the seam between two strip ends")

PHRASES: dict[str, Wording] = {
    "weld-good": Wording(
        _SEAM,
        (
            "the bead is even and sound",
            "the seam is uniform",
            "the weld is free of defects",
            "regular ripples run along the whole bead",
            "the joint is flawless",
            "the weld is good and may pass",
            "the two strips are joined cleanly",
            "the bead is straight, dense and smooth",
            "there are no pores and no holes in the seam",
            "the quality of the joint is fine",
        ),
        ("good weld", "sound seam", "perfect weld bead", "acceptable weld", "uniform joint", "flawless weld seam"),
    ),
    "weld-porosity": Wording(
        _SEAM,
        (
            "pores are scattered along the bead",
            "small round holes pit the seam",
            "the weld is porous",
            "gas pores are seen in the bead",
            "dark pinholes mark the seam",
            "the bead is full of tiny holes",
            "gas was trapped in the weld metal",
            "blowholes lie along the joint",
            "the shielding gas failed and pores formed",
            "little black dots sit in the bead",
        ),
        ("porosity", "porous weld", "gas pores", "pinholes in the seam", "blowholes", "pitted weld bead"),
    ),
    "weld-misaligned": Wording(
        _SEAM,
        (
            "the strip ends are offset",
            "the two sheets do not line up",
            "there is a step at the joint",
            "the edges of the strips are shifted against each other",
            "the seam is misaligned",
            "one strip end stands higher than the other",
            "the bead misses the joint line",
            "the ends were clamped crooked before welding",
            "the left strip and the right strip are displaced",
            "the joint has a lateral offset",
        ),
        ("misaligned weld", "offset joint", "strip ends not aligned", "stepped seam", "edge offset", "crooked weld"),
    ),
    "weld-burn-through": Wording(
        _SEAM,
        (
            "a hole is burnt through the strip",
            "the seam has burnt through",
            "a large charred hole gapes in the bead",
            "too much heat melted the metal away",
            "the weld is blown out and its rim is black",
            "the laser burned an opening into the joint",
            "molten edges surround a big hole",
            "the strip is perforated at the seam by excess heat",
            "sooty burn holes interrupt the bead",
            "light shines through a burnt hole in the weld",
        ),
        (
            "burn-through",
            "burnt weld",
            "hole burned in the seam",
            "melted-through joint",
            "charred hole",
            "overheated weld with a hole",
        ),
    ),
}
