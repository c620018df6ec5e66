"""One run of an evaluation: the halves of a question set against one application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lineside.evaluation.answers import EvaluatedMode, Images, Outcome, evaluate
from lineside.evaluation.questions import Half, Question
from lineside.evaluation.report import Report, make_report
from lineside.local import LocalApplication


@dataclass(frozen=True, slots=True)
class Run:
    """The figures, and the outcomes that they come from."""

    report: Report
    outcomes: Mapping[Half, Sequence[Outcome]]


def run_evaluation(
    application: LocalApplication,
    questions: Mapping[Half, Sequence[Question]],
    *,
    images: Images,
    mode: EvaluatedMode = "extract",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Run:
    """Puts every question to the application, one at a time; a first one warms it up and is not counted."""
    return asyncio.run(_run(application, questions, images, mode, progress))


async def _run(
    application: LocalApplication,
    questions: Mapping[Half, Sequence[Question]],
    images: Images,
    mode: EvaluatedMode,
    progress: Callable[[int, int], None],
) -> Run:
    total = sum(map(len, questions.values()))
    done = 0
    outcomes: dict[Half, list[Outcome]] = {half: [] for half in questions}
    for asked in questions.values():
        with_image = next((q for q in asked if q.image_label is not None), asked[0])
        async for _ in evaluate(application.answerer, application.index, [with_image], images=images, mode=mode):
            pass
        break
    for half, asked in questions.items():
        async for outcome in evaluate(application.answerer, application.index, asked, images=images, mode=mode):
            outcomes[half].append(outcome)
            done += 1
            progress(done, total)
    asked_counts = {half: len(asked) for half, asked in questions.items()}
    return Run(make_report(mode, application.index.release, outcomes, asked_counts), outcomes)
