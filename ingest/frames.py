"""Camera frames: which images of a source are frames, what their labels say, and the frames themselves."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from ingest.identity import document_id
from ingest.images import IMAGE_EXTENSIONS, check_image
from ingest.limits import DEFAULT_LIMITS, ParseLimits
from ingest.metadata import time_of
from ingest.plain import decode_text
from ingest.source import SourceFile, family_of, list_folder, normalise_link, read_file
from lineside.documents import Frame
from lineside.errors import ParseError

LABELS_FILE = "labels.csv"
FRAMES_FOLDER = "frames"
_CAMERA = re.compile(r"^(.*[^_-]|.)[_-]+\d+$")


@dataclass(frozen=True, slots=True)
class FrameLabel:
    """What a label file or a sidecar says about one image."""

    label: str | None = None
    family: str = ""
    camera_id: str = ""
    time: datetime | None = None
    caption: str = ""


@dataclass(frozen=True, slots=True)
class FramePlan:
    """Images that are frames, by path, with their labels; and what was wrong with the label files."""

    frames: Mapping[str, FrameLabel]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Labels:
    by_path: dict[str, FrameLabel] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def plan_frames(paths: Iterable[str], read: Callable[[str], SourceFile]) -> FramePlan:
    """Decide which of the listed files are frames. Only label files are read, through `read`.

    An image is a frame when a `labels.csv` names it or stands in its folder, when `<image>.json` stands beside it, or
    when it lies below a folder named `frames`. Any other image belongs to the manual that links to it.
    """
    listed = set(paths)
    images = sorted(path for path in listed if PurePosixPath(path).suffix.lower() in IMAGE_EXTENSIONS)
    labels = _Labels()
    folders = set()
    for path in sorted(p for p in listed if PurePosixPath(p).name.lower() == LABELS_FILE):
        folder = PurePosixPath(path).parent.as_posix()
        folders.add(folder)
        _read_csv(path, "" if folder == "." else folder, listed, read, labels)
    frames: dict[str, FrameLabel] = {}
    for image in images:
        sidecar = image + ".json"
        if sidecar in listed:
            _read_sidecar(image, sidecar, read, labels)
        parents = PurePosixPath(image).parent
        if image in labels.by_path:
            frames[image] = labels.by_path[image]
        elif sidecar in listed or parents.as_posix() in folders or FRAMES_FOLDER in parents.parts:
            frames[image] = FrameLabel()
    return FramePlan(frames, tuple(labels.warnings))


def _read_csv(path: str, folder: str, listed: set[str], read: Callable[[str], SourceFile], labels: _Labels) -> None:
    try:
        source = read(path)
        if source.error:
            raise ParseError(source.error)
        reader = csv.DictReader(io.StringIO(decode_text(source.data), newline=""), strict=True)
        if "file" not in (reader.fieldnames or ()) or "label" not in (reader.fieldnames or ()):
            raise ParseError("needs a header line with at least 'file' and 'label'")
        for row in reader:
            image = normalise_link(folder, (row["file"] or "").strip())
            if not image or image not in listed:
                labels.warnings.append(f"{path} line {reader.line_num}: there is no image {row['file']!r}")
                continue
            try:
                labels.by_path[image] = _label(row)
            except ParseError as error:
                labels.warnings.append(f"{path} line {reader.line_num}: {error}")
    except (ParseError, csv.Error) as error:
        labels.warnings.append(f"{path}: {error}")


def _read_sidecar(image: str, sidecar: str, read: Callable[[str], SourceFile], labels: _Labels) -> None:
    try:
        source = read(sidecar)
        if source.error:
            raise ParseError(source.error)
        values = json.loads(decode_text(source.data))
        if not isinstance(values, dict):
            raise ParseError("must hold one JSON object")
        labels.by_path[image] = _label(values)
    except (ParseError, ValueError, RecursionError) as error:
        labels.warnings.append(f"{sidecar}: {error}")


def _label(values: Mapping[str, object]) -> FrameLabel:
    def text(name: str) -> str:
        value = values.get(name)
        return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""

    return FrameLabel(
        label=text("label") or None,
        family=text("family"),
        camera_id=text("camera_id"),
        time=time_of(values["time"]) if values.get("time") else None,
        caption=text("caption"),
    )


def parse_frame(
    source: SourceFile,
    label: FrameLabel | None = None,
    *,
    family_rules: Mapping[str, str] | None = None,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> Frame:
    """The frame of an image file. The camera falls back to the file's name before its number (`cam1-0042.png`).

    Raises: ParseError when the image cannot be read or is over a limit.
    """
    if source.error:
        raise ParseError(f"{source.path} {source.error}")
    try:
        image = check_image(source.data, limits)
    except ParseError as error:
        raise ParseError(f"{source.path}: {error}") from error
    label = label or FrameLabel()
    stem = PurePosixPath(source.path).stem
    match = _CAMERA.match(stem)
    return Frame(
        id=document_id(source.path),
        family=family_of(source.path, {"family": label.family}, family_rules),
        camera_id=label.camera_id or (match.group(1) if match else stem),
        time=label.time,
        label=label.label,
        caption=label.caption,
        source=source.path,
        image=image.data,
        media_type=image.media_type,
    )


def read_frames(
    root: Path,
    *,
    family_rules: Mapping[str, str] | None = None,
    limits: ParseLimits = DEFAULT_LIMITS,
    warnings: list[str] | None = None,
) -> Iterator[Frame]:
    """Every frame below a folder, sorted by path; what is left out is appended to `warnings`."""
    report = [] if warnings is None else warnings
    plan = plan_frames(list_folder(root), lambda path: read_file(root, path, limits))
    report += plan.warnings
    for path, label in plan.frames.items():
        try:
            yield parse_frame(read_file(root, path, limits), label, family_rules=family_rules, limits=limits)
        except ParseError as error:
            report.append(f"{path} was left out: {error}")
