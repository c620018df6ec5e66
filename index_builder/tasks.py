"""What workers are given and what they give back: plain records that cross process borders as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.frames import FrameLabel

Stage = Literal["parse", "embed", "build"]
Space = Literal["text", "joint_text", "joint_image"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Label(_Record):
    """A frame's label, from `labels.csv` or a sidecar."""

    label: str | None = None
    family: str = ""
    camera_id: str = ""
    time: datetime | None = None
    caption: str = ""

    @classmethod
    def of(cls, label: FrameLabel) -> Label:
        return cls(
            label=label.label,
            family=label.family,
            camera_id=label.camera_id,
            time=label.time,
            caption=label.caption,
        )

    def as_frame_label(self) -> FrameLabel:
        return FrameLabel(**dict(self))


class FileTask(_Record):
    """A file to parse: a document, or with a label (perhaps an empty one) a frame."""

    path: str
    label: Label | None = None

    @property
    def label_key(self) -> str:
        """What of the label decides the frame: empty for documents."""
        return "" if self.label is None else self.label.model_dump_json()


class ParseTask(_Record):
    """Some files."""

    files: tuple[FileTask, ...] = Field(min_length=1)
    maker: str = Field(description="fingerprint of all that decides what a file is parsed to")
    keep_images: bool = Field(description="whether a joint encoder will want the images")


class Failure(_Record):
    """A file that could not be parsed this time; tried again by the next run."""

    path: str
    message: str


class ParseOutcome(_Record):
    """Where the rows of the task's files are: `(segment, row)` by path."""

    rows: dict[str, tuple[str, int]]
    failures: tuple[Failure, ...] = ()
    bad: int = 0


class RowTexts(_Record):
    """Texts to encode out of one parsed file: places among its distinct texts."""

    segment: str
    row: int
    places: tuple[int, ...]


class EmbedTask(_Record):
    """Texts of parsed files, or staged images by hex digest; neither: the probe alone."""

    space: Space
    texts: tuple[RowTexts, ...] = ()
    images: tuple[str, ...] = ()
    image_segments: tuple[str, ...] = ()
    probe: bool = False


class EmbedOutcome(_Record):
    """Vectors stored."""

    space: Space
    vectors: int
    unreadable_images: tuple[str, ...] = ()
    began: float = Field(0.0, description="seconds since the epoch when the task began, its models loaded")


class BuildTask(_Record):
    """A family and the parsed files that belong to it, `(segment, row)` each."""

    family: str
    rows: tuple[tuple[str, int], ...]
    fingerprints: dict[str, str]
    key: str


class BuildOutcome(_Record):
    """A shard, in the catalogue's store."""

    family: str
    key: str
    shard: str
    passages: int
    figures: int
    frames: int
    seconds: float
