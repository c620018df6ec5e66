"""A claim that differs from the manuals in one thing that matters does not pass for what they say.

Claims are made by rule from the demo's knowledge and, where they are at hand, from real manuals. The bounds are shares
of false claims let through; `python -m tests.answering.test_adversarial_claims` prints them all, with the claims.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from ingest.chunk import chunk
from ingest.parse import is_document, parse
from ingest.source import SourceFile
from lineside.answering.support import support
from tests.answering.claim_mutations import MUTATIONS, Claim, Passage, false_claims, paraphrases

ROOT = Path(__file__).parents[2]
KNOWLEDGE = ROOT / "demo" / "knowledge"
REAL = {
    "linuxcnc": ROOT.parent / "shared" / "data" / "linuxcnc" / "gcode",
    "marlin": ROOT.parent / "shared" / "data" / "marlin" / "_gcode",
}
# What stays: "each" turned to "one", titles that another sentence contradicts, halves that make no sense together.
BOUNDS = dict.fromkeys(MUTATIONS, 0.0) | {
    "number swapped": 0.005,
    "negation removed": 0.05,
    "quantifier changed": 0.02,
    "modality changed": 0.05,
    "wrong row": 0.005,
    "halves combined": 0.06,
}
REAL_BOUND = 0.025
"""Real manuals are less regular: some mutations leave a sentence true, and these are counted as let through."""
REJECTED_BOUND = 0.03


def passages_of(folder: Path, most: int = 10_000) -> list[Passage]:
    """Passages of every document below a folder, as the index job cuts them."""
    found: list[Passage] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and is_document(p.name)):
        if len(found) >= most:
            break
        for document in parse(SourceFile(path.name, path.read_bytes())).documents:
            for p in chunk(document, count_tokens=lambda texts: [len(t.split()) for t in texts]):
                context = " . ".join((document.title, *p.section_path))
                found.append(Passage(p.text, context, path.name))
    return found


def checked(passages: Sequence[Passage], every: int) -> Iterator[tuple[Claim, bool]]:
    """Claims made from each n-th passage with whether they pass, against it and two others, as in an answer."""
    chance = random.Random(1)
    for at in range(0, len(passages), every):
        passage = passages[at]
        others = [passages[(at + 1) % len(passages)], passages[chance.randrange(len(passages))]]
        texts = [p.text for p in (passage, *others)]
        for claim in (*false_claims(passage, others), *paraphrases(passage)):
            yield claim, support(claim.text, *texts, context=passage.context).supported


@cache
def _demo() -> dict[str, tuple[int, list[Claim]]]:
    """Class -> how many claims were made of the demo's manuals, and which passed."""
    return _counted(checked(passages_of(KNOWLEDGE), every=5))


def _counted(found: Iterator[tuple[Claim, bool]]) -> dict[str, tuple[int, list[Claim]]]:
    made: Counter[str] = Counter()
    passed: dict[str, list[Claim]] = {}
    for claim, supported in found:
        made[claim.kind] += 1
        if supported:
            passed.setdefault(claim.kind, []).append(claim)
    return {kind: (count, passed.get(kind, [])) for kind, count in made.items()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MUTATIONS)
def test_false_claims_of_the_demo_manuals_do_not_pass(kind: str) -> None:
    made, passed = _demo()[kind]
    assert made >= 3
    assert len(passed) <= max(BOUNDS[kind] * made, 1 if BOUNDS[kind] else 0), passed


@pytest.mark.slow
def test_true_paraphrases_of_the_demo_manuals_pass() -> None:
    made, passed = _demo()["paraphrase"]
    assert made > 200
    assert made - len(passed) <= REJECTED_BOUND * made


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_false_claims_of_real_manuals_seldom_pass(name: str) -> None:
    if not REAL[name].is_dir():
        pytest.skip(f"{REAL[name].name} of the real manuals is not at hand")
    found = _counted(checked(passages_of(REAL[name], most=240), every=6))
    false = [found[kind] for kind in MUTATIONS if kind in found]
    made, passed = sum(count for count, _ in false), [claim for _, claims in false for claim in claims]
    assert made > 100
    assert len(passed) <= REAL_BOUND * made, passed


