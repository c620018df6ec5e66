"""The extractive answer: the few verbatim sentences of the evidence that answer the question, each cited."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lineside.analysis import Span, sentences
from lineside.answering.citations import neutralise
from lineside.answering.claims import Statement, state
from lineside.answering.questions import QuestionKind, read_question
from lineside.schema import AnswerSentence, Citation, Evidence, LabelVote
from lineside.search.contract import SearchResult
from lineside.search.question import asks_about_event

_STEP = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|step\s+\d+\b|[-*•])\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|step\s+\d+\b)\s", re.IGNORECASE)
_BACKWARD = re.compile(
    r"^(?:it|its|this|these|they|them|their|that|those|such|he|she|otherwise|then|also|both|in this case|here)\b(?!:)",
    re.IGNORECASE,
)
_CAUSE = re.compile(
    r"\b(?:because|caused? by|causes?|due to|reason|results? from|leads? to|points? to|comes from)\b", re.I
)
_MEANS = re.compile(r"\b(?:means?|meaning|indicates?|shows?|points? to|signals?|sign of|stands? for)\b", re.I)
_WHEN = re.compile(
    r"\b(?:every|daily|weekly|monthly|quarterly|yearly|annually|each shift|once a|twice a|per (?:shift|day|week))\b",
    re.I,
)
_IMPERATIVE = re.compile(
    r"(?:^|[,;:]\s+(?:then\s+|and\s+)?|\bAction: )(?:check|close|open|stop|start|switch|replace|clean|tighten|loosen|"
    r"remove|drain|fill|lock|measure|turn|set|reduce|lower|raise|wait|put|take|inspect|adjust|grease|call|report"
    r"|do not|never|"
    r"isolate|press|hold|cut|run|reset|vent|bleed|look|test|repeat|enter|use|keep|move|align|clear|shut|secure|fit"
    r"|pull)\b",
    re.IGNORECASE,
)
_MODAL = re.compile(
    r"\b(?:must|is to be|are to be|has to|have to|should|is (?:stopped|replaced|closed|reduced|not needed)"
    r"|no action|(?:nothing|no work) (?:needs|has|is) to be|asks? for no|needs? no"
    r"|may (?:not )?(?:be|go|run|stay|continue)|(?:is|are) (?:permitted|allowed|released|blocked|rejected))\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """Bounds and weights of the extractive answer. Weights are added to the sentence's own score in [0, 1].

    `keep_share` of the best score keeps a further sentence; `facet_share` of that is enough for one that gives what is
    still missing. `weight_rank` counts the rank score of the passage, `weight_facet` each thing asked for (a quantity,
    a cause, an action, a part, a meaning) that the sentence gives and no chosen one has given yet.
    `penalty_nothing_new` is for a sentence that only repeats the question, `penalty_incident` for one of an incident
    report where the question is not about an event: what was wrong once is not what is right; `penalty_caption` for a
    caption or a fragment.
    """

    max_sentences: int = 5
    max_steps: int = 9
    max_words: int = 120
    candidates: int = 48
    keep_share: float = 0.55
    facet_share: float = 0.6
    redundancy: float = 0.4
    weight_rank: float = 0.35
    weight_facet: float = 0.2
    weight_identifier: float = 0.2
    penalty_nothing_new: float = 0.3
    penalty_incident: float = 0.15
    penalty_caption: float = 0.3
    weight_heading: float = 0.15
    weight_label: float = 0.4
    weight_neighbour: float = 0.1
    weight_same_section: float = 0.12
    label_share: float = 0.3


Facet = str


@dataclass(frozen=True, slots=True)
class RankedSentence:
    """A sentence of the evidence with its score for this question; `[start, end)` counts characters of its text.

    `facets` are the things asked for that it gives; the score counts them already.
    """

    evidence: int
    start: int
    end: int
    text: str
    score: float
    facets: frozenset[Facet]
    statement: Statement


def extract(result: SearchResult, question: str, settings: ExtractSettings = ExtractSettings()) -> list[AnswerSentence]:
    """One to four verbatim sentences that answer the question best, or the steps of a list; [] without evidence."""
    ranked = rank_sentences(result, question, settings)
    if not ranked:
        return []
    evidence = {e.n: e for e in result.evidence}
    kind = read_question(question)
    chosen = _select(ranked, evidence, kind, settings)
    return [_answer_sentence(evidence[n], span) for n, span in chosen]


def rank_sentences(
    result: SearchResult, question: str, settings: ExtractSettings = ExtractSettings()
) -> list[RankedSentence]:
    """The result's sentences, best first, repeats and bare headings left out."""
    evidence = {e.n: e for e in result.evidence}
    kind = read_question(question)
    shown = _label_words(result.labels, settings.label_share)
    top = max((e.score for e in result.evidence if e.kind == "passage"), default=0.0)
    named = _identifier_shares(result.evidence, kind.identifiers)
    by_evidence = {e.n: _evidence_bonus(e, top, kind, named, settings) for e in result.evidence}
    if not asks_about_event(question):
        for e in result.evidence:
            by_evidence[e.n] -= settings.penalty_incident if e.document_kind == "incident" else 0.0
    for n, share in _shown_shares(result.evidence, shown).items():
        by_evidence[n] += settings.weight_label * share
    base = {(s.evidence, s.start): s.score for s in result.sentences}
    placed = sorted((s for s in result.sentences if s.evidence in evidence), key=lambda s: (s.evidence, s.start))
    lifted = []
    for i, scored in enumerate(placed):
        beside = [base[(o.evidence, o.start)] for o in placed[max(0, i - 1) : i + 2] if o.evidence == scored.evidence]
        lifted.append((scored.score + settings.weight_neighbour * max(beside) + by_evidence[scored.evidence], scored))
    lifted.sort(key=lambda pair: -pair[0])
    found: dict[str, RankedSentence] = {}
    for score, scored in lifted[: settings.candidates]:
        source = evidence[scored.evidence]
        text = source.text[scored.start : scored.end]
        if _is_heading(text, source):
            continue
        statement = state(text)
        facets = _facets(text, statement, kind)
        score += settings.weight_facet * len(facets) + _sentence_bonus(text, statement, kind, shown, named, settings)
        key = " ".join(text.casefold().split())
        if key not in found or found[key].score < score:
            found[key] = RankedSentence(source.n, scored.start, scored.end, text, score, facets, statement)
    return sorted(found.values(), key=lambda r: (-r.score, r.evidence, r.start))


