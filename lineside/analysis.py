"""How text becomes terms, identifiers, quantities and sentences: one analyser for indexing, search and checking."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

# A run of letters and digits with inner joints: "E-452", "V.1.2.3", "M104", "G38.2", "4-20", "HX-200/A".
_CHUNK = re.compile(r"[^\W_]+(?:[-./_:#+][^\W_]+)*", re.UNICODE)
_WORD = re.compile(r"[^\W\d_]+|\d+", re.UNICODE)
_HAS_DIGIT = re.compile(r"\d")
_HAS_LETTER = re.compile(r"[^\W\d_]", re.UNICODE)

STOP_WORDS = frozenset(
    "a about all also am an and any are as at be been being but by can could did do does doing for from had has have "
    "having he her here him his how i if in into is it its itself just me my of on or our she should so some such than "
    "that the their them then there these they this those through to too us very was we were what when where which "
    "while who whom whose why will with would you your".split()
)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Snowball (Porter2) English stem of one lower-case word."""
    return Stemmer.Stemmer("english").stemWord(word)


def fold(text: str) -> str:
    """Compatibility-normalised, case-folded text with typographic hyphens and quotes made plain."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return text.translate(_PLAIN)


_PLAIN = {ord(c): "-" for c in "‐‑‒–—−"} | {ord(c): "'" for c in "‘’ʼ"} | {ord(c): '"' for c in "“”„"}


def is_identifier(token: str) -> bool:
    """Whether a folded chunk names a thing (error code, part or rule number) rather than being a word or a number.

    Letters and digits together ("m104", "e-452"), or digits joined by dots at least twice ("1.2.3").
    """
    if not _HAS_DIGIT.search(token):
        return False
    return bool(_HAS_LETTER.search(token)) or token.count(".") >= 2


def identifiers(text: str) -> list[str]:
    """Identifiers of the text in order, folded, joints removed: "E-452" and "e452" are both "e452"."""
    return [canonical_identifier(t) for t in _CHUNK.findall(fold(text)) if is_identifier(t)]


def canonical_identifier(token: str) -> str:
    """An identifier without its joints, except dots between digits ("g38.2" stays apart from "g382")."""
    return re.sub(r"(?<!\d)\.|\.(?!\d)|[-/_:#+]", "", token)


# "M1 to M4", "GB-1 to GB-4", "P-101…P-104", "BRN-01..24", "G54-G59.3": the members between the ends are meant, too.
_RANGE = re.compile(
    r"(?<![^\W_])([^\W\d_]{1,6}-?)(\d{1,4})"
    r"(?:(?:\s+(?:to|through)\s+|\s*(?:\.\.\.?|…)\s*)(?:\1)?|\s*-\s*\1)(\d{1,4})(?!\w)"
)
_RANGE_MAX = 60


def identifiers_between(text: str) -> list[str]:
    """Identifiers that a range in the text implies and does not spell out: "M1 to M4" implies m2 and m3."""
    return _between(fold(text))


def _between(folded: str) -> list[str]:
    found: list[str] = []
    if not _HAS_DIGIT.search(folded):
        return found
    for prefix, low, high in _RANGE.findall(folded):
        if int(low) < int(high) <= int(low) + _RANGE_MAX:
            inner = range(int(low) + 1, int(high))
            found += [canonical_identifier(f"{prefix}{number:0{len(low)}d}") for number in inner]
    return found


_JOINT = re.compile(r"[-/_:#+]")
_DOTTED_NUMBER = re.compile(r"(?<!\d)\d+(?:\.\d+)+")


def _parts(chunk: str) -> list[str]:
    """Identifiers that one of several parts is: "w1-e408" holds w1 and e408, "e-452" and "hx-200/a" hold none."""
    pieces = _JOINT.split(chunk)
    return [canonical_identifier(piece) for piece in pieces if is_identifier(piece)] if len(pieces) > 1 else []


def terms(text: str) -> list[str]:
    """Terms that a question is asked with, in order: stemmed words without stop words, numbers, and as terms of their
    own identifiers, marked `#`, and numbers with a point.

    Identifiers that a range implies come last.
    """
    return _terms(text, with_parts=False)


def indexed_terms(text: str) -> list[str]:
    """Terms that a text is found by: those of `terms`, and the parts of compound identifiers.

    So that who asks for E408 finds W1-E408, and who asks for W1-E408 is not shown everything about W1.
    """
    return _terms(text, with_parts=True)


def _terms(text: str, with_parts: bool) -> list[str]:
    folded = fold(text)
    found: list[str] = []
    for chunk in _CHUNK.findall(folded):
        if is_identifier(chunk):
            found.append("#" + canonical_identifier(chunk))
            if with_parts:
                found.extend("#" + part for part in _parts(chunk))
        found.extend(_plain_terms(chunk))
    found.extend("#" + name for name in _between(folded))
    return found


def _plain_terms(chunk: str) -> list[str]:
    """What a folded chunk holds beside being an identifier."""
    words = [stem(word) for word in _WORD.findall(chunk) if word not in STOP_WORDS]
    return [chunk, *words] if "." in chunk and _DOTTED_NUMBER.fullmatch(chunk) and not is_identifier(chunk) else words


def terms_beside_identifiers(text: str) -> set[str]:
    """The terms of a text that are not, or not only, spelt inside an identifier."""
    chunks = (chunk for chunk in _CHUNK.findall(fold(text)) if not is_identifier(chunk))
    return {term for chunk in chunks for term in _plain_terms(chunk)}


def identifier_parts(text: str, identifier: str) -> list[str]:
    """The parts of a compound identifier of the text, itself given as `canonical_identifier` writes it."""
    chunks = (c for c in _CHUNK.findall(fold(text)) if is_identifier(c) and canonical_identifier(c) == identifier)
    return [part for chunk in chunks for part in _parts(chunk)]


# "Rule 4.2", "§ 12", "clause 7": a number that names a place of a rule book.
_REFERENCE = re.compile(
    r"(?:§+|\b(?:rules?|sections?|sec\.|clauses?|articles?|art\.|paragraphs?|para\.|regulations?|subsections?))"
    r"\s*(\d+(?:\.\d+)*)(?![\w-])"
)


def referenced_numbers(text: str) -> list[str]:
    """Terms of the numbers that a question refers to as a rule or section, in order."""
    if not _HAS_DIGIT.search(text):
        return []
    return [number for number in _REFERENCE.findall(fold(text)) if number.count(".") < 2]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `[start, end)` of a text."""

    start: int
    end: int


