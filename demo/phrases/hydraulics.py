"""Words for a pressure gauge and the hoses of a hydraulic station."""

from __future__ import annotations

from demo.phrases.wording import Wording

_GAUGE = (
    "a pressure gauge",
    "the gauge of the hydraulic station",
    "the dial of a manometer",
    "the hydraulic pressure indicator",
)

PHRASES: dict[str, Wording] = {
    "gauge-normal": Wording(
        _GAUGE,
        (
            "the needle stands in the green band",
            "the pressure is within the permitted range",
            "the reading is normal",
            "the pressure is right",
            "the needle points into the green sector",
            "the pressure is between its limits",
            "the indicated value is correct",
            "the pressure is good and steady",
            "the gauge shows the working pressure",
            "the pointer is inside the green zone",
        ),
        (
            "normal pressure",
            "pressure in the green",
            "correct pressure reading",
            "pressure okay",
            "gauge within limits",
            "permitted pressure",
        ),
    ),
    "gauge-low": Wording(
        _GAUGE,
        (
            "the needle stands below the green band",
            "the pressure is too low",
            "the needle is near zero",
            "the pressure has fallen",
            "the reading is under the permitted range",
            "the station lacks pressure",
            "there is too little pressure in the system",
            "the needle points to the low end of the scale",
            "the pressure dropped below its lower limit",
            "the pump builds up no pressure",
        ),
        (
            "low pressure",
            "pressure too low",
            "pressure drop",
            "insufficient pressure",
            "loss of pressure",
            "gauge below the limit",
        ),
    ),
    "gauge-high": Wording(
        _GAUGE,
        (
            "the needle stands above the green band",
            "the pressure is too high",
            "the needle is in the red zone",
            "the pressure has risen over its limit",
            "the reading is over the permitted range",
            "there is excess pressure in the system",
            "the needle points to the upper end of the scale",
            "the pressure exceeds the upper limit",
            "the relief valve does not open and pressure climbs",
            "the system is over-pressurised",
        ),
        (
            "high pressure",
            "pressure too high",
            "overpressure",
            "excessive pressure",
            "pressure in the red",
            "gauge above the limit",
        ),
    ),
    "hose-leak": Wording(
        ("a hydraulic hose", "hoses of the hydraulic station", "hydraulic lines", "a hose and its fitting"),
        (
            "oil sprays and drips from the hose",
            "the hose leaks oil",
            "oil runs down and forms a puddle on the floor",
            "amber fluid squirts from a damaged hose",
            "a hose has burst and loses oil",
            "the fitting is leaking hydraulic oil",
            "there is an oil spill under the hoses",
            "oil mist comes out of a pinhole in the hose",
            "the hose is broken and wet with oil",
            "hydraulic fluid escapes",
        ),
        ("hose leak", "leaking hose", "oil leak", "burst hydraulic hose", "oil spill", "dripping hydraulic line"),
    ),
}
