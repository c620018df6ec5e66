"""Parses one source file into a row of `PARSED_SCHEMA`: read, parse, cut, shrink images, hash what is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from index_builder.digests import digest, parser_code
from index_builder.parsed import Content, image_digest, parsed_row
from index_builder.settings import BuildSettings
from index_builder.sources import Source
from index_builder.tasks import FileTask
from ingest.chunk import CountTokens, chunk, chunker_fingerprint
from ingest.frames import parse_frame
from ingest.limits import ParseLimits
from ingest.parse import ParsedSource, parse
from ingest.source import Resolve, normalise_link
from lineside.documents import Figure, Frame, Passage
from lineside.encoders.model_folder import text_fingerprint
from lineside.errors import ParseError, ShardError
from lineside.shards import ShardSettings
from lineside.shards.images import thumbnail

Picture = TypeVar("Picture", Figure, Frame)

MAX_IMAGES_BYTES = 512 * 2**20
"""Of one file's figures together, encoded."""


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A row of `PARSED_SCHEMA`, and the images as they were, by digest, for the encoder."""

    row: dict[str, Any]
    images: dict[bytes, bytes]


class TransientError(Exception):
    """The file could not be had this time; it says nothing about the file."""


def maker_fingerprint(build: BuildSettings, text_model: Any, keep_images: bool) -> str:
    """Changes with whatever decides what a file is parsed to."""
    images = build.shard.model_dump_json(include={"figure_max_px", "frame_max_px", "image_quality", "image_max_pixels"})
    parts = (
        parser_code(),
        chunker_fingerprint(build.passage_tokens),
        text_fingerprint(text_model),
        build.limits.model_dump_json(),
        "\n".join(f"{pattern}\t{family}" for pattern, family in build.family_rules.items()),
        images,
        str(keep_images),
    )
    return digest(*parts).hex()


def parse_file(
    task: FileTask, maker: str, source: Source, build: BuildSettings, count_tokens: CountTokens
) -> ParsedFile:
    """A file that cannot be parsed gives a row with its error.

    Raises:
        TransientError: it could not be read this time.
        StoreUnavailable: the source does not answer.
    """
    limits = build.limits
    read = source.read(task.path, limits)
    if read.file.error:
        raise TransientError(read.file.error)
    links: dict[str, str] = {}
    row: dict[str, Any] = {
        "path": task.path,
        "etag": read.etag,
        "maker": maker,
        "label": task.label_key,
        "links": links,
    }
    images = _Images(build.shard)
    warnings: list[str] = []
    try:
        if task.label is not None:
            frame = parse_frame(read.file, task.label.as_frame_label(), family_rules=build.family_rules, limits=limits)
            small = images.shrink(frame)
            content = Content(frames=[small], images=images.order)
        else:
            found = parse(
                read.file,
                family_rules=build.family_rules,
                resolve=_resolver(source, task.path, limits, links),
                limits=limits,
            )
            warnings += found.warnings
            content = _content(found, count_tokens, build.passage_tokens, images, warnings)
    except (ParseError, ShardError) as error:
        return ParsedFile(parsed_row(**row, error=str(error).removeprefix(f"{task.path}: ")), {})
    return ParsedFile(
        parsed_row(**row, warnings=warnings, content=content, thumbnails=images.thumbnails), images.originals
    )


def _content(
    found: ParsedSource, count_tokens: CountTokens, max_tokens: int, images: _Images, warnings: list[str]
) -> Content:
    passages: list[Passage] = []
    figures: list[Figure] = []
    for document in found.documents:
        passages += chunk(document, count_tokens=count_tokens, max_tokens=max_tokens)
        for figure in document.figures:
            try:
                figures.append(images.shrink(figure))
            except ShardError as error:
                warnings.append(f"figure {figure.caption[:80] or figure.id!r} was left out: {error}")
    documents = [d.model_copy(update={"figures": ()}) for d in found.documents]
    return Content(documents, passages, figures, [], images.order, found.questions)


class _Images:
    """Originals and thumbnails of a file's figures, each kept once."""

    def __init__(self, shard: ShardSettings) -> None:
        self._shard = shard
        self._bytes = 0
        self.originals: dict[bytes, bytes] = {}
        self.thumbnails: dict[bytes, bytes] = {}
        self.order: list[bytes] = []

    def shrink(self, picture: Picture) -> Picture:
        """The picture with its thumbnail as image. Raises ShardError, ParseError."""
        key = image_digest(picture.image)
        if key not in self.thumbnails:
            self._bytes += len(picture.image)
            if self._bytes > MAX_IMAGES_BYTES:
                raise ParseError(f"its figures take over {MAX_IMAGES_BYTES >> 20} MiB: split the document")
            self.thumbnails[key] = thumbnail(
                picture.image,
                max_px=self._shard.figure_max_px if isinstance(picture, Figure) else self._shard.frame_max_px,
                quality=self._shard.image_quality,
                max_pixels=self._shard.image_max_pixels,
            )
            self.originals[key] = picture.image
        self.order.append(key)
        return picture.model_copy(update={"image": self.thumbnails[key], "media_type": "image/webp"})


def _resolver(source: Source, document: str, limits: ParseLimits, links: dict[str, str]) -> Resolve:
    """Reads the images that a document links to, and notes which and in what state."""
    folder = PurePosixPath(document).parent.as_posix()

    def resolve(link: str) -> bytes | None:
        path = None if "\0" in link else normalise_link("" if folder == "." else folder, link)
        if not path:
            return None
        found = source.read(path, limits)
        links[path] = found.etag
        return None if found.file.error else found.file.data

    return resolve
