"""Words for the belt of a conveyor."""

from __future__ import annotations

from demo.phrases.wording import Wording

_BELT = ("the conveyor belt", "a belt conveyor", "the scrap conveyor", "the belt on its idlers")

PHRASES: dict[str, Wording] = {
    "belt-centred": Wording(
        _BELT,
        (
            "the belt runs in the middle",
            "the belt is centred between the rails",
            "the gap is equal on both sides",
            "the belt tracks straight",
            "the belt is well aligned on its rollers",
            "the belt runs true",
            "the belt keeps to the centre of the frame",
            "tracking is good",
            "the conveyor runs as it should",
            "the belt is neither torn nor off to a side",
        ),
        (
            "centred belt",
            "belt tracking well",
            "straight running belt",
            "aligned conveyor belt",
            "good belt alignment",
            "conveyor in order",
        ),
    ),
    "belt-mistracking": Wording(
        _BELT,
        (
            "the belt has run off to one side",
            "the belt touches the frame",
            "the belt is off centre",
            "the rollers lie bare on one side",
            "the belt drifts towards the rail",
            "the belt wanders sideways",
            "the belt rubs on the structure",
            "the belt is misaligned and runs crooked",
            "the belt's edge climbs over the rail",
            "the gap is wide on one side and gone on the other",
        ),
        (
            "belt mistracking",
            "belt off centre",
            "misaligned belt",
            "belt drifting sideways",
            "belt running off",
            "crooked conveyor belt",
        ),
    ),
    "belt-torn": Wording(
        _BELT,
        (
            "the belt is torn",
            "a long rip runs through the belt",
            "there is a hole in the belt",
            "the rollers can be seen through a tear",
            "the belt is slit along its length",
            "the rubber is ripped and its threads are frayed",
            "a piece has been torn out of the belt's edge",
            "the carcass of the belt is split open",
            "the belt is cut and damaged",
            "the tear in the rubber gapes",
        ),
        ("torn belt", "ripped belt", "belt rip", "hole in the belt", "slit conveyor belt", "belt damage"),
    ),
}
