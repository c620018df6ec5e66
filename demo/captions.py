"""Words for what frames show: captions for the index, and the wider wording the joint encoder is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from demo.phrases import coiler, conveyor, drive, furnace, hydraulics, pump, stand, welder
from demo.phrases.wording import Wording

_PHRASES: dict[str, Wording] = {
    label: wording
    for family in (furnace, stand, drive, hydraulics, pump, conveyor, welder, coiler)
    for label, wording in family.PHRASES.items()
}
_CAPTIONS = (
    "{Subject} where {state}.",
    "{Subject}: {state}.",
    "{State}; seen on {subject}.",
    "Camera view of {subject}, {state}.",
    "{Short}: {state}.",
    "{Subject}, {short}.",
    "{State}.",
    "{Short}; {subject}.",
)
_TRAINING = (
    *_CAPTIONS,
    "{state}",
    "{short}",
    "{subject}, {state}",
    "{short}, {state}",
    "{state}, {other}",
    "photo of {subject}: {state}",
    "the picture shows {subject} with {short}",
    "why is it that {state}?",
    "what to do when {state}",
    "is this {short}?",
    "{state}, is that right?",
    "operator reports: {state}",
    "I can see that {state}",
    "looks like {short}",
    "frame with {short}, {other}",
    "{other} and {state}",
)
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "strip": ("sheet", "steel band", "steel strip", "plate"),
    "needle": ("pointer", "indicator hand"),
    "gauge": ("manometer", "pressure gauge", "dial"),
    "coil": ("roll", "steel coil", "roll of strip"),
    "wraps": ("turns", "windings", "layers"),
    "belt": ("conveyor belt", "band", "rubber belt"),
    "seam": ("weld", "joint", "bead", "weld seam"),
    "hose": ("flexible line", "hydraulic hose", "tube"),
    "oil": ("hydraulic oil", "fluid", "hydraulic fluid"),
    "motor": ("drive", "machine", "electric motor"),
    "flame": ("fire", "burner flame"),
    "hot": ("overheated", "too warm"),
    "normal": ("fine", "okay", "as it should be"),
    "water": ("cooling water", "liquid"),
    "edge": ("border", "side", "margin"),
    "leaks": ("drips", "is leaking", "loses fluid"),
    "thermal": ("infrared", "IR", "heat camera"),
    "damaged": ("broken", "defective"),
}


def compose_caption(label: str, rng: np.random.Generator) -> str:
    """One sentence about a frame of `label`. Raises: KeyError for an unknown label."""
    return _fill(_pick(rng, _CAPTIONS), _PHRASES[label], rng)


def compose_training_text(label: str, rng: np.random.Generator) -> str:
    """A caption, a note, a question or a few words, with synonyms: how people may word what `label` shows."""
    words = _fill(_pick(rng, _TRAINING), _PHRASES[label], rng).split(" ")
    for index, word in enumerate(words):
        bare = word.strip(".,:;?").lower()
        if bare in _SYNONYMS and rng.random() < 0.35:
            words[index] = word.lower().replace(bare, _pick(rng, _SYNONYMS[bare]))
    if len(words) > 5 and rng.random() < 0.2:  # telegraphic: articles and small words go
        words = [word for word in words if word.lower() not in {"the", "a", "an", "is", "are", "of"}]
    return " ".join(words)


def _fill(template: str, wording: Wording, rng: np.random.Generator) -> str:
    subject, state, other = (
        _pick(rng, wording.subjects),
        _pick(rng, wording.states),
        _pick(rng, wording.states),
    )
    short = _pick(rng, wording.shorts)
    return template.format(
        subject=subject,
        Subject=_capital(subject),
        state=state,
        State=_capital(state),
        short=short,
        Short=_capital(short),
        other=other,
    )


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
