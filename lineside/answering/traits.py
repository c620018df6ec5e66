"""What can be seen of a sentence without its question: its words and codes, and what kinds of statement it makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from lineside.analysis import (
    STOP_WORDS,
    canonical_identifier,
    fold,
    identifiers_between,
    is_identifier,
    stem,
)
from lineside.answering.lexicon import IMPERATIVES, SYNONYMS
from lineside.answering.quantities import QUANTITY, read_quantity

Facet = str
"""A kind of statement: `cause`, `meaning`, `action`, `ruling`, `time`, `condition`; `quantity` and `part`, too."""

_CHUNK = re.compile(r"[^\W_]+(?:[-./_:#+'][^\W_]+)*")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
# "class B and class C", "Class: B;": one letter tells things of a kind apart as a code does.
_LETTERED = re.compile(
    r"\b(?:class|type|zone|grade|category|group|level|phase|point|variant|series)s?:?\s+([a-z])\b"
    r"(?:(?:\s*,|\s+(?:and|or|to))\s+([a-z])\b(?!\s+\w+\s+(?:is|are)\b))?"
)
_ROW = re.compile(r"^[^:;.]{1,60}: [^;]*(?:; [^:;]{1,60}: )")
_STEP = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|step\s+\d+\b|[-*•])\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|step\s+\d+\b)\s", re.IGNORECASE)
_BACKWARD = re.compile(
    r"^(?:it|its|this|these|they|them|their|that|those|such|he|she|otherwise|then|also|both|in this case|here)\b(?!:)",
    re.IGNORECASE,
)
_HEADER_UNIT = re.compile(r"[(\[]([^()\[\]\d\s]{1,8})[)\]]:\s*(-?\d[\d.,]*)")
_ABOUT_DOCUMENT = re.compile(
    r"^(?:this|the present) (?:manual|guide|procedure|instruction|document|section|chapter|book|paper|report)\b"
    r"|\b(?:is|are) (?:described|covered|treated|explained|discussed) (?:in|by)\b|^see\b.{0,60}$",
    re.IGNORECASE,
)
_INSTRUCTIONS = "|".join(["do not", "never", *sorted(IMPERATIVES)])
_INSTRUCTION = re.compile(rf"(?:then\s+)?(?:{_INSTRUCTIONS})\b(?!:)", re.IGNORECASE)
_STATEMENTS: Mapping[Facet, re.Pattern[str]] = {
    "cause": re.compile(
        r"\b(?:because|caused? by|causes?|due to|reason|results? (?:from|in)|leads? to|points? to|comes? from"
        r"|means? that|arises? from)\b",
        re.IGNORECASE,
    ),
    "meaning": re.compile(r"\b(?:means?|meaning|indicates?|shows?|points? to|signals?|sign of|stands? for)\b", re.I),
    "action": re.compile(
        rf"(?:^|[,;:]\s+(?:then\s+|and\s+)?)(?:{_INSTRUCTIONS})\b"
        r"|\b(?:must|is to be|are to be|has to|have to|should)\b",
        re.IGNORECASE,
    ),
    "ruling": re.compile(
        r"\b(?:must|may|should|has to|have to|cannot|never|only|do not|nobody|forbidden|permitted|allowed|released?"
        r"|blocked|rejected|passed|normal|harmless|dangerous|safe|enough|no action|needs? no|asks? for no"
        r"|(?:nothing|no work) (?:needs|has|is)|not needed|no longer)\b",
        re.IGNORECASE,
    ),
    "time": re.compile(
        r"\b(?:every|daily|weekly|monthly|quarterly|yearly|annually|each shift|once a|twice a"
        r"|per (?:shift|day|week))\b",
        re.IGNORECASE,
    ),
    "condition": re.compile(
        r"\b(?:when|whenever|until|unless|after|before|as soon as|once|if|above|below|from .{1,20} on|within)\b", re.I
    ),
}


@dataclass(frozen=True, slots=True)
class Traits:
    """`keys`: stems of content words, numbers, and identifiers marked `#`; equal for synonyms. `exact`: the numbers
    and identifiers among them.

    `row`: a table row. `step`: an item of a list, `numbered` one with a number. `caption`: no sentence's end.
    `backward`: begins by pointing back ("It must ..."). `lead_in`: ends in a colon. `about_document`: says what the
    document is about and nothing of the thing. `bare`: too short to say anything alone.
    `instruction`: begins by telling what to do. `named`: what the first cell of a row is called, if only by codes.
    """

    keys: frozenset[str]
    exact: frozenset[str]
    words: int
    row: bool
    step: bool
    numbered: bool
    caption: bool
    backward: bool
    lead_in: bool
    about_document: bool
    bare: bool
    instruction: bool
    named: frozenset[str]


@lru_cache(maxsize=16_384)
def traits(text: str) -> Traits:
    """The traits of one sentence."""
    row = _ROW.match(text) is not None
    step = _STEP.match(text)
    plain = text[step.end() :] if step else text
    ended = plain.rstrip()[-1:]
    keys = term_keys(text)
    words = len(text.split())
    return Traits(
        keys=keys,
        exact=frozenset(key for key in keys if key[0] == "#" or key.isdigit()),
        words=words,
        row=row,
        step=step is not None,
        numbered=_NUMBERED.match(text) is not None,
        caption=not (ended in (".", "!", "?", ":", ";", ")", '"') or row or step is not None),
        backward=_BACKWARD.match(text) is not None,
        lead_in=ended == ":",
        about_document=_ABOUT_DOCUMENT.search(text) is not None,
        bare=len(keys) < 3 and not row,
        instruction=not row and _INSTRUCTION.match(plain.lstrip()) is not None,
        named=_codes_named(text) if row else frozenset(),
    )


def _codes_named(row: str) -> frozenset[str]:
    """The codes in a row's first cell ("Codes: M106; Brief: ..."); none where it holds other words beside them."""
    keys = term_keys(row.partition(";")[0].partition(":")[2])
    return keys if all(key[0] == "#" for key in keys) else frozenset()


@lru_cache(maxsize=16_384)
def states(text: str, facet: Facet) -> bool:
    """Whether a sentence makes a statement of this kind; a quantity or a part is not told by words."""
    step = _STEP.match(text)
    return _STATEMENTS[facet].search(text[step.end() :] if step else text) is not None


@lru_cache(maxsize=4_096)
def term_keys(text: str) -> frozenset[str]:
    """Stems of the content words of a text, its numbers, and its identifiers, those that a range implies included."""
    folded = fold(text)
    found = {"#" + letter for pair in _LETTERED.findall(folded) for letter in pair if letter}
    for chunk in _CHUNK.findall(folded):
        if chunk.isalpha():
            pieces = [chunk]
        elif is_identifier(chunk):
            found.add("#" + canonical_identifier(chunk.replace("'", "")))
            continue
        else:
            pieces = _PIECE.findall(chunk)
        for word in pieces:
            if (word not in STOP_WORDS and len(word) > 1) or word.isdigit():
                root = stem(word)
                found.add(SYNONYMS.get(root, root))
    if any(key[0] == "#" for key in found):
        found.update("#" + name for name in identifiers_between(text))
    return frozenset(found)


@lru_cache(maxsize=8_192)
def measures(text: str) -> frozenset[str]:
    """Classes of the quantities that a text states ("torque", "time"), "" for a bare number."""
    plain = _HEADER_UNIT.sub(r" \2 \1", fold(text))
    return frozenset(read_quantity(match).kind for match in QUANTITY.finditer(plain))
