"""From outcomes to figures: by half and kind, against the bars, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lineside.evaluation.answers import EvaluatedMode, Outcome
from lineside.evaluation.questions import Half, Kind

FIRST = 5
KINDS: tuple[Kind, ...] = ("text", "image", "unanswerable")


class Bar(NamedTuple):
    """What a share must reach: at least `limit`, or at most."""

    limit: float
    at_least: bool = True

    def met(self, share: float) -> bool:
        return share >= self.limit if self.at_least else share <= self.limit


BARS: Mapping[str, Bar] = {
    "gold_in_first_five": Bar(0.95),
    "facts_in_extract": Bar(0.85),
    "answerable_abstained": Bar(0.05, at_least=False),
    "unanswerable_abstained": Bar(0.90),
    "citations_valid": Bar(1.0),
    "sentences_supported": Bar(0.95),
}
_TITLES = {
    "gold_in_first_five": f"gold section in the first {FIRST} passages",
    "reciprocal_rank": "mean reciprocal rank of the gold section",
    "facts_in_extract": "extractive answers with every gold fact",
    "facts_in_answer": "answers with every gold fact",
    "answerable_abstained": "answerable, wrongly abstained",
    "unanswerable_abstained": "unanswerable, abstained",
    "citations_valid": "answers whose citations are all valid",
    "sentences_supported": "sentences that their quotes support",
    "answers_generated": "answers generated, not extractive instead",
}


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Figures):
    """`part` of `whole`; `part` is a sum of reciprocal ranks for the mean reciprocal rank."""

    part: float
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole if self.whole else 0.0


class Measure(_Figures):
    """One measure of one half: over all questions that it concerns, and by kind. `met` is None without a bar."""

    name: str
    title: str
    all: Share
    by_kind: dict[Kind, Share]
    bar: float | None = None
    met: bool | None = None


class Milliseconds(_Figures):
    """Median and 95th percentile."""

    p50: float
    p95: float


class HalfReport(_Figures):
    """The figures of one half; nothing in it tells a question."""

    half: Half
    questions: dict[Kind, int]
    left_out: int = Field(description="questions whose frame could not be had")
    measures: tuple[Measure, ...]
    latency_ms: dict[str, Milliseconds]


class Report(_Figures):
    """The figures of one run."""

    mode: EvaluatedMode
    release: int
    halves: tuple[HalfReport, ...]

    @property
    def met(self) -> bool:
        """Whether every bar of every half is met and no question was left out."""
        return all(m.met is not False for h in self.halves for m in h.measures) and not any(
            h.left_out for h in self.halves
        )


Score = Callable[[Outcome], tuple[float, int] | None]
"""(part, whole) that an outcome adds; None where the measure does not concern it."""


def make_report(
    mode: EvaluatedMode, release: int, outcomes: Mapping[Half, Sequence[Outcome]], asked: Mapping[Half, int]
) -> Report:
    """Figures of the outcomes; `asked` says how many questions each half has."""
    halves = [_half(mode, half, found, asked[half]) for half, found in outcomes.items()]
    return Report(mode=mode, release=release, halves=tuple(halves))


def _half(mode: EvaluatedMode, half: Half, outcomes: Sequence[Outcome], asked: int) -> HalfReport:
    stages: dict[str, list[float]] = {}
    for outcome in outcomes:
        for stage, milliseconds in outcome.answer.stages_ms.items():
            stages.setdefault(stage, []).append(milliseconds)
        stages.setdefault("evidence", []).append(outcome.evidence_ms)
        stages.setdefault("answer", []).append(outcome.answer.elapsed_ms)
    return HalfReport(
        half=half,
        questions={kind: sum(o.question.kind == kind for o in outcomes) for kind in KINDS},
        left_out=asked - len(outcomes),
        measures=tuple(_measure(name, score, outcomes) for name, score in _scores(mode)),
        latency_ms={name: _milliseconds(values) for name, values in stages.items()},
    )


def _scores(mode: EvaluatedMode) -> list[tuple[str, Score]]:
    shared: list[tuple[str, Score]] = [
        ("gold_in_first_five", lambda o: _answerable(o, o.rank is not None and o.rank <= FIRST)),
        ("reciprocal_rank", lambda o: _answerable(o, 1 / o.rank if o.rank else 0.0)),
        (
            "facts_in_extract" if mode == "extract" else "facts_in_answer",
            lambda o: _answerable(o, not o.missing_facts),
        ),
        ("answerable_abstained", lambda o: _answerable(o, o.abstained)),
        ("unanswerable_abstained", lambda o: None if o.question.answerable else (float(o.abstained), 1)),
        ("citations_valid", lambda o: (float(not o.citation_faults), 1) if o.answer.sentences else None),
        ("sentences_supported", _supported),
    ]
    if mode == "generate":
        shared.append(("answers_generated", _generated))
    return shared


def _answerable(outcome: Outcome, value: float) -> tuple[float, int] | None:
    return (float(value), 1) if outcome.question.answerable else None


def _supported(outcome: Outcome) -> tuple[float, int]:
    sentences = len(outcome.answer.sentences)
    return float(sentences - len(outcome.unsupported)), sentences


def _generated(outcome: Outcome) -> tuple[float, int] | None:
    return (float(outcome.answer.mode == "generated"), 1) if outcome.answer.sentences else None


def _measure(name: str, score: Score, outcomes: Iterable[Outcome]) -> Measure:
    parts: dict[Kind, list[tuple[float, int]]] = {kind: [] for kind in KINDS}
    for outcome in outcomes:
        found = score(outcome)
        if found is not None:
            parts[outcome.question.kind].append(found)
    shares = {kind: _sum(found) for kind, found in parts.items()}
    total = _sum([(s.part, s.whole) for s in shares.values()])
    bar = BARS.get(name)
    return Measure(
        name=name,
        title=_TITLES[name],
        all=total,
        by_kind={kind: share for kind, share in shares.items() if share.whole},
        bar=bar.limit if bar else None,
        met=bar.met(total.value) if bar and total.whole else None,
    )


def _sum(parts: Iterable[tuple[float, int]]) -> Share:
    found = list(parts)
    return Share(part=sum(part for part, _ in found), whole=sum(whole for _, whole in found))


def _milliseconds(values: Sequence[float]) -> Milliseconds:
    p50, p95 = np.percentile(values, [50, 95])
    return Milliseconds(p50=round(float(p50), 2), p95=round(float(p95), 2))


def render_report(report: Report) -> str:
    """The report as text, a table for each half."""
    lines: list[str] = []
    for half in report.halves:
        asked = ", ".join(f"{count} {kind}" for kind, count in half.questions.items() if count)
        lines.append(f"{half.half} half, mode {report.mode}, release {report.release}: {asked}")
        if half.left_out:
            lines.append(f"  {half.left_out} questions left out: their frames could not be had")
        lines.append(f"  {'':<42} {'bar':>8} {'all':>20}        {'text':>7} {'image':>7}")
        for measure in half.measures:
            if not measure.all.whole:
                continue
            kinds = [measure.by_kind.get(kind) for kind in ("text", "image")]
            columns = " ".join(f"{_value(measure.name, share):>7}" if share else f"{'':>7}" for share in kinds)
            verdict = "" if measure.met is None else "pass" if measure.met else "MISS"
            counted = "" if measure.name == "reciprocal_rank" else f" ({measure.all.part:.0f}/{measure.all.whole})"
            value = _value(measure.name, measure.all) + counted
            lines.append(f"  {measure.title:<42} {_bar(measure.name):>8} {value:>20}  {verdict:<4}  {columns}".rstrip())
        lines.append(f"  {'milliseconds':<42} {'':>8} {'p50':>11} {'p95':>8}")
        for stage, spent in half.latency_ms.items():
            lines.append(f"    {stage:<40} {'':>8} {spent.p50:>11.1f} {spent.p95:>8.1f}")
        lines.append("")
    return "\n".join(lines).rstrip()


def _bar(name: str) -> str:
    bar = BARS.get(name)
    return "" if bar is None else f"{'≥' if bar.at_least else '≤'} {bar.limit:.0%}"


def _value(name: str, share: Share) -> str:
    return f"{share.value:.3f}" if name == "reciprocal_rank" else f"{share.value:.1%}"


def render_failures(outcomes: Iterable[Outcome]) -> str:
    """What went wrong, question by question, for tuning."""
    lines: list[str] = []
    for outcome in outcomes:
        question, faults = outcome.question, failures(outcome)
        if not faults:
            continue
        lines.append(f"{question.id} [{question.kind}] {question.question}")
        lines += [f"    {fault}" for fault in faults]
        lines.append(f"    answered ({outcome.answer.status}): {outcome.answer.text[:400]}")
        for evidence in [e for e in outcome.answer.evidence if e.kind == "passage"][:FIRST]:
            lines.append(f"    [{evidence.n}] {evidence.source} > {' > '.join(evidence.section_path)}")
    return "\n".join(lines)


def failures(outcome: Outcome) -> list[str]:
    """Everything that is amiss with one outcome."""
    found: list[str] = []
    if outcome.question.answerable:
        gold = ", ".join(f"{g.document} > {g.section}" for g in outcome.question.gold)
        if outcome.rank is None or outcome.rank > FIRST:
            found.append(f"gold section at rank {outcome.rank}: {gold}")
        if outcome.abstained:
            found.append("abstained wrongly")
        else:
            found += [f"fact missing: {' | '.join(fact)} (gold: {gold})" for fact in outcome.missing_facts]
    elif not outcome.abstained:
        found.append("answered although unanswerable")
    found += [f"citation: {fault}" for fault in outcome.citation_faults]
    found += [f"unsupported: {sentence}" for sentence in outcome.unsupported]
    return found
