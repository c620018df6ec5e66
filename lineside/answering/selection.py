"""Chooses which of the ranked sentences make the answer: the best ones, what completes them, nothing twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lineside.analysis import Span, sentences
from lineside.answering.questions import QuestionKind
from lineside.answering.ranking import RankedSentence, same_section
from lineside.answering.traits import Traits, traits
from lineside.schema import Evidence

_REPEATED = 0.75
"""Share of a sentence's words that a chosen one holds from which it says the same."""
_BESIDE = 2  # characters between two sentences that follow one another


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """Bounds of the answer, and what a further sentence must bring.

    `max_words` bounds an answer, `max_procedure_words` one that holds the steps of a list: half a procedure is worse
    than none. `core` sentences come first whatever else completes them. Up to `enough_words` a further sentence needs
    `low_share` of the best score, beyond that `keep_share`. `redundancy` weighs what a chosen sentence says already,
    `same_section` and `adjacent` are for sentences that stand with a chosen one;
    a table's rows speak for themselves.
    """

    max_sentences: int = 6
    max_steps: int = 10
    max_words: int = 130
    max_procedure_words: int = 160
    enough_words: int = 70
    core: int = 2
    keep_share: float = 0.6
    low_share: float = 0.45
    redundancy: float = 0.4
    given_facet: float = 0.12
    same_section: float = 0.08
    adjacent: float = 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence as it stands in a passage."""

    evidence: int
    span: Span
    text: str
    traits: Traits

    @property
    def key(self) -> str:
        return " ".join(self.text.casefold().split())


def select(
    ranked: Sequence[RankedSentence],
    evidence: Mapping[int, Evidence],
    kind: QuestionKind,
    settings: SelectionSettings = SelectionSettings(),
    leading: Sequence[RankedSentence] = (),
) -> list[tuple[int, Span]]:
    """Evidence numbers and spans in reading order: sections by their best sentence, sentences as they stand there.

    `leading` are taken first: the best sentence for each part of a question.
    """
    telling = [r for r in ranked if kind.document or not r.traits.about_document] or ranked
    if not telling:
        return []
    selection = _Selection(telling, evidence, settings)
    for r in leading:
        selection.take(r)
    selection.take_best(settings.core - min(1, len(leading)))
    if kind.steps:
        selection.complete_list()
    selection.fill()
    return selection.in_order()


@dataclass(slots=True)
class _Candidate:
    """A ranked sentence that is not chosen yet, with what the chosen ones do to it."""

    ranked: RankedSentence
    place: Evidence
    overlap: float = 0.0
    beside: float = 0.0

    def follow(self, line: Line, place: Evidence, settings: SelectionSettings) -> None:
        """Takes a newly chosen line into account."""
        r = self.ranked
        self.overlap = max(self.overlap, _overlap(r.traits, line.traits))
        if not r.traits.row and same_section(self.place, place):
            near = line.evidence == r.evidence and _gap(line.span, Span(r.start, r.end)) <= _BESIDE
            self.beside = max(self.beside, settings.same_section + (settings.adjacent if near else 0.0))


class _Selection:
    """Picks greedily: relevance, less overlap with what is chosen (maximal marginal relevance, Carbonell and Goldstein
    1998), less what is asked for but already given."""

    def __init__(
        self, ranked: Sequence[RankedSentence], evidence: Mapping[int, Evidence], settings: SelectionSettings
    ) -> None:
        self._settings = settings
        self._evidence = evidence
        self._best = ranked[0].score
        least = settings.low_share * self._best - settings.same_section - settings.adjacent
        self._pool = [_Candidate(r, evidence[r.evidence]) for r in ranked if r.score >= least]
        self._chosen: dict[str, Line] = {}
        self._given: set[str] = set()
        self._words = 0
        self._limit = settings.max_words

    def take(self, ranked: RankedSentence) -> bool:
        """Takes a sentence, with what it points back to, if it fits."""
        self._pool = [candidate for candidate in self._pool if candidate.ranked is not ranked]
        if not self._take(_with_context(ranked, self._evidence[ranked.evidence]), force=not self._chosen):
            return False
        self._given |= ranked.facets
        return True

    def take_best(self, count: int) -> None:
        """The best sentences, as long as they differ and are worth keeping; the very best always."""
        for _ in range(count):
            self._take_next(self._settings.keep_share if self._chosen else None, neighbours=False)

    def fill(self) -> None:
        """Takes sentences until nothing that is left is worth a reader's time."""
        settings = self._settings
        while self._pool and len(self._chosen) < settings.max_sentences:
            if not self._take_next(settings.low_share if self._words < settings.enough_words else settings.keep_share):
                return

    def complete_list(self) -> None:
        """The other items of the list that a chosen sentence belongs to or leads to."""
        settings = self._settings
        for line in list(self._chosen.values()):
            items = _list_around(line, self._evidence)
            if len(items) < 2:
                if all(self._take([item]) for item in _instructions_around(line, self._evidence)):
                    continue
                return
            self._limit = settings.max_procedure_words
            own = next((i for i, item in enumerate(items) if item.key == line.key), 0)
            left = self._limit - self._words
            whole = sum(item.traits.words for item in items if item.key not in self._chosen) <= left
            start = 0 if whole and len(items) <= settings.max_steps else max(0, own - 1)
            for item in items[start : start + settings.max_steps]:
                if not self._take([item]):
                    break
            return

    def _take_next(self, share: float | None, *, neighbours: bool = True) -> bool:
        """Takes the best of the pool that fits; False where none reaches its share of the best score.

        With `neighbours`, those that stand with a chosen sentence are favoured.
        """
        while self._pool:
            gains = [
                self._gain(c) + c.beside if neighbours else c.ranked.score * (c.overlap < _REPEATED) for c in self._pool
            ]
            at = max(range(len(gains)), key=gains.__getitem__)
            if share is not None and gains[at] < share * self._best:
                return False
            if self.take(self._pool[at].ranked):
                return True
        return False

    def _take(self, lines: Sequence[Line], *, force: bool = False) -> bool:
        """Adds lines, all or none, if they fit the word limit; the last one alone if nothing else is there."""
        new = [line for line in lines if line.key not in self._chosen]
        words = sum(line.traits.words for line in new)
        if self._words + words > self._limit:
            if not force:
                return False
            new = new[-1:]
            words = new[0].traits.words
        for line in new:
            self._chosen[line.key] = line
            for candidate in self._pool:
                candidate.follow(line, self._evidence[line.evidence], self._settings)
        self._words += words
        return True

    def _gain(self, candidate: _Candidate) -> float:
        settings, r = self._settings, candidate.ranked
        return (
            r.score
            - settings.given_facet * len(r.facets & self._given)
            - settings.redundancy * self._best * candidate.overlap
        )

    def in_order(self) -> list[tuple[int, Span]]:
        """Sections in the order in which they were first chosen, sentences as they stand in the document."""
        groups: list[list[Line]] = []
        for line in self._chosen.values():
            for group in groups:
                if same_section(self._evidence[line.evidence], self._evidence[group[0].evidence]):
                    group.append(line)
                    break
            else:
                groups.append([line])
        ordered = (sorted(group, key=lambda line: _place(line, self._evidence)) for group in groups)
        return [(line.evidence, line.span) for group in ordered for line in group]