_ABBREVIATIONS = frozenset(
    "e.g i.e etc vs no nr fig figs sec approx max min ca cf mr ms dr st inc ltd dept eq ref refs vol pp para incl "
    "temp".split()
)
# Never begun inside a run of full stops: a line of dot leaders would cost its length squared.
_BOUNDARY = re.compile(r"(?<![.!?…])[.!?…]++[\"')\]]*+(?=\s)|\n+")
_NEXT = re.compile(r"\s*(\S?)")
_LOOK_BACK = 64  # characters: abbreviations and enumerators are shorter


def _sentence_bounds(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _BOUNDARY.finditer(text):
        if "\n" not in match.group():
            before = text[max(start, match.start() - _LOOK_BACK) : match.start()].rsplit(None, 1)
            last = before[-1].casefold().lstrip("(\"'[") if before else ""
            following = _NEXT.match(text, match.end())[1]  # type: ignore[index]
            if match.group().startswith(".") and (last in _ABBREVIATIONS or _is_initial(last, before[:-1])):
                continue
            if following and following.islower():
                continue
            if re.fullmatch(r"\(?\d{1,3}", last) and text[start : match.start()].strip() == before[-1]:
                continue  # "3. Close the valve": an enumerator belongs to its sentence
        yield start, match.end()
        start = match.end()
    yield start, len(text)


def _is_initial(last: str, before: list[str]) -> bool:
    """Whether a last word is one letter that shortens a name ("J. Smith"), not a unit ("2000 h.")."""
    return len(last) == 1 and last.isalpha() and not (before and before[0][-1:].isdigit())


def sentences(text: str) -> list[Span]:
    """Spans of the sentences of a text, without surrounding white space; a line break ends a sentence."""
    spans = []
    for start, end in _sentence_bounds(text):
        piece = text[start:end]
        stripped = piece.strip()
        if stripped and any(c.isalnum() for c in stripped):
            left = start + len(piece) - len(piece.lstrip())
            spans.append(Span(left, left + len(stripped)))
    return spans
