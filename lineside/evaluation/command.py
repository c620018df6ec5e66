"""The command `lineside eval`: measures answers against question sets. Also `python -m lineside.evaluation.command`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from lineside.encoders import Runtime
from lineside.errors import ConfigurationError, LinesideError
from lineside.evaluation.answers import EvaluatedMode, Images
from lineside.evaluation.questions import HELD_OUT_PREFIX, Half, Question, read_questions
from lineside.evaluation.report import render_failures, render_report
from lineside.evaluation.run import Run, run_evaluation
from lineside.generation import Generator
from lineside.local import LocalApplication, lineside_home

app = typer.Typer(help="Measure retrieval, answers and abstention on question sets.", no_args_is_help=True)


class HalfChoice(StrEnum):
    """Which half of the question sets."""

    tuning = "tuning"
    development = "development"
    validation = "validation"
    held_out = "held-out"
    both = "both"


class ModeChoice(StrEnum):
    """How answers are made."""

    extract = "extract"
    generate = "generate"


class GeneratorChoice(StrEnum):
    """Which engine generates."""

    llamacpp = "llamacpp"
    vllm = "vllm"


@app.callback()
def _group() -> None:
    """Measure retrieval, answers and abstention on question sets."""


@app.command()
def answers(
    questions: Annotated[
        list[Path],
        typer.Option(help=f"question file, JSONL, or a folder of them; {HELD_OUT_PREFIX}* is the held-out half"),
    ],
    home: Annotated[Path | None, typer.Option(help="folder with models/ and store/; $LINESIDE_HOME by default")] = None,
    half: Annotated[HalfChoice, typer.Option(help="both: tuning and held-out, which is looked at rarely")] = (
        HalfChoice.both
    ),
    mode: Annotated[ModeChoice, typer.Option(help="verbatim sentences, or a language model")] = ModeChoice.extract,
    generator: Annotated[GeneratorChoice, typer.Option(help="engine for --mode generate")] = GeneratorChoice.llamacpp,
    images: Annotated[
        Path | None, typer.Option(help="folder with the frames of image questions, <question id>.png or .jpg")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="figures as JSON")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="first questions of each half only")] = None,
    show_failures: Annotated[
        bool, typer.Option("--show-failures", help="print what went wrong, question by question")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each encoder")] = 1,
) -> None:
    """Figures of the answers to question sets, by half and kind, against the bars; status 2 where one is missed."""
    try:
        run = measure_answers(
            questions,
            home=home or lineside_home(),
            half=half.value,
            mode=mode.value,
            generator=generator.value,
            images=images_in(images),
            limit=limit,
            threads=threads,
        )
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(run.report.model_dump_json(indent=1) if json else render_report(run.report))
    if show_failures:
        for outcomes in run.outcomes.values():
            typer.echo(render_failures(outcomes), err=json)
    if not run.report.met:
        raise typer.Exit(2)


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
) -> Run:
    """Loads the application in `home` and puts the questions of the files, or of folders of files, to it.

    Raises:
        LinesideError: questions, models or the release cannot be used.
    """
    sets = _choose(read_questions(_expanded(files)), half, limit)
    engine = load_generator(home / "models", generator) if mode == "generate" else None
    with LocalApplication.load(home, engine, runtime=Runtime(threads=threads)) as application:
        return run_evaluation(application, sets, images=images, mode=mode, progress=_progress)


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


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done}/{total} questions" + ("\n" if done == total else ""))
        sys.stderr.flush()


if __name__ == "__main__":
    app()