TRUE = "A single burner may be relit after 5 minutes of air. The oil has to be changed when its pH value is below 8.0."


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("A single burner must be relit after 5 minutes of air.", TRUE),
        ("The oil may be changed when its pH value is below 8.0.", TRUE),
        ("The crack must tear the strip.", "The crack can tear the strip."),
        ("The strip is torn by the crack.", "The strip can be torn by the crack."),
        ("The casing must not be opened.", "The casing need not be opened."),
        ("The casing must be opened.", "The casing does not have to be opened."),
        ("The bolts may be tightened to 45 Nm.", "Tighten the bolts to 45 Nm."),
        ("The shaft must be ground.", "The shaft should be ground."),
        ("The oil is kept between 40 bar and 55 °C.", "The oil is kept between 40 °C and 55 °C."),
        ("E-1: the door latched.", "Code: E-1; Meaning: Door open; Cause: door not latched; Action: Close the door"),
        ("PN-2 fits P-105.", "Part number: PN-2; Part: Blade; Fits: P-101"),
        ("All bolts of the cover take 45 Nm.", "The bolts of the cover take 45 Nm."),
        (
            "At tag S, expire time in milliseconds.",
            "Tag: S; Text: Time in seconds\nTag: T; Text: Expire time in milliseconds",
        ),
        ("Code P-101 was active.", "Code P-E33 was active."),
        (
            "Each camera stands 4 m away and is taken at once.",
            "Each camera stands 4 m away. The picture is taken at once.",
        ),
        ("Compare one of the thermocouples.", "Compare both thermocouples."),
    ],
)
def test_a_hole_that_was_closed_stays_closed(claim: str, evidence: str) -> None:
    assert not support(claim, evidence, context="Pumps P-101 to P-106").supported


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("A single burner may be relit after 5 minutes of air.", TRUE),
        ("A single burner can be relit after 5 minutes of air.", TRUE),
        ("When its pH value is below 8.0, the oil must be changed.", TRUE),
        ("According to the manual, if the oil foams, the level is too low.", "If the oil foams, the level is too low."),
        ("The bolts must be tightened to 45 Nm.", "Tighten the bolts to 45 Nm."),
        ("The casing must not be opened.", "Never open the casing."),
        ("The casing may not be opened.", "The casing must not be opened."),
        ("You must lock the drive, then close V4.", "Lock the drive, then close V4."),
        ("The oil is kept between 40 degrees Celsius and 55 degrees Celsius.", "The oil is kept between 40 and 55 °C."),
        ("E-1 means door open.", "Code: E-1; Meaning: Door open; Cause: door not latched; Action: Close the door"),
        (
            "If E-1 is shown, close the door.",
            "Code: E-1; Meaning: Door open; Cause: not latched; Action: Close the door",
        ),
        ("Every bolt is checked each shift.", "All bolts are checked every shift."),
    ],
)
def test_a_true_paraphrase_passes(claim: str, evidence: str) -> None:
    found = support(claim, evidence)
    assert found.supported, found.reasons


def test_a_word_of_the_heading_does_not_take_the_place_of_the_subject() -> None:
    heading = "Replacing the seal cartridge"
    assert not support(
        "The cartridge takes two fitters four hours.", "The crane takes two fitters four hours.", context=heading
    ).supported
    assert support("The seal cartridge is supplied set.", "The cartridge is supplied set.", context=heading).supported


if __name__ == "__main__":
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name, folder in {"demo": KNOWLEDGE, **REAL}.items():
        if folder.is_dir():
            found = _counted(checked(passages_of(folder, most=10_000 if name == "demo" else 240), every))
            for kind, (made, passed) in found.items():
                print(f"{name}: {kind:<28} {len(passed)} of {made} pass")
                for claim in [] if kind == "paraphrase" else passed:
                    print(f"    {claim.text}\n      made from: {claim.source}")
