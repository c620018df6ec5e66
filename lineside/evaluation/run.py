"""One run of an evaluation: the halves of a question set against the application of a data directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lineside.encoders import Runtime
from lineside.errors import ConfigurationError
from lineside.evaluation.answers import EvaluatedMode, Images, Outcome, evaluate
from lineside.evaluation.questions import Half, Question, read_questions
from lineside.evaluation.report import Report, make_report
from lineside.generation import Generator
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


def measure_answers(
    files: list[Path],
    *,
    home: Path,
    images: Images,
    half: Half | Literal["both"] = "both",
    mode: EvaluatedMode = "extract",
    generator: str = "llamacpp",
    limit: int | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Run:
    """Loads the application in `home` and puts the questions of the files, or of folders of files, to it.

    Raises:
        LinesideError: questions, models or the release cannot be used.
    """
    sets = _choose(read_questions(_expanded(files)), half, limit)
    engine = load_generator(home / "models", generator) if mode == "generate" else None
    with LocalApplication.load(home, engine, runtime=Runtime(threads=threads)) as application:
        return run_evaluation(application, sets, images=images, mode=mode, progress=progress)


def load_generator(models: Path, engine: str) -> Generator:
    """The demo's language model in the named engine.

    Raises:
        ConfigurationError: no such engine, or its model is missing.
        GenerationError: the engine does not start.
    """
    if engine == "llamacpp":
        from lineside.generation.llamacpp import LlamaCppGenerator, LlamaCppSettings

        return LlamaCppGenerator(LlamaCppSettings(model=models / "smollm2.gguf"))
    if engine == "vllm":
        from lineside.generation.vllm import VllmGenerator, VllmSettings

        return VllmGenerator(VllmSettings(model=models / "smollm2"))
    raise ConfigurationError(f"no generator {engine!r}: choose llamacpp or vllm")


def images_in(folder: Path | None) -> Images:
    """Frames from files named after the questions' ids."""

    def read(question: Question) -> bytes | None:
        if folder is None:
            return None
        candidates = (folder / f"{question.id}{suffix}" for suffix in (".png", ".jpg", ".jpeg", ".webp"))
        return next((file.read_bytes() for file in candidates if file.is_file()), None)

    return read


def _expanded(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])]


def _choose(found: dict[Half, list[Question]], half: str, limit: int | None) -> dict[Half, list[Question]]:
    wanted = ("tuning", "held-out") if half == "both" else (half,)
    chosen = {name: asked[:limit] for name, asked in found.items() if name in wanted}
    if not chosen:
        raise ConfigurationError(f"no questions of the half {half!r} in the given files")
    return chosen
