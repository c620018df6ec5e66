"""False claims made from true sentences, by class of falsehood, and true paraphrases made by rules.

A mutation changes one thing that matters: what the evidence says is true of the source sentence and, unless the same
words stand elsewhere in it, not of the claim.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lineside.analysis import sentences
from lineside.answering.lexicon import IMPERATIVES

_CODE = re.compile(r"\b[A-Z]{1,4}\d?-?[A-Z]?-?\d+(?:-\d+)*(?![\w-])")
_NUMBER = re.compile(r"(?<![\w.,/-])(\d{1,3}(?: \d{3})+|\d+(?:\.\d+)?)(?![\w/-]|\.\d| \d{3}\b)")
_UNITS = ("bar", "Nm", "mm", "°C", "hours", "%", "kN", "l/min", "minutes", "rpm", "kg", "mm/s", "V", "m", "days")
_WITH_UNIT = re.compile(
    rf"(?<=\d )(?:{'|'.join(re.escape(u) for u in sorted(_UNITS, key=len, reverse=True))})(?![\w/°%])"
)
_SUBJECT = re.compile(
    r"^(?:The|A|An|Each|Both|This) (?:[a-z-]+ ){0,3}?[a-z-]+(?= (?:is|are|has|have|must|may|can|takes?)\b)"
)
_MODALS = (("must never", "may"), ("must not", "may"), ("must", "may"), ("may not", "must"), ("may", "must"),
           ("should", "must"), ("can be", "must be"), ("has to", "may"), ("have to", "may"))  # fmt: skip
_QUANTIFIERS = (
    ("never", "always"), ("always", "never"), ("at most", "at least"), ("at least", "at most"), ("above", "below"),
    ("below", "above"), ("more than", "less than"), ("less than", "more than"), ("no more than", "no less than"),
    ("up to", "at least"), ("maximum", "minimum"), ("minimum", "maximum"), ("highest", "lowest"), ("every", "only one"),
    ("each", "one"), ("all", "some"), ("both", "one of the"), ("largest", "smallest"), ("smallest", "largest"),
    ("usually", "always"), ("often", "always"), ("most", "all"), ("exceeds", "is below"), ("within", "after"),
)  # fmt: skip
_PERIODS = (("every shift", "every week"), ("weekly", "daily"), ("once a week", "once a month"), ("hours", "days"),
            ("months", "weeks"), ("once per shift", "once per week"), ("minutes", "seconds"), ("days", "weeks"),
            ("Monday", "Friday"), ("October", "March"), ("2025", "2023"), ("annual", "monthly"))  # fmt: skip
_ADDED = (" because of wear", " with the torque wrench", " by hand", " in an emergency", " and call the fitter",
          " without any further check", " even while the machine runs")  # fmt: skip
_ORDER = (("before", "after"), ("after", "before"), ("first", "last"))
_REASON = re.compile(r"^(?P<effect>.{12,}?),? because (?P<cause>.{8,})\.$")
_CONDITION_FIRST = re.compile(r"^(?P<condition>(?:If|When|Whenever|Once) .+?), (?P<main>.+)\.$")
_CONDITION_LAST = re.compile(r"^(?P<main>.{10,}?),? (?P<condition>(?:if|when|unless|until|as soon as|only when) .+)\.$")
_CONDITION_PHRASE = re.compile(r"^(?P<main>.{10,}?) (?P<condition>(?:at|with|for|above|below|during) .+)\.$")
_MEANS = re.compile(
    r"^(?:A |An |The )?(?P<sign>.{4,}?) "
    r"(?P<verb>means that|means|points to|shows|comes from|is caused by) (?P<cause>.+)\.$"
)
_ROW = re.compile(r"^[^:;.]{1,60}: [^;]*(?:; [^:;]{1,60}: )")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a manual as the check gets it: its text and the headings above it."""

    text: str
    context: str
    document: str

    @property
    def spans(self) -> list[str]:
        """Its sentences; a table row is one."""
        return [self.text[s.start : s.end].strip() for s in sentences(self.text)]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim made from a sentence; true of the evidence or not, by its class."""

    kind: str
    text: str
    source: str


Mutation = Callable[[str, Passage, Sequence[Passage]], Iterator[str]]


def false_claims(passage: Passage, others: Sequence[Passage]) -> Iterator[Claim]:
    """All claims of all classes that can be made from a passage's sentences; none stands in a passage as it is."""
    plain = [_folded(p.text) for p in (passage, *others)]
    for source in passage.spans:
        if source.endswith(":") or len(source.split()) < 4:
            continue
        for kind, mutate in MUTATIONS.items():
            for text in mutate(source, passage, others):
                folded = _folded(text).rstrip(".")
                if folded != _folded(source).rstrip(".") and not any(folded in known for known in plain):
                    yield Claim(kind, text, source)


