"""A second opinion on whether a sentence is supported by its quotes, made without the pipeline's own check.

Deliberately simple, so that it does not share the mistakes of `lineside.answering.support`: it compares sets. A
sentence passes when a quote contains it word for word; or else when every number with the unit after it and every
identifier stands in a quote or its headings, when it denies as often as its quotes do, and when nine of ten content
words come from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lineside.analysis import STOP_WORDS, fold, identifiers, stem

WORDS_BAR = 0.9

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# After `fold`, "m³/h" is "m3/h" and "°C" is "°c".
_NUMBER_WITH_UNIT = re.compile(r"(?<![\w.])(\d+(?:[.,]\d+)*)\s*(°\s*[cf]\b|[°%]|[a-zμω]+\d?(?:/[a-z]+\d?)?)?")
_WORD = re.compile(r"[^\W\d_]{2,}")
_DENIAL = re.compile(r"\b(?:not|no|never|none|without|cannot|neither|nor)\b|n't\b")
_GROUPED = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f](?=\d{3}(?!\d))")
_UNITS = frozenset(
    "nm mm cm m m2 m3 km kg g t l ml bar pa kpa mpa kw w kv v a ma hz rpm s ms min h k °c °f ° % db μm".split()
)


def is_verbatim(sentence: str, quotes: Iterable[str]) -> bool:
    """Whether a quote contains the sentence, case and white space folded, its full stop aside."""
    claim = _plain(sentence).rstrip(".")
    return bool(claim) and any(claim in _plain(quote) for quote in quotes)


def is_supported(sentence: str, quotes: Iterable[str], headings: Iterable[str] = ()) -> bool:
    """Whether one sentence follows from the quotes that it cites, under the headings that they stand below."""
    quoted = [_plain(quote) for quote in quotes]
    claim, source = _plain(sentence), " ".join(quoted)
    known = " ".join([source, *map(_plain, headings)])
    if is_verbatim(sentence, quoted):
        return True
    if not _quantities(claim) <= _quantities(known) or not set(identifiers(claim)) <= set(identifiers(known)):
        return False
    if len(_DENIAL.findall(claim)) != len(_DENIAL.findall(source)):
        return False
    words = _content(claim)
    return bool(words) and len(words & _content(known)) >= WORDS_BAR * len(words)


def _plain(text: str) -> str:
    return _GROUPED.sub("", " ".join(fold(text).split()))


def _quantities(text: str) -> set[str]:
    """Numbers with the unit of measurement after them where there is one, else the bare number."""
    found = set()
    for number, unit in _NUMBER_WITH_UNIT.findall(text):
        compact = unit.replace(" ", "")
        measured = compact in _UNITS or "/" in compact
        found.add(number.replace(",", ".") + (f" {compact}" if measured else ""))
    return found | {n.replace(",", ".") for n in _NUMBER.findall(text)}


def _content(text: str) -> set[str]:
    return {stem(word) for word in _WORD.findall(text) if word not in STOP_WORDS}