def _label_words(labels: Iterable[LabelVote], share: float) -> dict[str, float]:
    """Words for what the image most likely shows -> weight; the label's own words count more than its caption's."""
    found: dict[str, float] = {}
    for vote in labels:
        if vote.share >= share:
            found |= {t.key: 1.0 for t in state(vote.caption).tokens}
            found |= {t.key: 3.0 for t in state(vote.label.replace("-", " ").replace("_", " ")).tokens}
    return found


def _identifier_shares(evidence: Sequence[Evidence], identifiers: frozenset[str]) -> dict[str, float]:
    """Identifier of the question -> its share of their weight, by its rarity among the passages (idf).

    In "P-102 shows P-E31" the pump is named on every page, the code in one row: the code says where the answer is.
    """
    passages = [_text_keys(e.text) | _heading_keys(e) for e in evidence if e.kind == "passage"]
    rarity = {i: math.log((len(passages) + 1) / (0.5 + sum(i in keys for keys in passages))) for i in identifiers}
    total = sum(rarity.values())
    return {i: value / total for i, value in rarity.items()} if total > 0 else {}


def _evidence_bonus(
    source: Evidence, top: float, kind: QuestionKind, named: Mapping[str, float], settings: ExtractSettings
) -> float:
    bonus = settings.weight_rank * ((source.score / top) ** 4 if top > 0 and 0 < source.score <= top else 0.0)
    heading = _heading_keys(source)
    wanted = kind.words | kind.identifiers
    if wanted:
        bonus += settings.weight_heading * len(heading & wanted) / len(wanted)
    if named:
        keys = heading | _text_keys(source.text)
        bonus += settings.weight_identifier * sum(share for i, share in named.items() if i in keys)
    return bonus


