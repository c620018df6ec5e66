"""A sentence as checkable tokens: quantities, identifiers, polar words, negations and content words, with clauses."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lineside.analysis import STOP_WORDS, canonical_identifier, is_identifier, stem
from lineside.answering.lexicon import (
    BOUNDS_AFTER,
    BOUNDS_BEFORE,
    CONDITION_MARKERS,
    CONDITIONALS,
    CONJUNCTIONS,
    FRAMING,
    GLUE,
    IMPERATIVES,
    NEGATIONS,
    POLAR,
    RESTRICTIONS,
    SUBORDINATORS,
    SYNONYMS,
)
from lineside.answering.quantities import NUMBER_WORDS, QUANTITY, read_quantity

Kind = Literal["quantity", "identifier", "polar", "negation", "restriction", "word", "framing"]

Modality = Literal["may", "should", "must", "need not", ""]
"""What is permitted or possible, advised, required, not required; "" for what is said plainly."""

HARD_WEIGHT = 3.0
_MODALITIES: tuple[tuple[Modality, re.Pattern[str]], ...] = (
    (
        "need not",
        re.compile(r"need not\b|(?<=\bnot )(?:have to|need(?:ed)?|required|necessary)\b|(?<=\bno )need to\b", re.I),
    ),
    ("must", re.compile(r"(?:must|shall|(?:may|can|could|might) (?:not|never))\b|(?:ha(?:s|ve|d)|needs?) to\b", re.I)),
    ("must", re.compile(r"(?:is|are|was|were) (?:to be|(?:required|necessary) to)\b", re.I)),
    ("should", re.compile(r"(?:should|ought to|(?:is|are) (?:recommended|advised))\b", re.I)),
    ("may", re.compile(r"(?:may|might|can|could|perhaps|possibly|(?:is|are) (?:allowed|permitted) to)\b", re.I)),
)
_PLAIN = str.maketrans(dict.fromkeys("‐‑‒–—−", "-") | dict.fromkeys("‘’ʼ`", "'") | {"\xad": None})
_ENUMERATOR = re.compile(r"^\s*(?:[-*•]\s+|\(?\d{1,2}[.)]\s+|step\s+\d+[:.)]\s+)", re.IGNORECASE)
_BETWEEN = re.compile(
    r"\bbetween\s+(-?\d[\d.,]*(?:\s\d{3})*(?:\s?(?:degrees?\s[^\W\d_]+|[^\s\d]{1,6}))?)\s+and\s+(?=-?\d)", re.IGNORECASE
)
_SOURCE = re.compile(
    r"^\s*(?:(?:according|with reference) to|based on|as (?:stated|described|given|shown) in)\s+(?:the|this|these)\s+"
    r"(?:(?:provided|given)\s+)?(?:manuals?|guides?|documents?|texts?|notes?|evidence|instructions?|procedures?)\s*,\s*",
    re.IGNORECASE,
)
_NUMBER_SIGN = re.compile(r"\b(?:no|nr)\.?\s*(?=\d)", re.IGNORECASE)
_ROW = re.compile(r"^[^:;.]{1,40}: [^;]+(?:; [^:;]{1,40}: )")
_HEADER_UNIT = re.compile(
    r"(?:(?<=\w)\s*|(?<= ))[(\[]([^()\[\]\d\s]{1,8})[)\]]:\s*(-?\d[\d.,]*(?:\s\d{3})*)(?=\s*(?:;|$))"
)
_CONTRACTIONS = ((re.compile(r"\bcan't\b|\bcannot\b", re.I), "can not"), (re.compile(r"\bwon't\b", re.I), "will not"))
_NOT = re.compile(r"n't\b", re.I)
_NUMBER_NEXT = rf"(?=\s*(?:a\s|the\s|of\s)?\s*[-+±]?(?:\d|(?:{'|'.join(NUMBER_WORDS)})\b))"
_BEFORE = [(re.compile(rf"(?<![\w-])(?:{pattern}){_NUMBER_NEXT}", re.I), sign) for sign, pattern in BOUNDS_BEFORE]
_AFTER = re.compile("|".join(rf"(?P<{name}>^\s*(?:{pattern})\b)" for name, pattern in BOUNDS_AFTER), re.I)
_SIGN_OF = {"least": "≥", "most": "≤"}
_SCAN = re.compile(
    r"(?P<code>\d+(?:(?:-\d+){2,}|(?:/\d+)+|(?::\d+)+|(?:\.\d+){2,})(?!\w))"
    rf"|(?P<quantity>{QUANTITY.pattern})"
    r"|(?P<chunk>[^\W_]+(?:[-./_:#+'][^\W_]+)*)"
    r"|(?P<bound>[≤≥><≈])"
    r"|(?P<punct>[;:,()]|[.!?](?=\s|$)|-(?=\s))",
    re.IGNORECASE,
)
_MODAL = re.compile(r"\b(?:should|has to|have to|(?:is|are) to be|needs? to)\b")
_LETTERED = re.compile(r"\b(?:class|type|zone|grade|category|group|axis|tag|phase|series)s?:?\s+$", re.IGNORECASE)
_PIECE = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True, slots=True)
class Token:
    """One thing that a sentence says.

    `key` is equal for equal meanings ("45 Nm", "45.0 N·m"); `rival` names the group in which another key would be a
    different statement (unit class of a quantity, letters of an identifier). `clause` counts clauses finely (every
    conjunction), `scope` coarsely (what a negation reaches); `conditional` is set inside an if-clause; `modality` is
    that of the verb that it follows.
    """

    kind: Kind
    key: str
    weight: float
    clause: int
    scope: int
    rival: str = ""
    conditional: bool = False
    modality: Modality = ""

    @property
    def hard(self) -> bool:
        return self.kind not in ("word", "framing")


@dataclass(frozen=True, slots=True)
class Statement:
    """The tokens of one sentence.

    `row`: a table row; `conditional`: has an if-clause; `marked`: names a condition in any way ("at E-452, ...");
    `rotation`: index at which an if-clause may be moved to the other end, or 0; `instruction`: tells what to do.
    """

    tokens: tuple[Token, ...]
    row: bool
    conditional: bool
    marked: bool
    rotation: int
    instruction: bool


def normalise(text: str) -> str:
    """NFKC text with plain hyphens, contractions spelled out, bounds of numbers as ≤ ≥ < > and no enumerator."""
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    text = _ENUMERATOR.sub("", _SOURCE.sub("", text))
    text = _NUMBER_SIGN.sub("", text)
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    text = _NOT.sub(" not", text)
    text = _BETWEEN.sub(r"\1 to ", text)
    text = _HEADER_UNIT.sub(r": \2 \1", text)
    for pattern, sign in _BEFORE:
        text = pattern.sub(f" {sign} ", text)
    return text


def number_key(low: float, high: float, unit: str, signed: str, bound: str) -> str:
    """Equal for quantities that say the same."""
    span = f"{low:g}" if low == high else f"{low:g}..{high:g}"
    return f"{bound}{signed}{span} {unit}".strip()


def _is_name(text: str, match: re.Match[str]) -> bool:
    """Whether a chunk is one capital letter that names something ("class B", "Tag: S"), no article and no "I"."""
    letter = match.group()
    if len(letter) > 1 or not letter.isupper():
        return False
    if letter not in "AI":
        return True
    return _LETTERED.search(text, 0, match.start()) is not None or re.match(r"\s+[a-z]", text[match.end() :]) is None


def _modality_at(text: str, at: int) -> Modality:
    """The modality that begins at a place of the text, "" where none does."""
    return next((modality for modality, pattern in _MODALITIES if pattern.match(text, at)), "")


def _rival_of(identifier: str) -> str:
    return "#" + re.sub(r"\d.*", "", identifier)


def word_key(word: str) -> str:
    """The stem of a folded word, or of the word that stands for its synonyms."""
    root = stem(word)
    return SYNONYMS.get(root, root)


@lru_cache(maxsize=20_000)
def state(text: str) -> Statement:
    """What one sentence says."""
    text = normalise(text)
    row = bool(_ROW.match(text))
    tokens: list[Token] = []
    clause = scope = 0
    bound = ""
    conditional = leading = seen_condition = False
    modality: Modality = ""
    strong = False
    rotation = 0
    comma = False
    first = True
    lower = text.casefold()
    switching = re.search(r"\b(?:turn|switch|power)", lower) is not None

    def add(kind: Kind, key: str, weight: float, rival: str = "") -> None:
        tokens.append(Token(kind, key, weight, clause, scope, rival, conditional, modality))

    for match in _SCAN.finditer(text):
        group = match.lastgroup if match.lastgroup in ("code", "chunk", "bound", "punct") else "quantity"
        if group == "punct":
            sign = match.group()
            if row and sign == ":":
                continue
            if sign != ",":
                modality = ""
            if sign == ",":
                comma = True
                if leading:  # "If the pump stops, ...": here the main clause begins
                    clause, scope, leading, conditional = clause + 1, scope + 1, False, False
                    rotation = len(tokens)
            else:
                clause, scope, conditional, leading = clause + 1, scope + 1, False, False
            continue
        if group == "bound":
            bound = match.group()
            continue
        if group == "code":
            add("identifier", "#" + match.group(), HARD_WEIGHT, "#code")
        elif group == "quantity":
            literal = match.group()
            quantity = read_quantity(match)
            unit = quantity.unit
            if unit == "a" and literal.endswith(" a"):  # the article, not ampere
                unit = ""
            if literal.casefold() == "one" and not re.match(r"\s+[a-z]", text[match.end() :]):
                first = comma = False
                continue
            if literal.casefold() == "one" and re.match(r"\s+of\b", text[match.end() :]):
                add("restriction", "!one of", HARD_WEIGHT)
                first = comma = False
                continue
            if literal.casefold() == "one" and re.match(r"\s+(?:or|and|is|can|that|which)\b", text[match.end() :]):
                first = comma = False
                continue
            after = _AFTER.match(text[match.end() :])
            if after:
                bound = _SIGN_OF[str(after.lastgroup)]
            shown = "" if bound == "≈" else bound
            key = number_key(quantity.low, quantity.high, unit, quantity.signed, shown)
            add("quantity", key, HARD_WEIGHT, "=" + (quantity.kind or unit))
            bound = ""
        elif _is_name(text, match):
            add("identifier", "#" + match.group().casefold(), HARD_WEIGHT, "#letter")
            bound = ""
        else:
            chunk = match.group().casefold()
            modality = _modality_at(text, match.start()) or modality
            if is_identifier(chunk) and not re.fullmatch(r"\d+(?:st|nd|rd|th)", chunk):
                name = canonical_identifier(chunk.replace("'", ""))
                add("identifier", "#" + name, HARD_WEIGHT, _rival_of(name))
                bound = ""
            else:
                for word in _PIECE.findall(chunk):
                    if word in ("s", "re", "ll", "ve"):
                        continue
                    if word in SUBORDINATORS or word in CONJUNCTIONS:
                        if not first and not (row and word == "and"):
                            clause += 1
                            if comma or word in SUBORDINATORS or word == "but":
                                scope += 1
                                conditional, modality = False, ""
                        if word in SUBORDINATORS:
                            conditional = word in CONDITIONALS
                            seen_condition |= conditional
                            if first:
                                leading = True
                            elif not rotation:
                                rotation = len(tokens)
                    strong = strong or word in ("must", "shall", "always")
                    key = word_key(word)
                    if word in NEGATIONS:
                        add("negation", NEGATIONS[word], HARD_WEIGHT)
                    elif word in RESTRICTIONS:
                        add("restriction", "!" + word, HARD_WEIGHT)
                    elif key in POLAR and (word != "on" or switching):
                        add("polar", key, HARD_WEIGHT, "~" + POLAR[key])
                    elif (word not in STOP_WORDS or word == "all") and word not in GLUE:
                        framing = key in FRAMING
                        weight = 0.5 if framing else 1.0 + min(len(word), 10) / 10.0
                        add("framing" if framing else "word", key, weight)
                    comma = first = False
        comma = first = False
    marked = not CONDITION_MARKERS.isdisjoint(_PIECE.findall(lower))
    words = lower.split(None, 1)
    instruction = strong or (bool(words) and words[0] in IMPERATIVES) or _MODAL.search(lower) is not None
    rotation = rotation if rotation < len(tokens) else 0
    return Statement(tuple(tokens), row, seen_condition, marked, rotation, instruction)
