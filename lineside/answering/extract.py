"""The extractive answer: the few verbatim sentences of the evidence that answer the question, each cited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lineside.analysis import Span, sentences
from lineside.answering.citations import neutralise
from lineside.answering.claims import Statement, state
from lineside.answering.questions import QuestionKind, read_question
from lineside.schema import AnswerSentence, Citation, Evidence, LabelVote
from lineside.search.contract import SearchResult

_STEP = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|step\s+\d+\b|[-*•])\s*", re.IGNORECASE)
_BACKWARD = re.compile(
    r"^(?:it|its|this|these|they|them|their|that|those|such|he|she|otherwise|then|also|both|in this case|here)\b(?!:)",
    re.IGNORECASE,
)
_CAUSE = re.compile(
    r"\b(?:because|caused? by|causes?|due to|reason|results? from|leads? to|points? to|comes from)\b", re.I
)
_WHEN = re.compile(
    r"\b(?:every|daily|weekly|monthly|quarterly|yearly|annually|each shift|once a|twice a|per (?:shift|day|week))\b",
    re.I,
)
_IMPERATIVE = re.compile(
    r"(?:^|[,;:]\s+(?:then\s+|and\s+)?|\bAction: )(?:check|close|open|stop|start|switch|replace|clean|tighten|loosen|"
    r"remove|drain|fill|lock|measure|turn|set|reduce|lower|raise|wait|put|take|inspect|adjust|grease|call|report|do not|never|"
    r"isolate|press|hold|cut|run|reset|vent|bleed|look|test|repeat|enter|use|keep|move|align|clear|shut|secure|fit|pull)\b",
    re.IGNORECASE,
)
_MODAL = re.compile(
    r"\b(?:must|is to be|are to be|has to|have to|should|is (?:stopped|replaced|closed|reduced))\b", re.I
)


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """Bounds and weights of the extractive answer. Weights are added to the sentence's score in [0, 1]."""

    max_sentences: int = 4
    max_steps: int = 9
    max_words: int = 90
    candidates: int = 40
    keep_share: float = 0.62
    redundancy: float = 0.45
    weight_rank: float = 0.12
    weight_quantity: float = 0.15
    weight_identifier: float = 0.35
    weight_cause: float = 0.10
    weight_action: float = 0.08
    weight_part: float = 0.10
    weight_heading: float = 0.12
    weight_label: float = 0.15
    label_share: float = 0.3


@dataclass(frozen=True, slots=True)
class RankedSentence:
    """A sentence of the evidence with its score for this question; `[start, end)` counts characters of its text."""

    evidence: int
    start: int
    end: int
    text: str
    score: float
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
    by_evidence = {e.n: _evidence_bonus(e, top, kind, shown, settings) for e in result.evidence}
    found: dict[str, RankedSentence] = {}
    for scored in sorted(result.sentences, key=lambda s: -s.score - by_evidence.get(s.evidence, 0.0))[
        : settings.candidates
    ]:
        source = evidence.get(scored.evidence)
        if source is None:
            continue
        text = source.text[scored.start : scored.end]
        if _is_heading(text, source):
            continue
        statement = state(text)
        score = scored.score + by_evidence[source.n] + _sentence_bonus(text, statement, kind, shown, settings)
        key = " ".join(text.casefold().split())
        if key not in found or found[key].score < score:
            found[key] = RankedSentence(source.n, scored.start, scored.end, text, score, statement)
    return sorted(found.values(), key=lambda r: (-r.score, r.evidence, r.start))


def _label_words(labels: Iterable[LabelVote], share: float) -> frozenset[str]:
    """Content words of the captions of the labels that the image most likely shows."""
    return frozenset(
        t.key for v in labels if v.share >= share for t in state(v.caption or v.label.replace("-", " ")).tokens
    )


def _evidence_bonus(
    source: Evidence, top: float, kind: QuestionKind, shown: frozenset[str], settings: ExtractSettings
) -> float:
    bonus = settings.weight_rank * (source.score / top if top > 0 and source.kind == "passage" else 0.0)
    heading = {t.key for t in state(" . ".join((source.title, *source.section_path))).tokens}
    wanted = kind.words | kind.identifiers
    if wanted:
        bonus += settings.weight_heading * len(heading & wanted) / len(wanted)
    if shown:
        bonus += settings.weight_label * 0.5 * len(heading & shown) / len(shown)
    return bonus


