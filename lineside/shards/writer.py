"""Writes a shard: the immutable, content-addressed index of one equipment family."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lineside.documents import Document, Figure, Frame, KnownQuestion, Passage
from lineside.errors import ShardError
from lineside.shards.arrow_files import write_table
from lineside.shards.images import image_name, thumbnail, write_images
from lineside.shards.index_building import build_vector_index
from lineside.shards.known import in_order, write_known
from lineside.shards.lexical import build_postings, write_postings
from lineside.shards.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    EffortCurve,
    FileEntry,
    Manifest,
    file_sha256,
    shard_id,
    write_manifest,
)
from lineside.shards.rows import (
    SentenceSpan,
    check_unique,
    document_table,
    lexical_fields,
    row_table,
    sentence_spans,
)
from lineside.shards.settings import ShardSettings

SENTENCE_SCHEMA = pa.schema([("row", pa.int32()), ("start", pa.int32()), ("end", pa.int32())])

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ShardVectors:
    """Vectors for the rows of a shard, all float32 and L2-normalised (a zero row means: no vector).

    Rows are in the order passages, figures, frames as given to `write_shard`.

    text: (n, dt), of `encoder_text(row)`.
    joint: (m, dj): of images for figures and frames, of texts for passages; None without a joint encoder.
    joint_rows: (n,) position in `joint` of every row, -1 for none; rows with equal content may share one.
    sentences: (s, dt), one for every span of `sentence_spans(passages)`.
    known: (q, dt), one for every known question; None where there are none.
    """

    text: Vectors
    sentences: Vectors
    joint: Vectors | None = None
    joint_rows: NDArray[np.int32] | None = None
    known: Vectors | None = None


@dataclass(frozen=True, slots=True)
class ShardRef:
    """A written shard: its content address and its directory."""

    id: str
    path: Path


def write_shard(
    out_root: Path,
    *,
    family: str,
    documents: Sequence[Document],
    passages: Sequence[Passage],
    figures: Sequence[Figure],
    frames: Sequence[Frame],
    vectors: ShardVectors,
    fingerprints: Mapping[str, str],
    known: Sequence[KnownQuestion] = (),
    settings: ShardSettings | None = None,
    images_are_thumbnails: bool = False,
) -> ShardRef:
    """Writes `out_root/<id>/`; the same content gives the same id, in whatever order it is given.

    With `images_are_thumbnails` the images have been through `images.thumbnail` with these settings and are kept.

    The directory appears whole or not at all: it is written beside its place and renamed. A shard that is already
    there is kept.

    Raises:
        ShardError: the input contradicts itself or an image cannot be decoded.
        ConfigurationError: no vector index within the budget reaches the recall bar.
    """
    settings = settings or ShardSettings()
    content = _Content.sorted(family, documents, passages, figures, frames, known, vectors)
    out_root.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=out_root))
    try:
        manifest = _write_files(temporary, content, fingerprints, settings, images_are_thumbnails)
        write_manifest(manifest, temporary / MANIFEST_NAME)
        target = out_root / manifest.id
        temporary.chmod(0o755)
        _sync(temporary)
        try:
            temporary.rename(target)
        except OSError:
            if not (target / MANIFEST_NAME).is_file():
                raise
        return ShardRef(manifest.id, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Content:
    """The input in canonical order."""

    family: str
    documents: Sequence[Document]
    passages: Sequence[Passage]
    figures: Sequence[Figure]
    frames: Sequence[Frame]
    spans: Sequence[SentenceSpan]
    text: Vectors
    sentences: Vectors
    joint: Vectors | None
    joint_rows: NDArray[np.int32]
    known: Sequence[KnownQuestion]
    known_vectors: Vectors

    @classmethod
    def sorted(
        cls,
        family: str,
        documents: Sequence[Document],
        passages: Sequence[Passage],
        figures: Sequence[Figure],
        frames: Sequence[Frame],
        known: Sequence[KnownQuestion],
        vectors: ShardVectors,
    ) -> _Content:
        check_unique([d.id for d in documents], "document")
        check_unique([*(p.id for p in passages), *(f.id for f in figures), *(f.id for f in frames)], "row")
        document_ids = {d.id for d in documents}
        items: list[Passage | Figure] = [*passages, *figures]
        for item in items:
            if item.document_id not in document_ids:
                raise ShardError(f"{item.id} belongs to document {item.document_id}, which is not given")
        spans = sentence_spans(passages)
        n = len(passages) + len(figures) + len(frames)
        _check_vectors(vectors, n, len(spans), len(known))

        def position(item: Passage | Figure) -> tuple[str, int, str]:
            return (item.document_id, item.start, item.id)

        passage_order = sorted(range(len(passages)), key=lambda i: position(passages[i]))
        figure_order = sorted(range(len(figures)), key=lambda i: position(figures[i]))
        frame_order = sorted(range(len(frames)), key=lambda i: frames[i].id)
        row_order = [
            *passage_order,
            *(len(passages) + i for i in figure_order),
            *(len(passages) + len(figures) + i for i in frame_order),
        ]
        new_place = {old: new for new, old in enumerate(passage_order)}
        span_order = sorted(
            range(len(spans)),
            key=lambda i: (new_place[spans[i].passage], spans[i].start),
        )
        joint, joint_rows = _joint_in_row_order(vectors, np.array(row_order, np.int64))
        known_order = in_order(known)
        known_rows = np.zeros((0, vectors.text.shape[1]), np.float32) if vectors.known is None else vectors.known
        return cls(
            family=family,
            documents=sorted(documents, key=lambda d: d.id),
            passages=[passages[i] for i in passage_order],
            figures=[figures[i] for i in figure_order],
            frames=[frames[i] for i in frame_order],
            spans=[SentenceSpan(new_place[s.passage], s.start, s.end) for s in (spans[i] for i in span_order)],
            text=np.ascontiguousarray(vectors.text[np.array(row_order, np.int64)], np.float32),
            sentences=np.ascontiguousarray(vectors.sentences[np.array(span_order, np.int64)], np.float32),
            joint=joint,
            joint_rows=joint_rows,
            known=[known[i] for i in known_order],
            known_vectors=np.ascontiguousarray(known_rows[np.array(known_order, np.int64)], np.float32),
        )


def _check_vectors(vectors: ShardVectors, n: int, n_sentences: int, n_known: int) -> None:
    if vectors.text.ndim != 2 or len(vectors.text) != n:
        raise ShardError(f"text vectors have shape {vectors.text.shape}, there are {n} rows")
    if vectors.sentences.ndim != 2 or len(vectors.sentences) != n_sentences:
        raise ShardError(f"sentence vectors have shape {vectors.sentences.shape}, there are {n_sentences} sentences")
    if n_sentences and vectors.sentences.shape[1] != vectors.text.shape[1]:
        raise ShardError("sentence vectors and text vectors differ in dimension")
    known = () if vectors.known is None else vectors.known.shape
    if n_known and known != (n_known, vectors.text.shape[1]):
        raise ShardError(f"vectors of known questions have shape {known}, there are {n_known}")
    if (vectors.joint is None) != (vectors.joint_rows is None):
        raise ShardError("joint vectors and their row map come together")
    if vectors.joint is not None and vectors.joint_rows is not None:
        if vectors.joint.ndim != 2 or vectors.joint_rows.shape != (n,):
            raise ShardError(f"joint vectors {vectors.joint.shape}, map {vectors.joint_rows.shape}, rows {n}")
        if n and not -1 <= int(vectors.joint_rows.min()) <= int(vectors.joint_rows.max()) < len(vectors.joint):
            raise ShardError("the joint row map points outside the joint vectors")
    for name, matrix in (
        ("text", vectors.text),
        ("sentence", vectors.sentences),
        ("joint", vectors.joint),
        ("known question", vectors.known),
    ):
        if matrix is None or not matrix.size:
            continue
        norms = np.linalg.norm(matrix, axis=1)
        if not np.all((np.abs(norms - 1) < 1e-2) | (norms == 0)):
            raise ShardError(f"{name} vectors are not L2-normalised")


def _joint_in_row_order(
    vectors: ShardVectors, row_order: NDArray[np.int64]
) -> tuple[Vectors | None, NDArray[np.int32]]:
    """Joint vectors in the order in which rows first use them, unused ones dropped."""
    if vectors.joint is None or vectors.joint_rows is None:
        return None, np.full(len(row_order), -1, np.int32)
    old = vectors.joint_rows[row_order]
    used, first = np.unique(old[old >= 0], return_index=True)
    used = used[np.argsort(first)]
    renumber = np.full(len(vectors.joint) + 1, -1, np.int32)
    renumber[used] = np.arange(len(used), dtype=np.int32)
    return np.ascontiguousarray(vectors.joint[used], np.float32), renumber[old]


def _write_files(
    directory: Path,
    content: _Content,
    fingerprints: Mapping[str, str],
    settings: ShardSettings,
    images_are_thumbnails: bool,
) -> Manifest:
    items: list[Passage | Figure | Frame] = [*content.passages, *content.figures, *content.frames]
    by_id = {d.id: d for d in content.documents}
    names = _write_images(directory, content, settings, images_are_thumbnails)
    write_table(
        row_table(content.passages, content.figures, content.frames, by_id, names),
        directory / "passages.arrow",
    )
    write_table(document_table(content.documents), directory / "documents.arrow")
    scale = _write_sentences(directory, content)
    write_known(directory, content.known, content.known_vectors)
    texts = [content.passages[s.passage].text[s.start : s.end] for s in content.spans]
    fields = [lexical_fields(i, None if isinstance(i, Frame) else by_id[i.document_id]) for i in items]
    write_postings(build_postings(fields, texts), directory)
    np.save(directory / "joint_rows.npy", content.joint_rows, allow_pickle=False)
    curves: dict[str, EffortCurve] = {}
    # A sentence is as long as a question, and like one it lies beside the passages: a harder query than a passage.
    for name, matrix, queries in (("text", content.text, content.sentences), ("joint", content.joint, None)):
        if matrix is not None:
            index, curves[name] = build_vector_index(matrix, settings.vectors, queries)
            index.write(directory / f"{name}.faiss")
    files = {
        p.relative_to(directory).as_posix(): FileEntry(size=p.stat().st_size, sha256=file_sha256(p))
        for p in sorted(directory.rglob("*"))
        if p.is_file()
    }
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        id="0" * 40,
        family=content.family,
        counts={
            "documents": len(content.documents),
            "passages": len(content.passages),
            "figures": len(content.figures),
            "frames": len(content.frames),
            "sentences": len(content.spans),
            "images": len({n for n in names if n}),
            "known_questions": len(content.known),
        },
        fingerprints=dict(fingerprints),
        settings=settings.model_dump(mode="json"),
        dimensions={
            "text": content.text.shape[1],
            "joint": 0 if content.joint is None else content.joint.shape[1],
        },
        sentence_scale=scale,
        effort_curves=curves,
        files=files,
    )
    return manifest.model_copy(update={"id": shard_id(manifest.model_dump(mode="json"))})


def _write_images(
    directory: Path, content: _Content, settings: ShardSettings, are_thumbnails: bool
) -> list[str | None]:
    encoded: list[bytes | None] = [None] * len(content.passages)
    pictures: list[Figure | Frame] = [*content.figures, *content.frames]
    for item in pictures:
        if are_thumbnails:
            encoded.append(item.image)
            continue
        longest = settings.figure_max_px if isinstance(item, Figure) else settings.frame_max_px
        try:
            small = thumbnail(
                item.image,
                max_px=longest,
                quality=settings.image_quality,
                max_pixels=settings.image_max_pixels,
            )
        except ShardError as error:
            raise ShardError(f"{item.id}: {error}") from error
        encoded.append(small)
    write_images(directory, (image for image in encoded if image is not None))
    return [None if image is None else image_name(image) for image in encoded]


def _write_sentences(directory: Path, content: _Content) -> float:
    """Writes spans and int8 vectors; returns the scale: value = int8 * scale."""
    columns = {
        "row": [s.passage for s in content.spans],
        "start": [s.start for s in content.spans],
        "end": [s.end for s in content.spans],
    }
    write_table(pa.table(columns, schema=SENTENCE_SCHEMA), directory / "sentences.arrow")
    largest = float(np.abs(content.sentences).max()) if content.sentences.size else 0.0
    scale = largest / 127 if largest else 1.0
    quantised = cast(
        NDArray[np.int8],
        np.rint(content.sentences / scale).clip(-127, 127).astype(np.int8),
    )
    np.save(directory / "sentences.npy", quantised, allow_pickle=False)
    return scale


def _sync(directory: Path) -> None:
    """Flushes files to disk before the rename makes them visible."""
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
