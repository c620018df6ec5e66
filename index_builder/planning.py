"""Decides what is left to do: which files to parse, what to encode, which families to build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from index_builder.digests import digest, split
from index_builder.parsed import LIGHT
from index_builder.sources import Listing, Source
from index_builder.tasks import EmbedTask, FileTask, Label, ParseTask, RowTexts, Space
from index_builder.vectors import VectorSpace
from ingest.frames import LABELS_FILE, plan_frames
from ingest.limits import ParseLimits
from ingest.parse import is_document
from ingest.source import SourceFile
from lineside.runs import FileError

_LABEL_READERS = 16


@dataclass(frozen=True, slots=True)
class Row:
    """The light columns of a parsed file, and where the rest of it stands."""

    segment: str
    place: int
    path: str
    etag: str
    maker: str
    label: str
    links: Sequence[Mapping[str, str]]
    error: str | None
    warnings: Sequence[str]
    families: Sequence[str]
    digest: bytes
    documents: int
    passages: int
    figures: int
    frames: int
    known_questions: int
    texts: bytes
    joint_texts: bytes
    images: bytes

    def is_current(self, listing: Listing) -> bool:
        """Whether all that was read for it is still so."""
        return self.etag == listing.etag(self.path) and all(
            link["etag"] == listing.etag(link["path"]) for link in self.links
        )

    def keys(self, space: Space) -> list[bytes]:
        """Digests of what of it is encoded in a space, without repetition."""
        return split({"text": self.texts, "joint_text": self.joint_texts, "joint_image": self.images}[space])


def rows_of(segment: str, table: pa.Table) -> Iterator[Row]:
    """Every row of a segment; what a shard is written from is not read. One of an older schema has none."""
    if not set(LIGHT) <= set(table.schema.names):
        return
    for place, values in enumerate(table.select(LIGHT).to_pylist()):
        yield Row(segment=segment, place=place, **values)


@dataclass(slots=True)
class SourcePlan:
    """What of a source is indexed."""

    files: list[FileTask] = field(default_factory=list)
    ignored: int = 0
    errors: list[FileError] = field(default_factory=list)
    warnings: list[FileError] = field(default_factory=list)


def plan_source(listing: Listing, source: Source, limits: ParseLimits) -> SourcePlan:
    """Sorts files into documents and frames. Only label files are read; a file over the limit is not touched."""
    plan = SourcePlan(errors=list(listing.errors))

    def read(path: str) -> SourceFile:
        return source.read(path, limits).file

    frames = plan_frames(listing.objects, _ahead(_label_files(listing), read))
    for warning in frames.warnings:
        path, _, _ = warning.partition(": ")
        plan.warnings.append(FileError.of(path, warning))
    for path, item in listing.objects.items():
        label = frames.frames.get(path)
        if label is None and not is_document(path):
            plan.ignored += 1
        elif item.size > limits.max_source_bytes:
            message = f"has {item.size} bytes, over the limit of {limits.max_source_bytes}: split it or raise the limit"
            plan.errors.append(FileError.of(path, message))
        else:
            plan.files.append(FileTask(path=path, label=None if label is None else Label.of(label)))
    return plan


def _label_files(listing: Listing) -> list[str]:
    names = listing.objects
    return [
        p
        for p in names
        if p.rsplit("/", 1)[-1].lower() == LABELS_FILE or (p.removesuffix(".json") in names and p.endswith(".json"))
    ]


def _ahead(paths: Sequence[str], read: Callable[[str], SourceFile]) -> Callable[[str], SourceFile]:
    """Reads many small files at the same time: a frame's sidecar each is a round trip each."""
    with ThreadPoolExecutor(_LABEL_READERS) as pool:
        known = dict(zip(paths, pool.map(read, paths), strict=True))
    return lambda path: known[path] if path in known else read(path)


def select(rows: Iterable[Row], files: Sequence[FileTask], maker: str, listing: Listing) -> dict[str, Row]:
    """Rows that need not be made again, by path."""
    wanted = {file.path: file.label_key for file in files}
    return {
        row.path: row
        for row in rows
        if wanted.get(row.path) == row.label and row.maker == maker and row.is_current(listing)
    }


