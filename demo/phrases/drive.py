"""Words for thermograms of a drive motor."""

from __future__ import annotations

from demo.phrases.wording import Wording

_MOTOR = (
    "the main drive motor in the thermal camera",
    "a thermogram of the motor",
    "an infrared picture of the drive",
    "the thermal view of a mill motor",
)

PHRASES: dict[str, Wording] = {
    "thermal-normal": Wording(
        _MOTOR,
        (
            "the temperature is normal and even",
            "no hot spot is visible",
            "the motor is moderately warm all over",
            "bearings and frame have ordinary temperatures",
            "the machine runs cool",
            "nothing is overheated",
            "heat is spread evenly over the motor",
            "the thermal picture is inconspicuous",
            "the motor is healthy and not hot",
            "temperatures are within limits",
        ),
        (
            "normal motor temperature",
            "motor without hot spots",
            "normal thermal image",
            "cool motor",
            "healthy thermogram",
            "even temperature",
        ),
    ),
    "thermal-bearing-hot": Wording(
        _MOTOR,
        (
            "one bearing is hot",
            "the bearing at the shaft end glows",
            "a hot spot sits on the bearing housing",
            "the drive-end bearing is overheated",
            "the shaft end is much hotter than the frame",
            "heat concentrates around the shaft and its bearing",
            "the bearing temperature is too high",
            "one end of the motor is burning hot",
            "a bright spot marks a failing bearing",
            "the bearing runs hot, perhaps for lack of grease",
        ),
        (
            "hot bearing",
            "overheated bearing",
            "bearing hot spot",
            "hot shaft end",
            "bearing overheating",
            "bearing temperature alarm",
        ),
    ),
    "thermal-winding-hot": Wording(
        _MOTOR,
        (
            "the winding is overheated",
            "the middle of the motor is hot",
            "a large hot area covers the stator",
            "the motor frame glows over the windings",
            "the stator coils are too hot",
            "the whole body of the motor is very hot",
            "the motor is overloaded and its winding heats up",
            "heat comes from the core of the motor",
            "the winding temperature is far above its limit",
            "cooling fails and the copper coils overheat",
        ),
        (
            "hot winding",
            "overheated stator",
            "winding overheating",
            "hot motor body",
            "motor coils too hot",
            "stator hot area",
        ),
    ),
}
