"""Words for the flame of a furnace burner."""

from __future__ import annotations

from demo.phrases.wording import Wording

_BURNER = (
    "a furnace burner",
    "the burner of the reheating furnace",
    "the burner quarl",
    "burner seen through a peep hole",
)

PHRASES: dict[str, Wording] = {
    "flame-normal": Wording(
        _BURNER,
        (
            "the flame is blue and stable",
            "a short crisp blue flame burns at the nozzle",
            "the burner burns cleanly with a blue cone",
            "the flame is compact, bluish and steady",
            "gas and air are in the right ratio and the flame is blue",
            "combustion is clean and complete",
            "a sharp blue jet of flame leaves the burner",
            "the flame has a bright core and a blue body without soot",
            "the burner is lit and burning well",
            "the fire looks healthy",
        ),
        ("normal flame", "blue flame", "good combustion", "stable burner flame", "clean burning gas", "healthy burner"),
    ),
    "flame-yellow": Wording(
        _BURNER,
        (
            "the flame is long, yellow and smoky",
            "a lazy yellow flame with soot leaves the burner",
            "the flame has turned yellow and orange",
            "the burner lacks air and burns yellow",
            "incomplete combustion gives a luminous orange flame",
            "the mixture is too rich and the flame is sooty",
            "the flame is ragged, bright yellow and rises to the roof",
            "black smoke trails above a yellow flame",
            "too much gas and too little air makes the flame orange",
            "a large amber flame flickers and smokes",
        ),
        ("yellow flame", "sooty flame", "rich mixture", "orange smoky flame", "incomplete combustion", "lack of air"),
    ),
    "flame-out": Wording(
        _BURNER,
        (
            "no flame is burning",
            "the burner is dark and has gone out",
            "the flame is lost and the quarl is black",
            "the burner has failed to ignite",
            "there is no fire at the nozzle",
            "the burner is extinguished",
            "flame failure, only the dark burner opening is seen",
            "the burner tripped and is not lit",
            "nothing burns in front of the igniter",
            "the flame died",
        ),
        ("flame out", "flame failure", "unlit burner", "burner off", "lost ignition", "dead burner without fire"),
    ),
}
