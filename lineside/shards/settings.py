"""Settings of shard building: what the builder may spend and what it must reach."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class VectorIndexSettings(BaseModel):
    """How a vector index is chosen: by size, under a memory budget, never below the recall bar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flat_max_rows: int = Field(
        8_192,
        ge=0,
        description="up to this many rows every vector is compared: recall 1",
    )
    memory_budget_mib: float | None = Field(None, gt=0, description="limit for one index; none when absent")
    recall_bar: float = Field(0.98, gt=0, le=1, description="recall@10 that a published index must have")
    held_out_queries: int = Field(500, ge=16, le=10_000, description="queries of each kind that recall is measured on")
    train_rows_max: int = Field(
        262_144,
        ge=1_024,
        description="rows that centroids and codes are trained on; they are held in memory meanwhile",
    )
    threads: int = Field(
        1,
        ge=1,
        le=256,
        description="threads FAISS builds with; more than 1 can change bytes",
    )
    seed: int = Field(20_260, ge=0)


class ShardSettings(BaseModel):
    """Settings of `write_shard`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vectors: VectorIndexSettings = VectorIndexSettings()
    figure_max_px: int = Field(640, ge=64, le=4_096, description="longer side of a stored figure")
    frame_max_px: int = Field(320, ge=64, le=4_096, description="longer side of a stored frame")
    image_quality: int = Field(82, ge=1, le=100, description="WebP quality of stored images")
    image_max_pixels: int = Field(
        80_000_000,
        ge=1,
        description="larger images are refused before they are decoded",
    )
