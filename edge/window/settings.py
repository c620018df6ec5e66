"""Settings of the rolling window: how long, how large, how durable, and how its frames enter search."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SyncMode = Literal["fsync", "process"]


class WindowSettings(BaseModel):
    """The section `window` of `gateway.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: float = Field(48, gt=0, le=168, description="how long a frame is kept, unless the bytes run out before")
    max_disk_mib: float = Field(2_048, ge=1, description="all files of the window; the oldest frames go first")
    max_memory_mib: float = Field(160, ge=1, description="vectors and times in memory; about 0.6 KiB a frame at 512-d")
    bucket_minutes: float = Field(30, gt=0, le=24 * 60, description="frames that expire together")

    sync: SyncMode = Field(
        "fsync", description="what an acknowledged frame survives: fsync a loss of power, process a kill -9"
    )
    commit_ms: float = Field(
        10, ge=0, le=1_000, description="frames that arrive within it share one flush of the disk; only with fsync"
    )

    thumbnail_px: int = Field(256, ge=32, le=1_024, description="longer side of a thumbnail")
    thumbnail_quality: int = Field(60, ge=1, le=100, description="WebP")
    max_image_bytes: int = Field(10 << 20, ge=1_024, le=64 << 20, description="encoded size of a frame that comes in")
    max_pixels: int = Field(40_000_000, ge=10_000, le=200_000_000, description="of a frame that comes in")
    max_cameras: int = Field(1_024, ge=1, le=60_000, description="cameras in the window at a time")

    collapse_cosine: float = Field(
        0.995, ge=0, le=1, description="a frame at least as near to the last kept one of its camera only extends it"
    )
    collapse_gap_s: float = Field(30, gt=0, description="after a longer silence of the camera a frame is kept anew")

    max_ahead_s: float = Field(300, ge=0, description="a frame from further in the future is refused")
    clock_hold_s: float = Field(600, ge=0, description="how long a clock that leapt ahead must stay there to expire")

    evidence_frames: int = Field(2, ge=0, le=50, description="frames of the window in a result, beside its own images")
    similarity_floor: float = Field(0.5, ge=-1, le=1, description="cosine to the frame asked about, below: no evidence")
    families: dict[str, str] = Field(
        default_factory=dict,
        max_length=60_000,
        description="camera to equipment family; a question to a family sees only the cameras named here for it",
    )
    access: str | None = Field(None, description="access label of all frames of the window; as filters know them")
