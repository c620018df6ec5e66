"""Records of re-index runs in the store: state and counts while a run goes on, and a row for every file left out."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lineside.errors import DataError, NotFound
from lineside.objects import ObjectStore

RUNS = "work/runs"
SILENT_S = 60.0
"""A run that is not finished and has not written for so long is taken to be dead."""

State = Literal["queued", "listing", "parsing", "embedding", "building", "publishing", "done", "failed", "cancelled"]
FINISHED: frozenset[State] = frozenset({"done", "failed", "cancelled"})


class FileError(BaseModel):
    """A file, or a part of one, that is not in the release: why, and what to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    reason: str
    advice: str = ""

    @classmethod
    def of(cls, path: str, message: str) -> FileError:
        """From a message of a `ParseError`: `<path>: <reason>: <what to do>`."""
        message = message.removeprefix(f"{path}: ").strip()
        reason, mark, advice = message.rpartition(": ")
        if not mark or advice.count(")") != advice.count("("):
            return cls(path=path, reason=message)
        return cls(path=path, reason=reason, advice=advice)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" + (f": {self.advice}" if self.advice else "")


class Counts(BaseModel):
    """Of one run. Texts and images are counted once, however often they occur."""

    model_config = ConfigDict(extra="forbid")

    files: int = 0
    ignored: int = 0
    unchanged: int = 0
    parsed: int = 0
    failed: int = 0
    documents: int = 0
    passages: int = 0
    figures: int = 0
    frames: int = 0
    known_questions: int = 0
    vectors_known: int = 0
    vectors_made: int = 0
    families: int = 0
    shards_kept: int = 0
    shards_built: int = 0


class StageProgress(BaseModel):
    """How far the present stage is."""

    model_config = ConfigDict(extra="forbid")

    done: int = 0
    total: int = 0
    unit: str = ""
    per_s: float = 0.0


class Run(BaseModel):
    """`work/runs/<id>.json`: what HTTP and the command line show."""

    model_config = ConfigDict(extra="forbid")

    id: str
    source: str
    state: State = "queued"
    started: datetime
    updated: datetime
    stage: StageProgress = StageProgress()
    counts: Counts = Counts()
    seconds: dict[str, float] = Field(
        {}, description="wall time of each stage so far; loading_models is part of embedding"
    )
    errors: int = Field(0, description="rows of the error report")
    warnings: int = 0
    release: int | None = Field(None, description="what the run published, or found to be still right")
    message: str = Field("", description="why it waits or failed, or what came of it")

    def is_silent(self, now: datetime | None = None) -> bool:
        """Not finished, and nothing heard of it for a minute: killed, or cut off from the store."""
        return self.state not in FINISHED and ((now or datetime.now(UTC)) - self.updated).total_seconds() > SILENT_S


class ErrorReport(BaseModel):
    """`work/runs/<id>-errors.json`: complete for the source as it was, not only for what changed."""

    model_config = ConfigDict(extra="forbid")

    errors: tuple[FileError, ...] = ()
    warnings: tuple[FileError, ...] = ()


def new_run_id(now: datetime | None = None) -> str:
    """Sorts by time; two at the same instant differ."""
    return f"{(now or datetime.now(UTC)):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def write_run(store: ObjectStore, run: Run) -> None:
    """Overwrites the run's record."""
    store.put(f"{RUNS}/{run.id}.json", run.model_dump_json(indent=1).encode())


def read_run(store: ObjectStore, run_id: str) -> Run:
    """Raises NotFound, DataError."""
    if not run_id or not all(c.isalnum() or c == "-" for c in run_id):
        raise NotFound(f"no run {run_id[:80]!r}")
    try:
        data, _ = store.get(f"{RUNS}/{run_id}.json", max_bytes=1 << 20)
    except NotFound:
        raise NotFound(f"no run {run_id!r} in {store.url}") from None
    try:
        return Run.model_validate_json(data)
    except ValidationError as error:
        raise DataError(f"the record of run {run_id} is damaged: {error}") from error


def write_errors(store: ObjectStore, run_id: str, report: ErrorReport) -> None:
    """Written whole, before the run is done."""
    store.put(f"{RUNS}/{run_id}-errors.json", report.model_dump_json(indent=1).encode())


def read_errors(store: ObjectStore, run_id: str) -> ErrorReport:
    """Empty while the run has not written it. Raises DataError."""
    try:
        data, _ = store.get(f"{RUNS}/{run_id}-errors.json", max_bytes=256 << 20)
        return ErrorReport.model_validate_json(data)
    except NotFound:
        return ErrorReport()
    except ValidationError as error:
        raise DataError(f"the error report of run {run_id} is damaged: {error}") from error


def runs(store: ObjectStore, latest: int = 50) -> list[Run]:
    """The latest runs, newest first; a record that is damaged is left out."""
    names = sorted((i.key for i in store.list(f"{RUNS}/") if not i.key.endswith("-errors.json")), reverse=True)
    found = []
    for key in names[:latest]:
        try:
            found.append(read_run(store, key.removeprefix(f"{RUNS}/").removesuffix(".json")))
        except (NotFound, DataError):
            continue
    return found


def active_run(store: ObjectStore, besides: str) -> Run | None:
    """Another run that is at work on this store now."""
    now = datetime.now(UTC)
    return next((r for r in runs(store) if r.id != besides and r.state not in FINISHED and not r.is_silent(now)), None)


def delete_old_runs(store: ObjectStore, keep: int = 100) -> None:
    """Keeps the records of the latest runs."""
    infos = list(store.list(f"{RUNS}/"))
    ids = sorted({_id_of(info.key) for info in infos}, reverse=True)
    old = set(ids[keep:])
    for info in infos:
        if _id_of(info.key) in old:
            store.delete(info.key)


def _id_of(key: str) -> str:
    return key.removeprefix(f"{RUNS}/").removesuffix(".json").removesuffix("-errors")