def _shown_shares(evidence: Sequence[Evidence], shown: Mapping[str, float]) -> dict[int, float]:
    """How far the section of each passage speaks of what the image shows, 1 for the one that does most.

    A word counts by its rarity among the passages (idf), twice in a heading.
    """
    if not shown:
        return {}
    passages = [e for e in evidence if e.kind == "passage"]
    bodies = {e.n: _text_keys(e.text) for e in passages}
    headings = {e.n: _heading_keys(e) for e in passages}
    rarity = {
        word: weight * math.log((len(passages) + 1) / (0.5 + sum(word in bodies[n] | headings[n] for n in bodies)))
        for word, weight in shown.items()
    }
    counts = {
        n: sum(w for word, w in rarity.items() if word in bodies[n])
        + 2.0 * sum(w for word, w in rarity.items() if word in headings[n])
        for n in bodies
    }
    most = max(counts.values(), default=0.0)
    if most <= 0:
        return {}
    sections: dict[tuple[str | None, tuple[str, ...]], float] = {}
    for e in passages:
        place = (e.document_id, e.section_path)
        sections[place] = max(sections.get(place, 0.0), counts[e.n])
    return {e.n: max(0.0, sections[e.document_id, e.section_path] / most) ** 2 for e in passages}


@lru_cache(maxsize=8_192)
def _text_keys(text: str) -> frozenset[str]:
    return frozenset(t.key for span in sentences(text) for t in state(text[span.start : span.end]).tokens)


def _heading_keys(source: Evidence) -> frozenset[str]:
    return _text_keys(" . ".join(dict.fromkeys((source.title, *source.section_path))))


def _facets(text: str, statement: Statement, kind: QuestionKind) -> frozenset[Facet]:
    """Which of the things asked for a sentence gives."""
    facets: set[Facet] = set()
    if kind.quantity:
        measured = {t.rival.removeprefix("=") for t in statement.tokens if t.kind == "quantity"}
        if kind.units & measured or ("time" in kind.units and _WHEN.search(text)) or (measured and not kind.units):
            facets.add("quantity")
    if kind.cause and (_CAUSE.search(text) or _MEANS.search(text)):
        facets.add("cause")
    if kind.procedure and (_IMPERATIVE.search(_STEP.sub("", text)) or _MODAL.search(text)):
        facets.add("action")
    if kind.part and any(t.kind == "identifier" and t.key not in kind.identifiers for t in statement.tokens):
        facets.add("part")
    if kind.meaning and _MEANS.search(text):
        facets.add("meaning")
    return frozenset(facets)


def _sentence_bonus(
    text: str,
    statement: Statement,
    kind: QuestionKind,
    shown: Mapping[str, float],
    named: Mapping[str, float],
    settings: ExtractSettings,
) -> float:
    keys = {t.key for t in statement.tokens}
    bonus = 0.0
    hit = sum(share for i, share in named.items() if i in keys)
    bonus += settings.weight_identifier * hit * (1.0 if statement.row else 0.5)
    if len(keys - kind.words - kind.identifiers) < 2:
        bonus -= settings.penalty_nothing_new
    if shown:
        bonus += 0.3 * settings.weight_label * sum(w for k, w in shown.items() if k in keys) / sum(shown.values())
    if len(keys) < 4 or _is_caption(text, statement):
        bonus -= settings.penalty_caption
    return bonus


def _is_caption(text: str, statement: Statement) -> bool:
    """Whether a line has no sentence's end, as captions of figures have."""
    return not (text.rstrip().endswith((".", "!", "?", ":", ";")) or statement.row or _STEP.match(text))


def _is_heading(text: str, source: Evidence) -> bool:
    plain = text.strip().casefold()
    if plain in {title.casefold() for title in (*source.section_path, source.title)}:
        return True
    return len(plain.split()) < 4 and not re.search(r"[.!?:;]|\d", plain)