def paraphrases(passage: Passage) -> Iterator[Claim]:
    """True claims that say in other words what a sentence of the passage says."""
    for source in passage.spans:
        for text in dict.fromkeys(_rephrased(source)):
            if _folded(text) != _folded(source):
                yield Claim("paraphrase", text, source)


def _swapped_code(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    found = _CODE.search(source)
    if found is None:
        return
    prefix = re.match(r"[A-Z]+", found.group())
    known = {c for p in (passage, *others) for c in _CODE.findall(p.text)}
    alike = sorted(c for c in known if prefix and c.startswith(prefix.group()) and c not in source)
    for other in alike[:2]:
        yield source.replace(found.group(), other)


def _swapped_subject(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    found = _SUBJECT.match(source)
    if found is None:
        return
    for p in (passage, *others):
        for sentence in p.spans:
            other = _SUBJECT.match(sentence)
            if other and other.group().casefold() not in source.casefold() and found.group() not in sentence:
                yield other.group() + source[found.end() :]
                return


def _swapped_number(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    numbers = [n for n in _NUMBER.finditer(source) if n.start() or source[n.end() : n.end() + 1] not in ".)"]
    for found in numbers[:2]:
        values = [n for n in _NUMBER.findall(passage.text) if n not in source][:1] or [f"{found.group()}7"]
        yield source[: found.start()] + values[0] + source[found.end() :]


def _exchanged_numbers(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    numbers = list(_NUMBER.finditer(source))
    for one, other in itertools.pairwise(numbers):
        if one.group() != other.group():
            between = source[one.end() : other.start()]
            yield source[: one.start()] + other.group() + between + one.group() + source[other.end() :]
            return


def _swapped_unit(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    found = _WITH_UNIT.search(source)
    if found:
        unit = next(u for u in _UNITS if u != found.group())
        yield source[: found.start()] + unit + source[found.end() :]


def _added_negation(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    if _ROW.match(source) or re.search(r"\b(?:not|never|no)\b", source, re.I):
        return
    first = source.split(None, 1)[0].casefold()
    if first in IMPERATIVES:
        yield f"Do not {source[0].lower()}{source[1:]}"
    elif re.search(r"\b(?:is|are|must|may|can|has to)\b", source):
        yield re.sub(r"\b(is|are|must|may|can)\b", r"\1 not", source, count=1)


def _removed_negation(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    text = re.sub(r"^(?:Do not|Never) (\w)", lambda m: m[1].upper(), source)
    text = text if text != source else re.sub(r"\b(?:not|never) ", "", source, count=1)
    text = text if text != source else re.sub(r"\bwithout\b", "with", source, count=1)
    if text != source:
        yield text


def _swapped_cause(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    if found := _REASON.match(source):
        yield f"{_upper(found['cause'])}, because {_lower(found['effect'])}."
    elif found := _CONDITION_FIRST.match(source):
        head, rest = found["condition"].split(None, 1)
        yield f"{head} {_lower(found['main'])}, {rest}."
    elif (found := _MEANS.match(source)) and not _ROW.match(source):
        yield f"{_upper(found['cause'])} {found['verb']} {_lower(found['sign'])}."


def _dropped_condition(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    if _ROW.match(source):
        return
    if found := _CONDITION_FIRST.match(source):
        if found["main"].split(None, 1)[0].casefold() not in IMPERATIVES:
            yield f"{_upper(found['main'])}."
    elif found := _CONDITION_LAST.match(source):
        yield f"{found['main']}."
    if re.search(r"\bonly\b", source):
        yield re.sub(r"\bonly ", "", source, count=1)


def _changed_quantifier(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    yield from _replaced(source, _QUANTIFIERS, 2)


def _changed_modality(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    yield from _replaced(source, _MODALS, 1)


def _changed_order(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    yield from _replaced(source, _ORDER, 1)
    if found := re.match(r"^(.{6,}?),? (?:and then|then) (.{6,})\.$", source):
        yield f"{_upper(found[2])}, then {_lower(found[1])}."


def _changed_step_order(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    spans = passage.spans
    at = spans.index(source)
    if at + 1 < len(spans) and all(re.match(r"^\d+[.)] ", s) for s in spans[at : at + 2]):
        one, two = (re.sub(r"^\d+[.)] ", "", s).rstrip(".") for s in spans[at : at + 2])
        yield f"{two}, then {_lower(one)}."
        yield f"{two} before you {_lower(one)}."


def _changed_range(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    if found := re.search(r"(\d[\d ]*(?:\.\d+)?) to (\d[\d ]*(?:\.\d+)?)(?= [^\d])", source):
        low, high = found[1], found[2]
        for text in (low, high, f"{low} to {high}5", f"up to {high}", f"at least {low}"):
            yield source[: found.start()] + text + source[found.end() :]


def _changed_date(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    yield from _replaced(source, _PERIODS, 1)


def _added_clause(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    if not _ROW.match(source) and source.endswith("."):
        yield source[:-1] + _ADDED[len(source) % len(_ADDED)] + "."


def _other_machine(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    """What one document says, of a machine that only another one is about."""
    foreign = [p for p in others if p.document != passage.document]
    codes = [c for p in foreign for c in _CODE.findall(p.context)] or [
        c for p in foreign for c in _CODE.findall(p.text)
    ]
    codes = [c for c in codes if c not in passage.text and c not in passage.context]
    if codes and not _ROW.match(source) and not _CODE.search(source):
        yield f"On {codes[0]}, {_lower(source)}"
        yield f"{source.rstrip('.')} on {codes[0]}."


def _wrong_row(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    if not _ROW.match(source):
        return
    rows = [s for s in passage.spans if _ROW.match(s)]
    at = rows.index(source)
    if len(rows) < 2:
        return
    mine, theirs = (_cells(rows[i % len(rows)]) for i in (at, at + 1))
    name = next(iter(mine.values()))
    for key, value in list(theirs.items())[1:3]:
        if mine.get(key) == value or key not in mine:
            continue
        yield f"{name} means {_lower(value)}." if key == "Meaning" else f"{name}: {key} {value}"
        yield f"At {name}, {_lower(value)}."
        yield f"The {key.casefold()} of {name} is {value}."


def _combined_halves(source: str, passage: Passage, others: Sequence[Passage]) -> Iterator[str]:
    """The beginning of one sentence with the end of the next."""
    spans = passage.spans
    at = spans.index(source)
    if at + 1 == len(spans) or _ROW.match(source) or _ROW.match(spans[at + 1]):
        return
    cut = re.compile(r"\b(?:is|are|must be|must|may|has|have|means|takes?|closes?|opens?|needs?)\b")
    one, two = cut.search(source), cut.search(spans[at + 1])
    if one and two and one.start() > 6 and two.start() > 6:
        yield source[: one.start()] + spans[at + 1][two.start() :]
        yield spans[at + 1][: two.start()] + source[one.start() :]


MUTATIONS: dict[str, Mutation] = {
    "code swapped": _swapped_code,
    "subject swapped": _swapped_subject,
    "number swapped": _swapped_number,
    "numbers exchanged": _exchanged_numbers,
    "unit swapped": _swapped_unit,
    "negation added": _added_negation,
    "negation removed": _removed_negation,
    "cause and effect exchanged": _swapped_cause,
    "condition dropped": _dropped_condition,
    "quantifier changed": _changed_quantifier,
    "modality changed": _changed_modality,
    "order changed": _changed_order,
    "steps exchanged": _changed_step_order,
    "range changed": _changed_range,
    "period changed": _changed_date,
    "clause added": _added_clause,
    "another machine": _other_machine,
    "wrong row": _wrong_row,
    "halves combined": _combined_halves,
}
"""Class of falsehood -> how claims of it are made."""


def _rephrased(source: str) -> Iterator[str]:
    if _ROW.match(source):
        cells = _cells(source)
        name = next(iter(cells.values()))
        if "Meaning" in cells:
            yield f"{name} means {_lower(cells['Meaning'])}."
            yield f"Code {name}: {_lower(cells['Meaning'])}."
        if "Action" in cells:
            yield f"If {name} is shown, {_lower(cells['Action'])}."
        if "Torque" in cells:
            yield f"{name}: {cells['Torque']}"
        return
    body = re.sub(r"^\d+[.)] ", "", source)
    yield body
    yield f"According to the manual, {_lower(body)}"
    yield re.sub(r"\b(do|must|is|are) not\b", lambda m: f"{m[1]}n't", body, flags=re.I)
    yield re.sub(r"\bmust\b", "has to", body)
    yield re.sub(r"(?<=\d) °C", " degrees Celsius", body)
    yield re.sub(r"(?<=\d) Nm", " N·m", body)
    yield re.sub(r"(?<=\d) (?=\d{3}\b)", ",", body)
    yield re.sub(r"(?<=\d) hours\b", " h", body)
    yield re.sub(r"\breplaced\b", "exchanged", body)
    if found := _CONDITION_FIRST.match(body):
        yield f"{_upper(found['main'])} {_lower(found['condition'])}."
    elif (found := _CONDITION_LAST.match(body)) and found["condition"].startswith(("if", "when")):
        yield f"{_upper(found['condition'])}, {_lower(found['main'])}."


def _cells(row: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, _, value in (cell.partition(":") for cell in row.split("; ")) if value}


def _replaced(source: str, pairs: Sequence[tuple[str, str]], most: int) -> Iterator[str]:
    made = 0
    for word, other in pairs:
        text = re.sub(rf"\b{word}\b", other, source, count=1)
        if text != source:
            made += 1
            yield text
        if made == most:
            return


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _lower(text: str) -> str:
    """The text as it goes on within a sentence; codes keep their capitals."""
    return text[0].lower() + text[1:] if text[1:2].islower() or text.startswith("A ") else text


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
