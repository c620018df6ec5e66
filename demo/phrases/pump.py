"""Words for a pump's shaft seal and the sight glass in its suction line."""

from __future__ import annotations

from demo.phrases.wording import Wording

_SEAL = ("the shaft seal of the pump", "a pump's gland", "the mechanical seal of a water pump", "the pump shaft")

PHRASES: dict[str, Wording] = {
    "seal-dry": Wording(
        _SEAL,
        (
            "the seal is dry",
            "no water comes out at the gland",
            "the seal is tight",
            "shaft and baseplate are dry",
            "nothing drips from the seal",
            "the gland does not leak",
            "the seal is in good condition",
            "the pump is dry around its shaft",
            "there is no leakage",
            "the floor below the pump is dry",
        ),
        ("dry seal", "tight pump seal", "no seal leak", "good mechanical seal", "pump without leakage", "dry gland"),
    ),
    "seal-leak": Wording(
        _SEAL,
        (
            "water leaks from the seal",
            "water sprays from the gland",
            "the seal drips onto the baseplate",
            "a puddle of water has formed below the pump",
            "the mechanical seal is worn and leaks",
            "water pours out where the shaft enters the casing",
            "the pump loses water at its shaft",
            "droplets fly off the rotating shaft",
            "the packing leaks heavily",
            "the area around the pump shaft is wet",
        ),
        (
            "seal leak",
            "leaking pump seal",
            "water leak at the pump",
            "wet gland",
            "dripping seal",
            "worn mechanical seal",
        ),
    ),
    "pump-cavitation-bubbles": Wording(
        (
            "the sight glass of the pump",
            "a sight glass in the suction line",
            "the round inspection window of the pump",
            "the glass in the pump inlet",
        ),
        (
            "the glass is full of bubbles",
            "many vapour bubbles float in the water",
            "the pump cavitates and bubbles appear",
            "air is drawn into the suction line",
            "the water foams with gas bubbles",
            "bubbles rise behind the window",
            "the suction pressure is too low and the water boils into bubbles",
            "gas and air bubbles cloud the liquid",
            "the flow is milky with bubbles",
            "cavitation is visible",
        ),
        (
            "cavitation bubbles",
            "pump cavitation",
            "bubbles in the sight glass",
            "air in the suction line",
            "vapour bubbles",
            "foaming water",
        ),
    ),
}
