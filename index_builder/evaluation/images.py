"""How well the joint encoder tells labels apart: every image of a labelled folder against all the others."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from index_builder.evaluation.corpus_shard import Report
from index_builder.evaluation.vector_cache import Rows, VectorCache
from lineside.encoders import ImageLimits, JointEncoder, read_image
from lineside.errors import DataError, RequestError
from lineside.search.label_votes import vote
from lineside.search.settings import ImageSettings

IMAGES_MAX = 200_000
_READ = 64  # images in memory at a time
_BLOCK = 256  # images compared with all others at a time
_LIMITS = ImageLimits(max_bytes=64 * 2**20, max_pixels=200_000_000, max_side=65_535)


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Files with their labels, and what was left out."""

    name: str
    files: tuple[Path, ...]
    labels: tuple[str, ...]
    warnings: tuple[str, ...]


class ImageReport(BaseModel):
    """What `lineside eval images` prints; shares are in [0, 1].

    `accuracy`: nearest other image has the same label. `vote_accuracy`: so has the label that search would vote for.
    `map`: mean average precision of the images of the same label in the ranking of all others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    model: str
    images: int
    labels: dict[str, int]
    accuracy: float
    vote_accuracy: float
    map: float
    accuracy_by_label: dict[str, float]
    warnings: tuple[str, ...]


def read_labelled_images(folder: Path) -> LabelledImages:
    """Rows `file,label[,...]` of `labels.csv`; files lie in the folder or in `images/` below it.

    Raises:
        DataError: the table is missing or malformed, or fewer than two images are there.
    """
    table = folder / "labels.csv"
    root = folder.resolve()
    found: dict[Path, str] = {}
    missing = repeated = unlabelled = 0
    for name, label in _rows(table):
        if not label:
            unlabelled += 1
            continue
        file = next(
            (f for f in ((root / name).resolve(), (root / "images" / name).resolve()) if _inside(f, root)), None
        )
        if file is None:
            missing += 1
        elif file in found:
            repeated += 1
        else:
            found[file] = label
        if len(found) > IMAGES_MAX:
            raise DataError(f"{table} names more than {IMAGES_MAX:,} images: evaluate a part of them")
    if len(found) < 2:
        raise DataError(f"{table}: {len(found)} of its files are there ({missing} are not); two are needed at least")
    counts = {
        "files are not there and are left out": missing,
        "rows have no label and are left out": unlabelled,
        "rows repeat a file and are left out": repeated,
    }
    warnings = tuple(f"{count} {what}" for what, count in counts.items() if count)
    return LabelledImages(root.name, tuple(found), tuple(found.values()), warnings)


def _inside(file: Path, root: Path) -> bool:
    return file.is_relative_to(root) and file.is_file()


def _rows(table: Path) -> Iterator[tuple[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            names = {name.strip().casefold(): name for name in rows.fieldnames or () if name}
            if "file" not in names or "label" not in names:
                raise DataError(f"{table} needs the columns file and label, it has {', '.join(names) or 'none'}")
            for row in rows:
                if name := (row[names["file"]] or "").strip():
                    yield name, (row[names["label"]] or "").strip()
    except FileNotFoundError:
        raise DataError(
            f"{table} is missing: a labelled folder holds labels.csv with the columns file and label"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read: {error}") from error


def evaluate_images(
    images: LabelledImages,
    encoder: JointEncoder,
    cache: VectorCache,
    *,
    model: str,
    report: Report = lambda stage, done, total: None,
    settings: ImageSettings = ImageSettings(),
) -> ImageReport:
    """Leave-one-out over all images that can be decoded.

    Raises:
        DataError: fewer than two can, or the cache cannot be used.
    """
    vectors, labels = _encode(images, encoder, cache, report)
    damaged = len(images.files) - len(labels)
    if len(labels) < 2:
        raise DataError(f"{images.name}: {damaged} of {len(images.files)} images cannot be decoded: nothing to compare")
    found = _leave_one_out(vectors, labels, settings, report)
    counts = Counter(labels)
    alone = sum(count == 1 for count in counts.values())
    warnings = {
        "images cannot be decoded and are left out": damaged,
        "labels have one image only: it counts as wrong, and not in the mean average precision": alone,
    }
    hits: dict[str, list[bool]] = {label: [] for label in sorted(counts)}
    for label, hit in zip(labels, found.nearest, strict=True):
        hits[label].append(hit)
    return ImageReport(
        dataset=images.name,
        model=model,
        images=len(labels),
        labels=dict(sorted(counts.items())),
        accuracy=_share(found.nearest),
        vote_accuracy=_share(found.voted),
        map=_share(found.precision),
        accuracy_by_label={label: _share(own) for label, own in hits.items()},
        warnings=(*images.warnings, *(f"{count} {what}" for what, count in warnings.items() if count)),
    )


def _encode(
    images: LabelledImages, encoder: JointEncoder, cache: VectorCache, report: Report
) -> tuple[NDArray[np.float32], list[str]]:
    """Vectors (n, d) and labels of the images that can be decoded; few of them are in memory at a time."""
    rows: list[NDArray[np.float32]] = []
    labels: list[str] = []
    for start in range(0, len(images.files), _READ):
        contents: list[bytes] = []
        pixels: list[Image.Image] = []
        for file, label in zip(images.files[start : start + _READ], images.labels[start:], strict=False):
            try:
                data = _bytes(file)
                pixels.append(read_image(data, _LIMITS, wanted_side=encoder.image_side))
            except (RequestError, OSError):
                continue
            contents.append(data)
            labels.append(label)
        rows.append(cache.rows(contents, _encoder_of(encoder, pixels)))
        report("images encoded", min(start + _READ, len(images.files)), len(images.files))
    return np.concatenate(rows), labels


def _encoder_of(encoder: JointEncoder, pixels: Sequence[Image.Image]) -> Callable[[Sequence[int]], Rows]:
    return lambda places: encoder.encode_images([pixels[place] for place in places])


def _bytes(file: Path) -> bytes:
    """The file's bytes, one more than the limit at most: `read_image` refuses what is longer."""
    with file.open("rb") as stream:
        return stream.read(_LIMITS.max_bytes + 1)


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """Of every image: whether its nearest neighbour and the vote are right; average precision where it has company."""

    nearest: list[bool]
    voted: list[bool]
    precision: list[float]