def without_lost_images(
    rows: dict[str, Row], images: VectorSpace | None, staged: Mapping[bytes, str]
) -> dict[str, Row]:
    """Rows whose images are encoded or waiting to be; the others are parsed again, with another encoder say."""
    if images is None:
        return rows
    distinct = list(dict.fromkeys(key for row in rows.values() for key in row.keys("joint_image")))
    lost = {key for key in images.unknown(distinct) if key not in staged}
    return {path: row for path, row in rows.items() if not lost.intersection(row.keys("joint_image"))}


def parse_tasks(
    files: Sequence[FileTask], listing: Listing, *, maker: str, keep_images: bool, task_files: int, task_bytes: int
) -> list[ParseTask]:
    """Files in order, some at a time."""
    tasks: list[ParseTask] = []
    group: list[FileTask] = []
    size = 0

    def close() -> None:
        if group:
            tasks.append(ParseTask(files=tuple(group), maker=maker, keep_images=keep_images))

    for file in files:
        bytes_ = listing.objects[file.path].size
        if group and (len(group) >= task_files or size + bytes_ > task_bytes):
            close()
            group, size = [], 0
        group.append(file)
        size += bytes_
    close()
    return tasks


@dataclass(frozen=True, slots=True)
class EmbedPlan:
    """What is to be encoded, and how much of what is needed is known already."""

    tasks: list[EmbedTask]
    wanted: int
    known: int


def plan_texts(rows: Sequence[Row], name: Space, space: VectorSpace, per_task: int) -> EmbedPlan:
    """Every text once, wherever it occurs: it belongs to the first file that holds it."""
    distinct = list(dict.fromkeys(key for row in rows for key in row.keys(name)))
    left = set(space.unknown(distinct))
    tasks: list[EmbedTask] = []
    group: list[RowTexts] = []
    size = 0
    wanted = len(left)
    for row in rows:
        places = [place for place, key in enumerate(row.keys(name)) if key in left]
        left.difference_update(row.keys(name))
        while places:
            part, places = places[: per_task - size], places[per_task - size :]
            group.append(RowTexts(segment=row.segment, row=row.place, places=tuple(part)))
            size += len(part)
            if size >= per_task:
                tasks.append(EmbedTask(space=name, texts=tuple(group)))
                group, size = [], 0
    if group:
        tasks.append(EmbedTask(space=name, texts=tuple(group)))
    return EmbedPlan(_with_probe(tasks, name, space), wanted, len(distinct) - wanted)


def plan_images(rows: Sequence[Row], space: VectorSpace, staged: Mapping[bytes, str], per_task: int) -> EmbedPlan:
    """Every image once; a task's images stand in few segments."""
    distinct = list(dict.fromkeys(key for row in rows for key in row.keys("joint_image")))
    unknown = sorted(space.unknown(distinct), key=lambda key: (staged.get(key, ""), key))
    tasks = []
    for first in range(0, len(unknown), per_task):
        part = unknown[first : first + per_task]
        segments = tuple(sorted({staged[key] for key in part if key in staged}))
        tasks.append(EmbedTask(space="joint_image", images=tuple(key.hex() for key in part), image_segments=segments))
    return EmbedPlan(_with_probe(tasks, "joint_image", space), len(unknown), len(distinct) - len(unknown))


def _with_probe(tasks: list[EmbedTask], name: Space, space: VectorSpace) -> list[EmbedTask]:
    if len(space):
        return tasks
    if not tasks:
        return [EmbedTask(space=name, probe=True)]
    return [tasks[0].model_copy(update={"probe": True}), *tasks[1:]]


def families(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by family, both in order; a file of reports may belong to several.

    Known questions alone make no family: there would be nothing to answer from.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        for family in row.families:
            found.setdefault(family, []).append(row)
    return {f: members for f, members in sorted(found.items()) if any(row.documents or row.frames for row in members)}


def family_key(family: str, rows: Sequence[Row], made_by: Sequence[str]) -> str:
    """Changes with whatever decides the bytes of the family's shard."""
    return digest(family, *made_by, *(part for row in rows for part in (row.path, row.digest))).hex()
