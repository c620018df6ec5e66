"""The re-index job: from what a source holds now to a release, at the cost of what changed.

list → parse what is new → encode what has no vector → build the families that changed → publish → tidy up. Every stage
leaves what it made in the store (`work.WorkArea`), so a run that was killed goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from index_builder.digests import shard_code
from index_builder.executors import Executor
from index_builder.parsing import maker_fingerprint
from index_builder.planning import (
    Row,
    SourcePlan,
    families,
    family_key,
    parse_tasks,
    plan_images,
    plan_source,
    plan_texts,
    rows_of,
    select,
    without_lost_images,
)
from index_builder.progress import Progress
from index_builder.publishing import Built, publish
from index_builder.settings import JobSettings
from index_builder.sources import Listing, Source, open_source
from index_builder.tasks import BuildOutcome, BuildTask, EmbedOutcome, FileTask, ParseOutcome, Space
from index_builder.tidying import tidy
from index_builder.work import WorkArea
from ingest.chunk import chunker_fingerprint
from lineside.errors import Conflict, DataError, NotFound
from lineside.releases import Catalogue, Release, ShardEntry
from lineside.releases.upload import shard_key
from lineside.runs import ErrorReport, FileError, write_errors
from lineside.shards.manifest import FORMAT_VERSION, MANIFEST_NAME

_ATTEMPTS = 5
_TASK_BYTES = 32 * 2**20
_IMAGES_PER_TASK = 128

Gate = Callable[[Release], None]
"""Judges a candidate before it is promoted; raises BelowBar where it must not be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. `release` is the one that was published, or found to be still right."""

    release: Release
    is_new: bool
    report: ErrorReport


class Reindex:
    """One run of the job."""

    def __init__(
        self,
        settings: JobSettings,
        executor: Executor,
        progress: Progress,
        *,
        promote: bool = True,
        keep_other_families: bool = False,
        gate: Gate | None = None,
        note: str = "",
    ) -> None:
        """`keep_other_families` leaves families that the source does not have as they are in the current release."""
        self._settings = settings
        self._executor = executor
        self._progress = progress
        self._promote = promote
        self._keep_others = keep_other_families
        self._gate = gate
        self._note = note
        self._source: Source = open_source(settings.source)
        self._work = WorkArea(settings, self._source.url)
        self._catalogue = Catalogue(self._work.store)
        self._maker = maker_fingerprint(settings.build, settings.text.folder, settings.joint is not None)
        self._fingerprints = {
            "text": self._work.text_fingerprint,
            "joint": self._work.joint_fingerprint,
            "chunker": chunker_fingerprint(settings.build.passage_tokens),
        }
        self._unreadable: set[bytes] = set()

    def run(self) -> Outcome:
        """Lists, builds, publishes. What another run published meanwhile is kept.

        Raises:
            DataError: the source is not there, or holds nothing that can be indexed.
            BelowBar: the gate refused the release: it stays in the catalogue, unpromoted.
            StoreUnavailable: the source or the store does not answer; run again later.
            ConfigurationError: no vector index reaches the recall bar within the budget.
        """
        for attempt in range(_ATTEMPTS):
            base = _current(self._catalogue)
            self._progress.begin("listing")
            listing = self._source.list()
            plan = plan_source(listing, self._source, self._settings.build.limits)
            rows, failures = self._parse(plan, listing)
            report = self._report(plan, rows, failures)
            if not families(rows):
                self._write(report)
                said = "; ".join(str(error) for error in report.errors[:5])
                raise DataError(f"{self._source.url} holds no documents and no frames: {said or 'it is empty'}")
            self._embed(rows)
            report = self._with_unreadable(report, rows)
            built = self._build(rows)
            self._write(report)
            self._progress.begin("publishing")
            try:
                release, is_new = publish(
                    self._catalogue,
                    built,
                    base,
                    fingerprints=self._fingerprints,
                    promote=self._promote,
                    keep_others=self._keep_others,
                    gate=self._gate,
                    note=self._note,
                )
            except Conflict as conflict:
                if attempt + 1 == _ATTEMPTS:
                    raise
                self._progress.say(f"another release was published meanwhile, looking again: {conflict}")
                continue
            tidy(self._work, self._catalogue, self._progress.run.id, rows, [shard.key for shard in built])
            return self._finish(release, is_new, report)
        raise AssertionError

    def _parse(self, plan: SourcePlan, listing: Listing) -> tuple[list[Row], list[FileError]]:
        """A row for every file that could be had, by path; and those that could not."""
        counts = self._progress.run.counts
        current = self._known_rows(plan.files, listing)
        todo = [file for file in plan.files if file.path not in current]
        counts.files, counts.ignored, counts.unchanged = len(listing.objects), plan.ignored, len(current)
        counts.parsed = counts.failed = 0
        tasks = parse_tasks(
            todo,
            listing,
            maker=self._maker,
            keep_images=self._settings.joint is not None,
            task_files=self._settings.task_files,
            task_bytes=_TASK_BYTES,
        )
        self._progress.begin("parsing", len(todo), "files")
        failures: list[FileError] = []
        places: dict[str, tuple[str, int]] = {}
        for found in self._executor.run("parse", tasks):
            outcome = cast(ParseOutcome, found)
            places |= outcome.rows
            failures += [FileError.of(failure.path, failure.message) for failure in outcome.failures]
            counts.parsed += len(outcome.rows) - outcome.bad
            counts.failed += outcome.bad + len(outcome.failures)
            self._progress.advance(len(outcome.rows) + len(outcome.failures))
        made: dict[str, dict[int, str]] = {}
        for path, (segment, place) in places.items():
            made.setdefault(segment, {})[place] = path
        for segment, wanted in made.items():
            for row in rows_of(segment, self._work.parsed.table(segment)):
                if row.place in wanted:
                    current[row.path] = row
        rows = [current[path] for path in sorted(current)]
        counts.documents = sum(row.documents for row in rows)
        counts.passages = sum(row.passages for row in rows)
        counts.figures = sum(row.figures for row in rows)
        counts.frames = sum(row.frames for row in rows)
        counts.known_questions = sum(row.known_questions for row in rows)
        return rows, failures

    def _known_rows(self, files: Sequence[FileTask], listing: Listing) -> dict[str, Row]:
        names = self._work.parsed.names()
        self._work.parsed.forget_all_but(names)
        tables = self._work.parsed.tables(names)
        rows = (row for name, table in tables.items() for row in rows_of(name, table))
        self._work.refresh_vectors()
        return without_lost_images(
            select(rows, files, self._maker, listing), self._work.joint_image, self._work.staged_images()
        )

    def _embed(self, rows: Sequence[Row]) -> None:
        counts = self._progress.run.counts
        staged = self._work.staged_images() if self._work.joint_image is not None else {}
        plans = []
        for name, space in self._work.spaces.items():
            if name == "joint_image":
                plans.append(plan_images(rows, space, staged, _IMAGES_PER_TASK))
            else:
                plans.append(plan_texts(rows, cast(Space, name), space, self._settings.task_texts))
        counts.vectors_known, counts.vectors_made = sum(plan.known for plan in plans), 0
        self._progress.begin("embedding", sum(plan.wanted for plan in plans), "texts and images")
        started, first = time.time(), math.inf
        for found in self._executor.run("embed", [task for plan in plans for task in plan.tasks]):
            outcome = cast(EmbedOutcome, found)
            counts.vectors_made += outcome.vectors
            first = min(first, outcome.began)
            self._unreadable.update(bytes.fromhex(image) for image in outcome.unreadable_images)
            self._progress.advance(outcome.vectors)
        if first < math.inf:
            self._progress.run.seconds["loading_models"] = round(max(0.0, first - started), 3)
        self._work.refresh_vectors()

    def _build(self, rows: Sequence[Row]) -> list[Built]:
        """The shard of every family: the one there is where nothing of it changed."""
        counts = self._progress.run.counts
        grouped = families(rows)
        made_by = (
            *self._fingerprints.values(),
            shard_code(),
            str(FORMAT_VERSION),
            self._settings.build.shard.model_dump_json(),
        )
        keys = {family: family_key(family, members, made_by) for family, members in grouped.items()}
        shards: dict[str, str] = {}
        for family, key in keys.items():
            shard = self._work.known_shard(key)
            if shard is not None and self._catalogue.store.head(shard_key(shard, MANIFEST_NAME)) is not None:
                shards[family] = shard
        tasks = [
            BuildTask(
                family=family,
                rows=tuple((row.segment, row.place) for row in members),
                fingerprints=self._fingerprints,
                key=keys[family],
            )
            for family, members in grouped.items()
            if family not in shards
        ]
        counts.families, counts.shards_kept, counts.shards_built = len(grouped), len(shards), 0
        self._progress.begin("building", len(tasks), "shards")
        for found in self._executor.run("build", tasks):
            outcome = cast(BuildOutcome, found)
            shards[outcome.family] = outcome.shard
            counts.shards_built += 1
            self._progress.advance(1)
        return [Built(ShardEntry(family=family, id=shards[family]), keys[family]) for family in grouped]

    def _report(self, plan: SourcePlan, rows: Sequence[Row], failures: Sequence[FileError]) -> ErrorReport:
        errors = [*plan.errors, *failures, *(FileError.of(r.path, r.error) for r in rows if r.error is not None)]
        warnings = [*plan.warnings, *(FileError.of(r.path, w) for r in rows for w in r.warnings)]
        searched = families(rows).keys()
        warnings += [
            FileError.of(r.path, f"{family} has no documents to answer from: its known questions were left out")
            for r in rows
            for family in r.families
            if family not in searched
        ]
        report = ErrorReport(
            errors=tuple(sorted(errors, key=lambda e: e.path)), warnings=tuple(sorted(warnings, key=lambda e: e.path))
        )
        self._progress.run.counts.failed = len(report.errors)
        return report

    def _with_unreadable(self, report: ErrorReport, rows: Sequence[Row]) -> ErrorReport:
        """Images that the encoder could not take are found by their words alone."""
        count = Counter({r.path: len(self._unreadable.intersection(r.keys("joint_image"))) for r in rows})
        more = tuple(
            FileError.of(path, f"{n} image(s) cannot be shown to the encoder: save them as PNG or JPEG")
            for path, n in (+count).items()
        )
        return report.model_copy(update={"warnings": (*report.warnings, *more)})

    def _write(self, report: ErrorReport) -> None:
        run = self._progress.run
        run.errors, run.warnings = len(report.errors), len(report.warnings)
        write_errors(self._work.store, run.id, report)

    def _finish(self, release: Release, is_new: bool, report: ErrorReport) -> Outcome:
        run = self._progress.run
        run.release = release.number
        counts = run.counts
        what = f"release {release.number}" if is_new else f"nothing changed: release {release.number} stays"
        unpromoted = ", not promoted" if is_new and not self._promote else ""
        self._progress.finish(
            "done",
            f"{what}{unpromoted}: {counts.documents} documents, {counts.passages} passages, {counts.figures} figures, "
            f"{counts.frames} frames{_also(counts.known_questions)}; {counts.shards_built} shards built, "
            f"{counts.shards_kept} kept; {run.errors} files left out",
        )
        return Outcome(release, is_new, report)


def _also(known_questions: int) -> str:
    return f", {known_questions} known questions" if known_questions else ""


def _current(catalogue: Catalogue) -> Release | None:
    try:
        return catalogue.current()
    except NotFound:
        return None
