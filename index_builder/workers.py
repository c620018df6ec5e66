"""The work of each stage: a worker takes a task, leaves what it made in the store, and says where."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pydantic import BaseModel

from index_builder.encode import Encoders, shard_vectors
from index_builder.parsed import PARSED_SCHEMA, Content, read_content, texts_of
from index_builder.parser_process import ParserDied, ParserProcess
from index_builder.parsing import ParsedFile, TransientError, parse_file
from index_builder.settings import JobSettings
from index_builder.sources import open_source
from index_builder.tasks import (
    BuildOutcome,
    BuildTask,
    EmbedOutcome,
    EmbedTask,
    Failure,
    FileTask,
    ParseOutcome,
    ParseTask,
    Stage,
)
from index_builder.vectors import PROBE
from index_builder.work import WorkArea
from lineside.encoders.tokens import load_token_counter
from lineside.errors import ShardError
from lineside.releases.upload import store_shard
from lineside.shards import write_shard

_SEGMENT_BYTES = 64 * 2**20


class Worker(Protocol):
    """One stage, in one process at a time."""

    def __call__(self, task: Any) -> BaseModel: ...

    def close(self) -> None: ...


class ParseWorker:
    """Parses files, each within its limits, and stores a row for every one."""

    def __init__(self, settings: JobSettings, *, isolated: bool = True) -> None:
        self._work = WorkArea(settings, open_source(settings.source).url)
        self._process = ParserProcess(settings) if isolated else None
        self._parse: Callable[[FileTask, str], ParsedFile] = (
            self._process.parse if self._process else _parse_here(settings)
        )

    def __call__(self, task: ParseTask) -> ParseOutcome:
        rows: list[dict[str, Any]] = []
        images: dict[bytes, bytes] = {}
        failures: list[Failure] = []
        placed: dict[str, tuple[str, int]] = {}
        bad = size = 0

        def flush() -> None:
            nonlocal size
            # Images first: a row in the store means that its images are there as well.
            self._work.stage_images(images)
            if rows:
                name = self._work.parsed.write(pa.Table.from_pylist(rows, schema=PARSED_SCHEMA))
                placed.update({row["path"]: (name, place) for place, row in enumerate(rows)})
            rows.clear()
            images.clear()
            size = 0

        for file in task.files:
            try:
                parsed = self._parse(file, task.maker)
            except (ParserDied, TransientError) as error:
                failures.append(Failure(path=file.path, message=str(error)))
                continue
            rows.append(parsed.row)
            bad += parsed.row["error"] is not None
            size += len(parsed.row["content"]) + sum(map(len, parsed.row["thumbnails"]))
            if task.keep_images:
                images |= parsed.images
                size += sum(map(len, parsed.images.values()))
            if size > _SEGMENT_BYTES:
                flush()
        flush()
        return ParseOutcome(rows=placed, failures=tuple(failures), bad=bad)

    def close(self) -> None:
        if self._process:
            self._process.stop()


def _parse_here(settings: JobSettings) -> Callable[[FileTask, str], ParsedFile]:
    source, count = open_source(settings.source), load_token_counter(settings.text.folder)
    return lambda task, maker: parse_file(task, maker, source, settings.build, count)


class EmbedWorker:
    """Encodes what has no vector yet and stores it."""

    def __init__(self, settings: JobSettings, encoders: Encoders | None = None) -> None:
        self._work = WorkArea(settings, open_source(settings.source).url)
        self._encoders = encoders or Encoders(settings)

    def __call__(self, task: EmbedTask) -> EmbedOutcome:
        space = self._work.spaces[task.space]
        self._encoders.warm(self._work.spaces)
        began = time.time()
        unreadable: list[str] = []
        if task.probe:
            space.write([PROBE], self._encoders.probe(task.space))
        if task.images:
            keys = [bytes.fromhex(image) for image in task.images]
            rows, places = self._encoders.images(self._staged(keys, task.image_segments))
            unreadable = [task.images[place] for place in places]
            space.write(keys, rows)
        texts = self._texts(task)
        if texts:
            space.write(list(texts), self._encoders.texts(list(texts.values()), joint=task.space == "joint_text"))
        return EmbedOutcome(
            space=task.space,
            vectors=len(texts) + len(task.images),
            unreadable_images=tuple(unreadable),
            began=began,
        )

    def _texts(self, task: EmbedTask) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        for part in task.texts:
            texts = texts_of(_content(self._work, part.segment, part.row))
            items = list((texts.joint if task.space == "joint_text" else texts.text).items())
            found |= {items[place][0]: items[place][1] for place in part.places}
        return found

    def _staged(self, keys: list[bytes], segments: tuple[str, ...]) -> list[bytes]:
        wanted = set(keys)
        found: dict[bytes, bytes] = {}
        for table in self._work.images.tables(segments).values():
            for place, key in enumerate(table.column("key").to_pylist()):
                if key in wanted:
                    found[key] = table.column("data")[place].as_py()
        missing = wanted - found.keys()
        if missing:
            raise ShardError(f"{len(missing)} staged images are gone from the store: run again")
        return [found[key] for key in keys]

    def close(self) -> None:
        return


class BuildWorker:
    """Writes the shard of a family and brings it into the store."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._work = WorkArea(settings, open_source(settings.source).url)

    def __call__(self, task: BuildTask) -> BuildOutcome:
        started = time.monotonic()
        self._work.refresh_vectors()
        content = _family_content(self._work, task)
        spaces = self._work.spaces
        folder = Path(tempfile.mkdtemp(prefix="lineside-shard-"))
        try:
            shard = write_shard(
                folder,
                family=task.family,
                documents=content.documents,
                passages=content.passages,
                figures=content.figures,
                frames=content.frames,
                known=content.known,
                vectors=shard_vectors(content, self._work.text, spaces.get("joint_text"), spaces.get("joint_image")),
                fingerprints=task.fingerprints,
                settings=self._settings.build.shard,
                images_are_thumbnails=True,
            )
            store_shard(self._work.store, shard.id, shard.path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._work.remember_shard(task.key, shard.id)
        return BuildOutcome(
            family=task.family,
            key=task.key,
            shard=shard.id,
            passages=len(content.passages),
            figures=len(content.figures),
            frames=len(content.frames),
            seconds=time.monotonic() - started,
        )

    def close(self) -> None:
        return


def _family_content(work: WorkArea, task: BuildTask) -> Content:
    parts = [_content(work, segment, row).of_family(task.family) for segment, row in task.rows]
    return Content(
        documents=[d for part in parts for d in part.documents],
        passages=[p for part in parts for p in part.passages],
        figures=[f for part in parts for f in part.figures],
        frames=[f for part in parts for f in part.frames],
        # Figures of all files first, then frames, as the rows are.
        images=[
            *(image for part in parts for image in part.images[: len(part.figures)]),
            *(image for part in parts for image in part.images[len(part.figures) :]),
        ],
        known=[q for part in parts for q in part.known],
    )


def _content(work: WorkArea, segment: str, row: int) -> Content:
    table = work.parsed.table(segment)
    values = {name: table.column(name)[row].as_py() for name in ("content", "images", "thumbnails")}
    return read_content(values["content"], values["images"], values["thumbnails"])


TASKS: dict[Stage, type[BaseModel]] = {"parse": ParseTask, "embed": EmbedTask, "build": BuildTask}
OUTCOMES: dict[Stage, type[BaseModel]] = {"parse": ParseOutcome, "embed": EmbedOutcome, "build": BuildOutcome}


def make_worker(stage: Stage, settings: JobSettings) -> Worker:
    """The worker of a stage."""
    workers: dict[Stage, Callable[[JobSettings], Worker]] = {
        "parse": ParseWorker,
        "embed": EmbedWorker,
        "build": BuildWorker,
    }
    return workers[stage](settings)
