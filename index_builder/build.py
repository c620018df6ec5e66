"""The job without a cluster: the same stages in this process, for a demo, a test or a laptop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from index_builder.encode import Encoders
from index_builder.executors import LocalExecutor
from index_builder.job import Reindex
from index_builder.progress import Lines, Progress
from index_builder.settings import BuildSettings, JobSettings, ModelSettings
from lineside.releases import Catalogue, Release
from lineside.runs import Counts, FileError, Run, new_run_id


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build made and what it had to leave out. `is_new`: False where the current release was right already."""

    release: Release
    is_new: bool
    counts: Counts
    errors: tuple[FileError, ...]
    warnings: tuple[FileError, ...]
    seconds: float


def build_release(
    source: Path | str,
    catalogue: Catalogue,
    text: ModelSettings,
    joint: ModelSettings | None,
    *,
    settings: BuildSettings = BuildSettings(),
    encoders: Encoders | None = None,
    isolated: bool = True,
    note: str = "",
    progress: Callable[[str], None] = lambda line: None,
) -> BuildReport:
    """Indexes `source` into the catalogue and makes the release current.

    `encoders` takes models that are loaded already; `isolated` is that of `LocalExecutor`.

    Raises:
        DataError: the source is not there, or holds nothing that can be indexed.
        ConfigurationError: no vector index reaches the recall bar within the budget.
    """
    started = time.monotonic()
    job = JobSettings(source=str(source), store=catalogue.store.url, text=text, joint=joint, build=settings)
    now = datetime.now(UTC)
    run = Run(id=new_run_id(now), source=job.source, started=now, updated=now)
    executor = LocalExecutor(job, isolated=isolated, encoders=encoders)
    with Progress(catalogue.store, run, Lines(progress)) as following:
        outcome = Reindex(job, executor, following, note=note).run()
    return BuildReport(
        release=outcome.release,
        is_new=outcome.is_new,
        counts=run.counts,
        errors=outcome.report.errors,
        warnings=outcome.report.warnings,
        seconds=time.monotonic() - started,
    )