def _gap(one: Span, other: Span) -> int:
    """Characters between two spans that do not overlap."""
    return max(other.start - one.end, one.start - other.end)


def _overlap(new: Traits, chosen: Traits) -> float:
    """Share of a sentence's words that a chosen one holds; half where its figures or codes are others.

    "Up to 60 minutes lower it by 60 °C" and "above 60 minutes lower it by 150 °C" are two statements.
    """
    if not new.keys:
        return 1.0
    share = len(new.keys & chosen.keys) / len(new.keys)
    return share if new.exact <= chosen.exact else share / 2


def _place(line: Line, evidence: Mapping[int, Evidence]) -> tuple[int, int]:
    start = evidence[line.evidence].start
    return (0, start + line.span.start) if start is not None else (line.evidence, line.span.start)


@lru_cache(maxsize=2_048)
def _spans(text: str) -> tuple[Span, ...]:
    return tuple(sentences(text))


def _line(source: Evidence, span: Span) -> Line:
    text = source.text[span.start : span.end]
    return Line(source.n, span, text, traits(text))


def _with_context(r: RankedSentence, source: Evidence) -> list[Line]:
    """The sentence, with its predecessor where it begins by pointing back ("It must ...")."""
    own = Line(r.evidence, Span(r.start, r.end), r.text, r.traits)
    if not r.traits.backward:
        return [own]
    before = [span for span in _spans(source.text) if span.end <= r.start]
    if not before:
        return [own]
    previous = _line(source, before[-1])
    return [previous, own] if previous.traits.words > 3 else [own]


def _section_lines(home: Evidence, evidence: Mapping[int, Evidence]) -> list[Line]:
    """The sentences of all passages of a section, in order."""
    found: dict[tuple[int, int], Line] = {}
    for source in evidence.values():
        if source.n == home.n or (source.start is not None and same_section(source, home)):
            for span in _spans(source.text):
                other = _line(source, span)
                place = _place(other, evidence)
                if place not in found or source.n == home.n:
                    found[place] = other
    return [found[place] for place in sorted(found)]


def _list_around(line: Line, evidence: Mapping[int, Evidence]) -> list[Line]:
    """The items of the list that a line belongs to or leads to, from all passages of its section; [] outside a list."""
    lines = _section_lines(evidence[line.evidence], evidence)
    at = next((i for i, other in enumerate(lines) if other.key == line.key), None)
    if at is None:
        return []
    if not lines[at].traits.step:
        if at + 1 == len(lines) or not lines[at + 1].traits.step:
            return []
        at += 1
    first = last = at
    while first > 0 and lines[first - 1].traits.step:
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].traits.step:
        last += 1
    return lines[first : last + 1]


def _instructions_around(line: Line, evidence: Mapping[int, Evidence]) -> list[Line]:
    """A sentence of running text that tells what to do, with the instruction before and after it; [] for another."""
    if not line.traits.instruction:
        return []
    lines = _section_lines(evidence[line.evidence], evidence)
    at = next((i for i, other in enumerate(lines) if other.key == line.key), None)
    return [] if at is None else [other for other in lines[max(0, at - 1) : at + 2] if other.traits.instruction]
