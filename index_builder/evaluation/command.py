"""The commands `lineside eval ...`: retrieval, answers, images. Also `python -m index_builder.evaluation.command`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lineside.errors import BelowBar, ConfigurationError, LinesideError

if TYPE_CHECKING:
    from index_builder.evaluation.vector_cache import VectorCache
    from lineside.encoders import JointEncoder, TextEncoder

app = typer.Typer(help="Measure retrieval, answers and label search on judged data.", no_args_is_help=True)

_HELD_OUT_PREFIX = "held_out"

HomeOption = Annotated[
    Path | None, typer.Option(help="folder with models/ and store/; $LINESIDE_HOME by default", show_default=False)
]
CacheOption = Annotated[
    Path | None,
    typer.Option(help="folder for vectors kept between runs; cache/ in the home folder by default", show_default=False),
]
DatasetOption = Annotated[
    Path, typer.Option(help="folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels/test.tsv", show_default=False)
]
QrelsOption = Annotated[
    Path | None, typer.Option(help="file of judgements; qrels/test.tsv by default", show_default=False)
]
IndexIdsOption = Annotated[
    bool, typer.Option("--index-ids", help="make ids that look like rule numbers or codes searchable as text")
]
JsonOption = Annotated[bool, typer.Option("--json", help="figures as JSON on standard output")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="CPU threads of the encoder")]
THREADS = os.cpu_count() or 1


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
    auto = "auto"


class GeneratorChoice(StrEnum):
    """Which engine generates."""

    llamacpp = "llamacpp"
    vllm = "vllm"


@app.callback()
def _group() -> None:
    """Measure retrieval, answers and label search on judged data."""


@app.command()
def retrieval(
    dataset: DatasetOption,
    qrels: QrelsOption = None,
    index_ids: IndexIdsOption = False,
    json: JsonOption = False,
    home: HomeOption = None,
    model: Annotated[Path, typer.Option(help="sentence encoder: a folder, or its name in the home's models/")] = Path(
        "minilm"
    ),
    cache: CacheOption = None,
    threads: ThreadsOption = THREADS,
    min_ndcg: Annotated[float | None, typer.Option(min=0, max=1, help="status 2 when hybrid nDCG@10 is below")] = None,
    min_recall: Annotated[
        float | None, typer.Option(min=0, max=1, help="status 2 when hybrid recall@10 is below")
    ] = None,
) -> None:
    """nDCG@10, recall, MRR and latency of dense, lexical and hybrid search over a judged corpus."""
    from index_builder.evaluation.beir import read_judged_set
    from index_builder.evaluation.gate import Bars, check_bars
    from index_builder.evaluation.progress import Progress
    from index_builder.evaluation.retrieval import evaluate_retrieval, render_retrieval

    with _readable_errors():
        judged = read_judged_set(dataset, qrels, index_ids=index_ids)
        encoder = _text_encoder(home, model, threads)
        with _cache(home, cache, encoder) as vectors:
            found = evaluate_retrieval(judged, encoder, vectors, report=Progress())
        typer.echo(found.model_dump_json(indent=1, by_alias=True) if json else render_retrieval(found))
        hybrid = found.systems["hybrid"]
        check_bars(hybrid.ndcg_at_10, hybrid.recall_at_10, Bars(min_ndcg=min_ndcg, min_recall=min_recall))


@app.command()
def images(
    dataset: Annotated[Path, typer.Option(help="folder with labels.csv: file,label[,...]", show_default=False)],
    json: JsonOption = False,
    home: HomeOption = None,
    model: Annotated[Path, typer.Option(help="joint encoder: a folder, or its name in the home's models/")] = Path(
        "joint-demo"
    ),
    cache: CacheOption = None,
    threads: ThreadsOption = THREADS,
) -> None:
    """Leave-one-out nearest-neighbour label accuracy and mean average precision of a labelled folder."""
    from index_builder.evaluation.images import evaluate_images, read_labelled_images, render_images
    from index_builder.evaluation.progress import Progress
    from lineside.encoders import Runtime, load_joint_encoder

    with _readable_errors():
        labelled = read_labelled_images(dataset)
        encoder = load_joint_encoder(_model(home, model), runtime=Runtime(threads=threads))
        with _cache(home, cache, encoder) as vectors:
            found = evaluate_images(labelled, encoder, vectors, model=model.name, report=Progress())
    typer.echo(found.model_dump_json(indent=1) if json else render_images(found))


@app.command()
def answers(
    questions: Annotated[
        list[Path] | None,
        typer.Option(
            help=f"question file, JSONL, or a folder of them; {_HELD_OUT_PREFIX}* is the held-out half. They are put "
            "to the home's current release",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="or a folder in BEIR layout, whose queries may carry metadata.answer; a release is built of it",
            show_default=False,
        ),
    ] = None,
    qrels: QrelsOption = None,
    index_ids: IndexIdsOption = False,
    home: HomeOption = None,
    half: Annotated[HalfChoice, typer.Option(help="both: tuning and held-out, which is looked at rarely")] = (
        HalfChoice.both
    ),
    mode: Annotated[
        ModeChoice, typer.Option(help="verbatim sentences, a language model, or whichever the time allows")
    ] = ModeChoice.extract,
    generator: Annotated[GeneratorChoice, typer.Option(help="engine of --mode generate and auto")] = (
        GeneratorChoice.llamacpp
    ),
    images: Annotated[
        Path | None,
        typer.Option(help="folder with the frames of image questions, <question id>.png or .jpg", show_default=False),
    ] = None,
    json: JsonOption = False,
    limit: Annotated[int | None, typer.Option(min=1, help="first questions of each half only")] = None,
    show_failures: Annotated[
        bool, typer.Option("--show-failures", help="print what went wrong, question by question")
    ] = False,
    cache: CacheOption = None,
    threads: ThreadsOption = THREADS,
) -> None:
    """Figures of the answers to question sets, against their bars (status 2 where one is missed), or to a corpus."""
    with _readable_errors():
        if (questions is None) == (dataset is None):
            raise ConfigurationError("give either --questions or --dataset")
        if dataset is not None:
            _corpus_answers(
                dataset, qrels, index_ids, home, mode, generator, json, limit, show_failures, cache, threads
            )
        elif questions is not None:
            _set_answers(questions, home, half, mode, generator, images, json, limit, show_failures, threads)


def _corpus_answers(
    dataset: Path,
    qrels: Path | None,
    index_ids: bool,
    home: Path | None,
    mode: ModeChoice,
    generator: GeneratorChoice,
    json: bool,
    limit: int | None,
    show_failures: bool,
    cache: Path | None,
    threads: int,
) -> None:
    from index_builder.evaluation.beir import read_judged_set
    from index_builder.evaluation.corpus_answers import evaluate_corpus_answers, render_answer_failures, render_answers
    from index_builder.evaluation.progress import Progress
    from lineside.evaluation.run import load_generator

    judged = read_judged_set(dataset, qrels, index_ids=index_ids)
    encoder = _text_encoder(home, Path("minilm"), threads)
    engine = None if mode is ModeChoice.extract else load_generator(_home(home) / "models", generator.value)
    with _cache(home, cache, encoder) as vectors:
        found, outcomes = evaluate_corpus_answers(
            judged, encoder, vectors, mode=mode.value, generator=engine, limit=limit, report=Progress()
        )
    typer.echo(found.model_dump_json(indent=1) if json else render_answers(found))
    if show_failures:
        typer.echo(render_answer_failures(outcomes), err=json)


def _set_answers(
    questions: list[Path],
    home: Path | None,
    half: HalfChoice,
    mode: ModeChoice,
    generator: GeneratorChoice,
    images: Path | None,
    json: bool,
    limit: int | None,
    show_failures: bool,
    threads: int,
) -> None:
    from index_builder.evaluation.progress import Progress
    from lineside.evaluation.report import render_failures, render_report
    from lineside.evaluation.run import images_in, measure_answers

    if mode is ModeChoice.auto:
        raise ConfigurationError("question sets are measured with --mode extract or generate, each against its bars")
    show = Progress()
    run = measure_answers(
        questions,
        home=_home(home),
        half=half.value,
        mode="generate" if mode is ModeChoice.generate else "extract",
        generator=generator.value,
        images=images_in(images),
        limit=limit,
        threads=threads,
        progress=lambda done, total: show("questions answered", done, total),
    )
    typer.echo(run.report.model_dump_json(indent=1) if json else render_report(run.report))
    if show_failures:
        for outcomes in run.outcomes.values():
            typer.echo(render_failures(outcomes), err=json)
    if not run.report.met:
        raise typer.Exit(2)


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Turns what the user can mend into a line; status 2 says that a bar was missed, 1 that nothing was measured."""
    try:
        yield
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, BelowBar) else 1) from None


def _home(given: Path | None) -> Path:
    from lineside.local import lineside_home

    return given or lineside_home()


def _model(home: Path | None, model: Path) -> Path:
    """The folder itself where it is one, else that name in the home's models."""
    return model if model.is_dir() else _home(home) / "models" / model


def _text_encoder(home: Path | None, model: Path, threads: int) -> TextEncoder:
    from lineside.encoders import Runtime, load_text_encoder

    return load_text_encoder(_model(home, model), runtime=Runtime(threads=threads))


def _cache(home: Path | None, given: Path | None, encoder: TextEncoder | JointEncoder) -> VectorCache:
    from index_builder.evaluation.vector_cache import VectorCache

    folder = given or _home(home) / "cache" / "evaluation"
    return VectorCache(folder, encoder.fingerprint, encoder.dimension)


if __name__ == "__main__":
    app()
