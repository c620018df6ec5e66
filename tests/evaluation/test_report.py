"""The report: shares against bars, by half and kind, and nothing about single questions in the aggregate."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lineside.evaluation.answers import Outcome
from lineside.evaluation.questions import GoldSection, Question
from lineside.evaluation.report import BARS, Report, failures, make_report, render_failures, render_report
from lineside.schema import Answer, AnswerSentence, Citation, Mode, Status

SECRET = "What is the secret of the rinse pump?"


def outcome(
    *,
    answerable: bool = True,
    image: bool = False,
    rank: int | None = 1,
    status: Status = "complete",
    mode: Mode = "extractive",
    missing: Sequence[str] = (),
    faults: Sequence[str] = (),
    unsupported: Sequence[str] = (),
    elapsed_ms: float = 10.0,
) -> Outcome:
    question = Question(
        id="q-secret",
        question=SECRET,
        answerable=answerable,
        image_label="seal-leak" if image else None,
        gold=(GoldSection(document="pump/manual.md", section="Limits"),) if answerable else (),
        facts=(("82 °C",),) if answerable else (),
    )
    quoted = AnswerSentence(text="It is so.", citations=(Citation(n=1, evidence_id="p1", quote="so", support=1.0),))
    answer = Answer(
        request_id="r",
        release=7,
        mode=mode,
        status=status,
        text="It is so. [1]",
        sentences=() if status == "abstained" else (quoted, quoted),
        evidence=(),
        stages_ms={"search": elapsed_ms / 2},
        deadline_ms=1000,
        elapsed_ms=elapsed_ms,
    )
    return Outcome(
        question=question,
        answer=answer,
        rank=rank,
        missing_facts=tuple((m,) for m in missing),
        citation_faults=tuple(faults),
        unsupported=tuple(unsupported),
        evidence_ms=elapsed_ms / 2,
    )


def report(*outcomes: Outcome, mode: str = "extract", asked: int | None = None) -> Report:
    return make_report(mode, 7, {"held-out": outcomes}, {"held-out": asked or len(outcomes)})  # type: ignore[arg-type]


def share(made: Report, name: str) -> float:
    return next(m.all.value for m in made.halves[0].measures if m.name == name)


def test_a_gold_section_counts_in_the_first_five_only() -> None:
    made = report(outcome(rank=1), outcome(rank=5), outcome(rank=6), outcome(rank=None))
    assert share(made, "gold_in_first_five") == 0.5
    assert share(made, "reciprocal_rank") == pytest.approx((1 + 1 / 5 + 1 / 6) / 4)


def test_unanswerable_questions_count_for_abstention_alone() -> None:
    refused = outcome(answerable=False, status="abstained", rank=None)
    answered = outcome(answerable=False, rank=None)
    made = report(outcome(), refused, answered, outcome(status="abstained"))
    assert share(made, "gold_in_first_five") == 1.0
    assert share(made, "unanswerable_abstained") == 0.5
    assert share(made, "answerable_abstained") == 0.5


def test_citations_count_by_answer_and_support_by_sentence() -> None:
    made = report(outcome(faults=["[1] names no evidence"]), outcome(unsupported=["It is so."]), outcome())
    assert share(made, "citations_valid") == pytest.approx(2 / 3)
    assert share(made, "sentences_supported") == pytest.approx(5 / 6)


def test_generated_answers_are_counted_beside_those_that_fell_back() -> None:
    made = report(outcome(mode="generated"), outcome(), mode="generate")
    assert share(made, "answers_generated") == 0.5
    assert "facts_in_extract" not in {m.name for m in made.halves[0].measures}


def test_all_bars_must_be_met_and_no_question_left_out() -> None:
    good = [outcome(), outcome(image=True), outcome(answerable=False, status="abstained", rank=None)]
    assert report(*good).met
    assert not report(*good, asked=4).met
    assert not report(*good, outcome(missing=["82 °C"], rank=9)).met


def test_a_share_at_its_bar_passes() -> None:
    assert BARS["gold_in_first_five"].met(0.95)
    assert BARS["answerable_abstained"].met(0.05)
    assert not BARS["answerable_abstained"].met(0.0501)


def test_kinds_are_told_apart() -> None:
    made = report(outcome(), outcome(image=True, rank=None))
    measure = next(m for m in made.halves[0].measures if m.name == "gold_in_first_five")
    assert (measure.by_kind["text"].value, measure.by_kind["image"].value) == (1.0, 0.0)


def test_latencies_are_percentiles_over_the_questions() -> None:
    made = report(*(outcome(elapsed_ms=float(ms)) for ms in range(1, 101)))
    assert made.halves[0].latency_ms["answer"].p50 == pytest.approx(50.5)
    assert made.halves[0].latency_ms["answer"].p95 == pytest.approx(95.05)


def test_the_figures_tell_no_question() -> None:
    made = report(outcome(missing=["82 °C"], rank=None), outcome(answerable=False, rank=None))
    for text in (render_report(made), made.model_dump_json()):
        assert "secret" not in text
        assert "82 °C" not in text
    assert "MISS" in render_report(made)


def test_failures_tell_everything() -> None:
    bad = outcome(rank=None, missing=["82 °C"], faults=["[1] names no evidence"], unsupported=["It is so."])
    assert len(failures(bad)) == 4
    assert SECRET in render_failures([bad, outcome()])
    assert failures(outcome()) == []
    assert failures(outcome(answerable=False, rank=None)) == ["answered although unanswerable"]


def test_a_report_survives_json() -> None:
    made = report(outcome(), outcome(answerable=False, status="abstained", rank=None))
    assert Report.model_validate_json(made.model_dump_json()) == made
