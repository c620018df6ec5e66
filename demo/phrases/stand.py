"""Words for the surface of the rolled strip."""

from __future__ import annotations

from demo.phrases.wording import Wording

_STRIP = ("the rolled strip", "the strip behind the stand", "steel strip on the roller table", "the strip surface")

PHRASES: dict[str, Wording] = {
    "strip-clean": Wording(
        _STRIP,
        (
            "the surface is clean and even",
            "no defect is visible",
            "the strip is smooth and bright",
            "the surface is flawless",
            "there are no scratches, no scale and no cracks",
            "the sheet is free of marks",
            "the metal is uniformly brushed and sound",
            "the surface quality is good",
            "nothing is wrong with the surface",
            "the strip is in perfect condition",
        ),
        (
            "clean strip",
            "good surface",
            "defect-free strip",
            "sound strip surface",
            "perfect sheet",
            "no surface defects",
        ),
    ),
    "strip-scratches": Wording(
        _STRIP,
        (
            "long scratches run along the rolling direction",
            "thin bright lines are scored into the surface",
            "the strip is scratched lengthwise",
            "parallel grooves mark the sheet",
            "a guide or roller drags and scores the surface",
            "straight score marks cross the picture",
            "fine scuff lines are seen on the metal",
            "the surface shows drag marks and gouges",
            "something sharp has scraped the strip",
            "several line-shaped scratches are visible",
        ),
        ("scratches", "scratched strip", "score marks", "scuffed surface", "scoring lines", "longitudinal grooves"),
    ),
    "strip-scale": Wording(
        _STRIP,
        (
            "dark scale is rolled into the surface",
            "brown and black oxide flecks cover the strip",
            "patches of rolled-in scale are seen",
            "the descaler left oxide on the surface",
            "scale pits are pressed into the steel",
            "rust-brown spots lie in clusters on the sheet",
            "the surface is blotchy with mill scale",
            "oxide was not removed before rolling",
            "dark elongated specks are spread over the strip",
            "the strip is dirty with scale residue",
        ),
        ("rolled-in scale", "scale spots", "oxide patches", "mill scale", "poor descaling", "dark oxide flecks"),
    ),
    "strip-edge-crack": Wording(
        _STRIP,
        (
            "cracks run inwards from the edge",
            "the edge is torn and notched",
            "the strip edge is cracked",
            "transverse splits open at the edge",
            "pieces have broken out of the edge",
            "the edge is ragged with dark fissures",
            "V-shaped tears start at the side of the strip",
            "edge cracks are visible in a row",
            "the border of the strip is breaking up",
            "the strip is splitting along its side",
        ),
        ("edge cracks", "cracked edge", "torn edge", "edge tears", "split strip edge", "broken strip side"),
    ),
}