class _Selection:
    """Picks greedily: relevance, less overlap with what is chosen (maximal marginal relevance, Carbonell and Goldstein
    1998), less what is asked for but already given."""

    def __init__(self, ranked: Sequence[RankedSentence], evidence: dict[int, Evidence], settings: ExtractSettings):
        self._settings = settings
        self._evidence = evidence
        self._best = ranked[0].score
        self._given: set[Facet] = set()
        self._keys: list[frozenset[str]] = []
        self._texts: set[str] = set()
        self._words = 0
        self.spans: list[tuple[int, Span]] = []

    def take(self, spans: Sequence[tuple[int, Span]], facets: Iterable[Facet], *, force: bool = False) -> None:
        """Adds spans, all or none, if they fit the word limit."""
        new = []
        for n, span in spans:
            text = " ".join(self.text(n, span).casefold().split())
            if text not in self._texts:
                new.append((n, span, text))
        words = sum(len(text.split()) for _, _, text in new)
        if self._words + words > self._settings.max_words and not force:
            return
        for n, span, text in new:
            self.spans.append((n, span))
            self._texts.add(text)
            self._keys.append(frozenset(t.key for t in state(self.text(n, span)).tokens))
        self._words += words
        self._given.update(facets)

    def gain(self, r: RankedSentence) -> float:
        settings, place = self._settings, self._evidence[r.evidence]
        beside = any(_same_section(place, self._evidence[n]) for n, _ in self.spans)
        return (
            r.score
            - settings.weight_facet * len(r.facets & self._given)
            + (settings.weight_same_section if beside else 0.0)
            - settings.redundancy * self._best * _overlap(r, self._keys)
        )

    def _answers_more(self, r: RankedSentence) -> bool:
        """Whether a sentence of a chosen section gives something asked for that no chosen sentence gives."""
        place = self._evidence[r.evidence]
        return bool(r.facets - self._given) and any(_same_section(place, self._evidence[n]) for n, _ in self.spans)

    def fill(self, ranked: Sequence[RankedSentence]) -> None:
        """Takes sentences until nothing that is left is worth a reader's time."""
        pool = list(ranked)
        while pool and len(self.spans) < self._settings.max_sentences:
            gains = [self.gain(r) / (self._settings.facet_share if self._answers_more(r) else 1.0) for r in pool]
            at = max(range(len(pool)), key=gains.__getitem__)
            if gains[at] < self._settings.keep_share * self._best:
                break
            r = pool.pop(at)
            self.take([(r.evidence, s) for s in _with_context(self._evidence[r.evidence].text, r)], r.facets)

    def in_order(self) -> list[tuple[int, Span]]:
        """Sections in the order in which they were first chosen, sentences as they stand in the document."""
        groups: list[list[tuple[int, Span]]] = []
        for n, span in self.spans:
            for group in groups:
                if _same_section(self._evidence[n], self._evidence[group[0][0]]):
                    group.append((n, span))
                    break
            else:
                groups.append([(n, span)])
        return [item for group in groups for item in sorted(group, key=self._place)]

    def _place(self, item: tuple[int, Span]) -> tuple[int, int]:
        n, span = item
        start = self._evidence[n].start
        return (0, start + span.start) if start is not None else (n, span.start)

    def text(self, n: int, span: Span) -> str:
        return self._evidence[n].text[span.start : span.end]


def _select(
    ranked: Sequence[RankedSentence], evidence: dict[int, Evidence], kind: QuestionKind, settings: ExtractSettings
) -> list[tuple[int, Span]]:
    """The chosen spans with their evidence's number, in reading order."""
    selection = _Selection(ranked, evidence, settings)
    first = ranked[0]
    if kind.procedure and kind.cause:  # both are asked for: what is the matter comes first, the steps after it
        first = next((r for r in ranked if "cause" in r.facets and r.score >= 0.8 * first.score), first)
    elif kind.procedure and not kind.quantity:
        for r in ranked[:3]:
            steps = _steps(r, evidence, settings)
            if len(steps) > 1 and r.score >= 0.9 * first.score:
                selection.take(steps, ("action",), force=True)
                break
    if not selection.spans:
        selection.take([(first.evidence, s) for s in _with_context(evidence[first.evidence].text, first)], first.facets)
    if not selection.spans:  # longer than the word limit, and still the best there is
        selection.take([(first.evidence, Span(first.start, first.end))], first.facets, force=True)
    if kind.procedure and not kind.quantity:
        _add_steps(selection, ranked, evidence, settings)
    selection.fill(ranked)
    return selection.in_order()