def _leave_one_out(
    vectors: NDArray[np.float32], labels: Sequence[str], settings: ImageSettings, report: Report
) -> _Outcomes:
    found = _Outcomes([], [], [])
    names, numbers = np.unique(np.array(labels), return_inverse=True)
    for start in range(0, len(labels), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ vectors.T
        own = np.arange(start, start + len(cosines))
        cosines[np.arange(len(own)), own] = -np.inf
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :-1]
        for row, ranking, image in zip(cosines, order, own, strict=True):
            same = numbers[ranking] == numbers[image]
            found.nearest.append(bool(same[0]))
            head = ranking[: settings.vote_frames].astype(np.int64)
            votes = vote(head, row[head], lambda i: str(names[numbers[i]]), lambda i: "", settings)
            found.voted.append(bool(votes) and votes[0][0].label == names[numbers[image]])
            ranks = np.flatnonzero(same) + 1
            if len(ranks):
                found.precision.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
        report("images compared", start + len(own), len(labels))
    return found


def _share(found: Sequence[float]) -> float:
    return round(float(np.mean(found)), 5) if found else 0.0


def render_images(report: ImageReport) -> str:
    """The report as text."""
    lines = [
        f"{report.dataset}: {report.images:,} images, {len(report.labels)} labels, encoder {report.model}",
        *(f"  warning: {warning}" for warning in report.warnings),
        f"  {'nearest other image has the label':<44}{report.accuracy:8.1%}",
        f"  {'vote of the nearest, as search takes it':<44}{report.vote_accuracy:8.1%}",
        f"  {'mean average precision':<44}{report.map:8.3f}",
        f"  {'nearest, by label':<44}",
    ]
    lines += [
        f"    {label:<32}{report.labels[label]:>10,}{share:8.1%}" for label, share in report.accuracy_by_label.items()
    ]
    return "\n".join(lines)
