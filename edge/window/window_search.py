"""Finds records of the window's buckets by similarity within a time, or by time alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.window.bucket import Bucket, RowArray
from edge.window.codes import Vector
from edge.window.frames import WindowFrame, moment
from edge.window.vector_blocks import VectorSnapshot
from lineside.shards.vector_index import faiss_threads

Span = tuple[int, int]
Mask = NDArray[np.bool_]

_FOLDED_PER_WANTED = 8


class _Part(NamedTuple):
    """A bucket at one moment; `allowed` None for all of its rows."""

    bucket: Bucket
    rows: RowArray
    vectors: VectorSnapshot | None
    allowed: Mask | None


class _Hit(NamedTuple):
    similarity: float
    part: _Part
    row: int


def similar(
    buckets: Sequence[Bucket],
    turned: Vector,
    cameras: Collection[str] | None,
    span: Span,
    k: int,
    duplicate_cosine: float | None,
) -> list[WindowFrame]:
    """The k nearest, best first; every vector in the span is compared."""
    if k < 1:
        return []
    wanted = k if duplicate_cosine is None else k * _FOLDED_PER_WANTED
    parts = [part for part in _parts(buckets, cameras, span) if part.vectors is not None]
    with faiss_threads(1):  # one query is one task: waking other threads for each block costs more than comparing it
        found = [part.vectors.search(turned, wanted, part.allowed) for part in parts if part.vectors is not None]
    if not found:
        return []
    scores = np.concatenate([of_part for of_part, _ in found])
    rows = np.concatenate([of_part for _, of_part in found])
    part_of = np.repeat(np.arange(len(parts)), [len(of_part) for _, of_part in found])
    best = np.argsort(-scores, kind="stable")[:wanted]
    hits = [_Hit(float(scores[place]), parts[part_of[place]], int(rows[place])) for place in best]
    if duplicate_cosine is None:
        return [_frame(hit) for hit in hits]
    return _folded(hits, k, duplicate_cosine)


def listing(buckets: Sequence[Bucket], cameras: Collection[str] | None, span: Span, k: int) -> list[WindowFrame]:
    """The k that began last, latest first."""
    found: list[tuple[int, _Part, int]] = []
    for part in _parts(buckets, cameras, span) if k > 0 else ():
        rows = np.arange(len(part.rows)) if part.allowed is None else np.flatnonzero(part.allowed)
        times = part.rows["time"][rows]
        latest = np.argsort(-times, kind="stable")[:k]
        found.extend((int(times[place]), part, int(rows[place])) for place in latest)
        found = sorted(found, key=lambda entry: -entry[0])[:k]
    return [_frame(_Hit(0.0, part, row), is_listing=True) for _, part, row in found]


def _parts(buckets: Sequence[Bucket], cameras: Collection[str] | None, span: Span) -> Iterator[_Part]:
    """Buckets with rows in the span, latest first."""
    first, end = span
    for bucket in reversed(buckets):
        with bucket.lock:
            rows = bucket.rows
            vectors = None if bucket.vectors is None else bucket.vectors.snapshot()
            oldest, newest = bucket.oldest, bucket.newest
            codes = None if cameras is None else [code for c in cameras if (code := bucket.cameras.get(c)) is not None]
        if not len(rows) or oldest >= end or newest < first or codes == []:
            continue
        allowed = None
        if oldest < first or newest >= end:
            allowed = (rows["time"] < end) & (rows["until"] >= first)
        if codes is not None:
            of_cameras = np.isin(rows["camera"], codes)
            allowed = of_cameras if allowed is None else allowed & of_cameras
        if allowed is None or allowed.any():
            yield _Part(bucket, rows, vectors, allowed)


def _folded(hits: Sequence[_Hit], k: int, cosine: float) -> list[WindowFrame]:
    """The best k that differ, each with the ids of those of its camera that do not differ from it."""
    kept: list[tuple[WindowFrame, Vector]] = []
    for hit in hits:
        frame, vector = _frame(hit), _vector(hit)
        same = next(
            (
                place
                for place, (other, others) in enumerate(kept)
                if other.camera == frame.camera and other.labels == frame.labels and float(others @ vector) >= cosine
            ),
            None,
        )
        if same is not None:
            other, others = kept[same]
            kept[same] = (replace(other, duplicates=(*other.duplicates, frame.id)), others)
        elif len(kept) < k:
            kept.append((frame, vector))
    return [frame for frame, _ in kept]


def _vector(hit: _Hit) -> Vector:
    if hit.part.vectors is None:
        raise ValueError("a hit of a bucket without vectors")
    vector = hit.part.vectors.vector(hit.row)
    return vector / np.float32(np.linalg.norm(vector))


def _frame(hit: _Hit, *, is_listing: bool = False) -> WindowFrame:
    bucket, row = hit.part.bucket, hit.part.rows[hit.row]
    return WindowFrame(
        id=bucket.frame_id(hit.row),
        camera=bucket.camera(int(row["camera"])),
        time=moment(int(row["time"])),
        until=moment(int(row["until"])),
        count=int(row["count"]),
        labels=bucket.labels_of(int(row["labels"])),
        similarity=None if is_listing else hit.similarity,
    )