def _add_steps(
    selection: _Selection, ranked: Sequence[RankedSentence], evidence: dict[int, Evidence], settings: ExtractSettings
) -> None:
    """After what is the matter, the steps that fit, of a section that one of the best sentences is from."""
    places = [evidence[r.evidence] for r in ranked[:3]]
    if any(_NUMBERED.match(selection.text(n, span)) for n, span in selection.spans):
        return
    for r in ranked:
        if _NUMBERED.match(r.text) and any(_same_section(evidence[r.evidence], place) for place in places):
            for step in _steps(r, evidence, settings):
                selection.take([step], ("action",))
            return


def _same_section(one: Evidence, other: Evidence) -> bool:
    return one.document_id == other.document_id and one.section_path == other.section_path


def _overlap(ranked: RankedSentence, chosen: Sequence[frozenset[str]]) -> float:
    """Largest share of the sentence's tokens that one chosen sentence has too."""
    own = frozenset(t.key for t in ranked.statement.tokens)
    return max((len(own & other) / len(own) for other in chosen), default=0.0) if own else 1.0


def _with_context(text: str, ranked: RankedSentence) -> list[Span]:
    """The sentence, with its predecessor where it begins by pointing back ("It must ...")."""
    own = Span(ranked.start, ranked.end)
    if not _BACKWARD.match(ranked.text):
        return [own]
    before = [s for s in sentences(text[: ranked.start]) if s.end <= ranked.start]
    if before and len(text[before[-1].start : before[-1].end].split()) > 3:
        return [before[-1], own]
    return [own]


def _steps(r: RankedSentence, evidence: dict[int, Evidence], settings: ExtractSettings) -> list[tuple[int, Span]]:
    """The steps of the list that a sentence belongs to, from all passages of its section; [] outside a list.

    From the first step on where the list fits the word limit, else from the sentence on.
    """
    home = evidence[r.evidence]
    lines: dict[tuple[int, int], tuple[int, Span, bool]] = {}
    for source in evidence.values():
        if source.n == r.evidence or (source.start is not None and _same_section(source, home)):
            for span in sentences(source.text):
                place = ((source.start or 0) + span.start, (source.start or 0) + span.end)
                step = _STEP.match(source.text[span.start : span.end]) is not None
                if place not in lines or source.n == r.evidence:
                    lines[place] = (source.n, span, step)
    ordered = sorted(lines.items())
    own = ((home.start or 0) + r.start, (home.start or 0) + r.end)
    at = next((i for i, (place, _) in enumerate(ordered) if place == own), None)
    if at is None:
        return []
    if not ordered[at][1][2]:
        if not (r.text.rstrip().endswith(":") and at + 1 < len(ordered) and ordered[at + 1][1][2]):
            return []
        at += 1
    first = last = at
    while first > 0 and ordered[first - 1][1][2]:
        first -= 1
    while last + 1 < len(ordered) and ordered[last + 1][1][2]:
        last += 1
    steps = [(n, span) for _, (n, span, _) in ordered[first : last + 1]]
    if sum(_words(evidence, s) for s in steps) > settings.max_words and at > first:
        steps = steps[at - first - 1 :]
    chosen: list[tuple[int, Span]] = []
    for item in steps[: settings.max_steps]:
        if chosen and sum(_words(evidence, s) for s in [*chosen, item]) > settings.max_words:
            break
        chosen.append(item)
    return chosen


def _words(evidence: dict[int, Evidence], item: tuple[int, Span]) -> int:
    n, span = item
    return len(evidence[n].text[span.start : span.end].split())


def _answer_sentence(source: Evidence, span: Span) -> AnswerSentence:
    quote = source.text[span.start : span.end]
    citation = Citation(n=source.n, evidence_id=source.id, quote=quote, support=1.0, url=source.url)
    return AnswerSentence(text=neutralise(" ".join(quote.split())), citations=(citation,))
