"""`lineside reindex`: from a folder or a bucket to a release; `lineside runs`: how it went, or goes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import typer
import yaml

from index_builder import cluster
from index_builder.progress import Bar, Display, Lines, Progress, Silent
from index_builder.settings import BuildSettings, JobSettings, ModelSettings, ParserSettings
from lineside.errors import ConfigurationError, LinesideError, Unavailable
from lineside.objects import open_store
from lineside.releases import Release
from lineside.runs import Run, active_run, new_run_id, read_errors, read_run
from lineside.runs import runs as list_runs

OK, FAILED, USAGE, NOT_PROMOTED, CANCELLED = 0, 1, 2, 3, 130
_SHOWN_ERRORS = 20


def reindex(
    source: Annotated[str, typer.Argument(help="folder or s3://bucket/prefix with manuals, reports and frames")],
    store: Annotated[str, typer.Option(help="folder or s3://bucket/prefix of the releases")],
    address: Annotated[
        str | None, typer.Option(help="submit to this cluster: http://HEAD:8265 or ray://HEAD:10001")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="index again whenever the source changes")] = False,
    poll_s: Annotated[float, typer.Option(help="with --watch: how often the source is listed", min=0.5)] = 30.0,
    promote: Annotated[bool, typer.Option(help="make the release current")] = True,
    keep_other_families: Annotated[
        bool, typer.Option(help="leave families that the source lacks as they are in the current release")
    ] = False,
    text_model: Annotated[
        Path | None, typer.Option(help="sentence encoder; default $LINESIDE_HOME/models/minilm")
    ] = None,
    joint_model: Annotated[
        str | None, typer.Option(help="joint encoder, 'none' for text alone; default $LINESIDE_HOME/models/joint-demo")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda for GPUs")] = "cpu",
    families: Annotated[Path | None, typer.Option(help="YAML of 'glob of the path: family'")] = None,
    passage_tokens: Annotated[int, typer.Option(help="longest passage")] = 160,
    time_limit_s: Annotated[float, typer.Option(help="longest time that one file may be parsed")] = 300.0,
    memory_limit_mib: Annotated[int, typer.Option(help="most memory that one file may take to be parsed")] = 4_096,
    task_files: Annotated[int, typer.Option(help="files that a worker parses before it stores them")] = 16,
    task_texts: Annotated[int, typer.Option(help="texts that a worker encodes before it stores them")] = 768,
    cpus: Annotated[int | None, typer.Option(help="CPUs of the Ray that a local run starts; default all")] = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="question file, folder or BEIR folder that judges the release before it is promoted"),
    ] = None,
    min_ndcg: Annotated[float | None, typer.Option(min=0, max=1, help="with --questions: lowest nDCG@10")] = None,
    min_recall: Annotated[float | None, typer.Option(min=0, max=1, help="with --questions: lowest recall@10")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="with --address: do not wait for the job")] = False,
    note: Annotated[str, typer.Option(help="kept with the release")] = "",
    json: Annotated[bool, typer.Option("--json", help="print the run's record at the end, and nothing else")] = False,
    run_id: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Index SOURCE and publish a release. What is known from earlier runs is not done again.

    Exit status: 0 done, 1 failed, 2 wrong use, 3 built but not promoted (below its bar), 130 stopped.
    """
    name = run_id or new_run_id()
    try:
        if address is not None:
            _submit(address, name, detach, json)
        settings = JobSettings(
            source=_absolute(source),
            store=_absolute(store),
            text=_model(text_model or _home() / "models" / "minilm", device),
            joint=None
            if joint_model == "none"
            else _model(Path(joint_model or _home() / "models" / "joint-demo"), device),
            build=BuildSettings(passage_tokens=passage_tokens, family_rules=_rules(families)),
            parser=ParserSettings(time_limit_s=time_limit_s, memory_limit_mib=memory_limit_mib),
            task_files=task_files,
            task_texts=task_texts,
        )
        judge = _gate(settings, questions, min_ndcg, min_recall)
        own = sys.stdout
        # Ray writes to standard output what it has to say; with --json that belongs to the record alone.
        with contextlib.redirect_stdout(sys.stderr if json else own):
            run_job(
                settings,
                name,
                display=_display(json),
                promote=promote,
                keep_other_families=keep_other_families,
                note=note,
                gate=judge,
                cpus=cpus,
                watch_s=poll_s if watch else None,
                done=lambda run: _print(run, settings.store, json, own),
            )
    except KeyboardInterrupt:
        _fail("stopped; the next run goes on from here", CANCELLED)
    except ValueError as error:  # pydantic's, of the settings
        _fail(str(error), USAGE)
    except ConfigurationError as error:
        _fail(str(error), USAGE)
    except LinesideError as error:
        _fail(str(error), NOT_PROMOTED if error.code == "below_bar" else FAILED)