def _sentence_bonus(
    text: str, statement: Statement, kind: QuestionKind, shown: frozenset[str], settings: ExtractSettings
) -> float:
    keys = {t.key for t in statement.tokens}
    bonus = 0.0
    if kind.quantity:
        measured = {t.rival.removeprefix("=") for t in statement.tokens if t.kind == "quantity"}
        if kind.units & measured or ("time" in kind.units and _WHEN.search(text)):
            bonus += settings.weight_quantity
        elif measured:
            bonus += settings.weight_quantity * (0.3 if kind.units else 0.8)
    if kind.identifiers:
        hit = len(kind.identifiers & keys) / len(kind.identifiers)
        bonus += settings.weight_identifier * hit
    if kind.cause and _CAUSE.search(text):
        bonus += settings.weight_cause
    if kind.procedure and (_IMPERATIVE.search(_STEP.sub("", text)) or _MODAL.search(text)):
        bonus += settings.weight_action
    if kind.part and any(t.kind == "identifier" for t in statement.tokens):
        bonus += settings.weight_part
    if shown:
        bonus += settings.weight_label * len(keys & shown) / len(shown)
    return bonus


def _is_heading(text: str, source: Evidence) -> bool:
    plain = text.strip().casefold()
    if plain in {title.casefold() for title in (*source.section_path, source.title)}:
        return True
    return len(plain.split()) < 4 and not re.search(r"[.!?:;]|\d", plain)


def _select(
    ranked: Sequence[RankedSentence], evidence: dict[int, Evidence], kind: QuestionKind, settings: ExtractSettings
) -> list[tuple[int, Span]]:
    """Picks greedily: relevance less overlap with what is already chosen (maximal marginal relevance, Carbonell and
    Goldstein 1998), then orders by evidence and place."""
    chosen: dict[int, list[Span]] = {}
    order: list[int] = []
    keys: list[frozenset[str]] = []
    words = count = 0
    best = ranked[0].score

    def take(n: int, spans: Sequence[Span], *, force: bool = False) -> bool:
        nonlocal words, count
        new = [s for s in spans if s not in chosen.get(n, [])]
        length = sum(len(evidence[n].text[s.start : s.end].split()) for s in new)
        if not new or (words + length > settings.max_words and not force):
            return False
        if n not in chosen:
            order.append(n)
        chosen.setdefault(n, []).extend(new)
        keys.extend(frozenset(t.key for t in state(evidence[n].text[s.start : s.end]).tokens) for s in new)
        words, count = words + length, count + len(new)
        return True

    first = ranked[0]
    if kind.procedure:
        for candidate in ranked[:3]:
            steps = _steps(evidence[candidate.evidence].text, candidate, settings)
            if len(steps) > 1 and candidate.score >= 0.9 * best:
                take(candidate.evidence, steps, force=True)
                break
    if not count:
        take(first.evidence, _with_context(evidence[first.evidence].text, first), force=True)
    pool = list(ranked)
    while pool and count < settings.max_sentences:
        gains = [r.score - settings.redundancy * best * _overlap(r, keys) for r in pool]
        at = max(range(len(pool)), key=gains.__getitem__)
        candidate = pool.pop(at)
        if gains[at] < settings.keep_share * best:
            break
        take(candidate.evidence, _with_context(evidence[candidate.evidence].text, candidate))
    return [(n, span) for n in order for span in sorted(chosen[n], key=lambda s: s.start)]


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


def _steps(text: str, ranked: RankedSentence, settings: ExtractSettings) -> list[Span]:
    """The steps of the list that a sentence belongs to, from the first that fits the bounds on; [] outside a list."""
    spans = sentences(text)
    at = next((i for i, s in enumerate(spans) if s.start <= ranked.start < s.end), None)
    if at is None:
        return []
    steps = [bool(_STEP.match(text[s.start : s.end])) for s in spans]
    if not steps[at]:
        if at + 1 < len(spans) and steps[at + 1] and ranked.text.rstrip().endswith(":"):
            at += 1
        else:
            return []
    first = last = at
    while first > 0 and steps[first - 1]:
        first -= 1
    while last + 1 < len(spans) and steps[last + 1]:
        last += 1
    chosen = spans[first : last + 1][: settings.max_steps]
    while len(chosen) > 1 and sum(len(text[s.start : s.end].split()) for s in chosen) > settings.max_words * 1.5:
        chosen = chosen[1:] if chosen[0].end <= ranked.start and chosen[-1].end <= ranked.end else chosen[:-1]
    return chosen


def _answer_sentence(source: Evidence, span: Span) -> AnswerSentence:
    quote = source.text[span.start : span.end]
    citation = Citation(n=source.n, evidence_id=source.id, quote=quote, support=1.0, url=source.url)
    return AnswerSentence(text=neutralise(" ".join(quote.split())), citations=(citation,))