def run_job(
    settings: JobSettings,
    run_id: str,
    *,
    display: Display,
    promote: bool = True,
    keep_other_families: bool = False,
    note: str = "",
    gate: Callable[[Release], None] | None = None,
    cpus: int | None = None,
    watch_s: float | None = None,
    done: Callable[[Run], None] = lambda run: None,
) -> None:
    """Runs on Ray, once or (with `watch_s`) whenever the source has changed and come to rest. Raises LinesideError."""
    from index_builder.job import Reindex
    from index_builder.ray_executor import RayExecutor
    from index_builder.sources import open_source

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    store = open_store(settings.store)
    cluster.connect(cpus)
    source = open_source(settings.source)
    seen = before = ""
    while True:
        listed = source.list().signature if watch_s is not None else ""
        # Files that are still being copied make two listings differ.
        at_rest = listed == before or not before
        before = listed
        if watch_s is None or (listed != seen and at_rest):
            now = datetime.now(UTC)
            run = Run(id=run_id, source=settings.source, started=now, updated=now)
            if (other := active_run(store, besides=run_id)) is not None:
                display.line(f"run {other.id} works on this store too; both will keep what the other publishes")
            try:
                with Progress(store, run, display) as progress:
                    executor = RayExecutor(settings, progress.say)
                    Reindex(
                        settings,
                        executor,
                        progress,
                        promote=promote,
                        keep_other_families=keep_other_families,
                        gate=gate,
                        note=note,
                    ).run()
                seen = listed
                done(run)
            except Unavailable as error:
                if watch_s is None:
                    raise
                display.line(f"{error}; trying again in {watch_s:g} s")
            run_id = new_run_id()
        if watch_s is None:
            return
        time.sleep(watch_s)


def runs(
    store: Annotated[str, typer.Option(help="folder or s3://bucket/prefix of the releases")],
    run_id: Annotated[str | None, typer.Argument(help="one run, with its error report")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List re-index runs, the latest first, or show one of them and the files it had to leave out."""
    try:
        opened = open_store(_absolute(store))
        if run_id is None:
            for run in list_runs(opened):
                typer.echo(run.model_dump_json() if json else _line(run))
            return
        run = read_run(opened, run_id)
        _print(run, _absolute(store), json)
    except LinesideError as error:
        _fail(str(error), FAILED)


def _gate(
    settings: JobSettings, questions: Path | None, min_ndcg: float | None, min_recall: float | None
) -> Callable[[Release], None] | None:
    """What a release must reach. Raises ConfigurationError where bars and questions do not come together."""
    if questions is None and min_ndcg is None and min_recall is None:
        return None
    if questions is None or (min_ndcg is None and min_recall is None):
        raise ConfigurationError("--questions goes with --min-ndcg or --min-recall, and they with it")
    if not questions.exists():
        raise ConfigurationError(f"{questions} is not there: give a question file or a folder of them")

    def judge(candidate: Release) -> None:
        from index_builder.evaluation.gate import Bars, check_release
        from index_builder.work import scratch_folder
        from lineside.encoders import load_text_encoder
        from lineside.releases.cache import places_for
        from lineside.releases.settings import CacheSettings
        from lineside.search import ReleaseIndex

        store = open_store(settings.store)
        places = places_for(store, CacheSettings(folder=scratch_folder(store.url) / "judged")).fetch(candidate)
        index = ReleaseIndex.open([places[shard.id] for shard in candidate.shards], candidate.number)
        encoder = load_text_encoder(settings.text.folder, runtime=settings.text.runtime)
        check_release(index, encoder, questions, Bars(min_ndcg=min_ndcg, min_recall=min_recall))

    return judge


def _submit(address: str, run_id: str, detach: bool, json: bool) -> NoReturn:
    """Hands the same command line to the cluster; ends this process as the job ended."""
    arguments = [*_without_address(sys.argv[1:]), "--run-id", run_id]
    cluster.submit(address, run_id, arguments[1:] if arguments[0] == "reindex" else arguments)
    typer.echo(f"submitted as {run_id}", err=json)
    if detach:
        raise typer.Exit(OK)
    try:
        succeeded = cluster.follow(address, run_id, typer.echo)
    except KeyboardInterrupt:
        _fail(
            f"no longer following; the job runs on: ray job stop --address {cluster.dashboard(address)} {run_id}",
            CANCELLED,
        )
    raise typer.Exit(OK if succeeded else FAILED)


def _without_address(arguments: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--address":
            skip = True
        elif not argument.startswith("--address=") and argument != "--detach":
            kept.append(argument)
    return kept


def _home() -> Path:
    return Path(os.environ.get("LINESIDE_HOME") or ".lineside").absolute()


def _absolute(url: str) -> str:
    """Workers have working directories of their own."""
    return url if "://" in url else str(Path(url).expanduser().absolute())


def _model(folder: Path, device: str) -> ModelSettings:
    from lineside.encoders import Runtime

    runtime = Runtime() if device == "cpu" else Runtime(engine="torch", device=device, max_batch=256)
    return ModelSettings(folder=folder.expanduser().absolute(), runtime=runtime)


def _rules(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        rules = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if not isinstance(rules, dict) or not all(isinstance(v, str) for v in rules.values()):
        raise ConfigurationError(f"{file}: write one 'glob of the path: family' a line")
    return {str(pattern): family for pattern, family in rules.items()}


def _display(json: bool) -> Display:
    if json:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines(typer.echo)


def _print(run: Run, store: str, json: bool, out: TextIO | None = None) -> None:
    if json:
        typer.echo(run.model_dump_json(), file=out)
        return
    typer.echo(_line(run))
    found = read_errors(open_store(store), run.id)
    for kind, rows in (("error", found.errors), ("warning", found.warnings)):
        for row in rows[:_SHOWN_ERRORS]:
            typer.echo(f"  {kind}: {row}", err=True)
        if len(rows) > _SHOWN_ERRORS:
            typer.echo(
                f"  ... and {len(rows) - _SHOWN_ERRORS} more: lineside runs --store {store} {run.id} --json", err=True
            )


def _line(run: Run) -> str:
    state = f"{run.state} (silent: killed, or cut off from the store)" if run.is_silent() else run.state
    spent = (run.updated - run.started).total_seconds()
    return f"{run.id}  {state}  {spent:.0f} s  {run.message}"


def _terminate(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, status: int) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(status)


if __name__ == "__main__":
    typer.run(reindex)
