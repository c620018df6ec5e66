"""Where shards are kept that come from a store elsewhere."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class CacheSettings(BaseModel):
    """The local copies of shards. A store in a folder needs none: its shards are opened where they lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(Path("cache"), description="one folder may serve all processes of a machine, and all stores")
    max_bytes: int = Field(
        20_000_000_000, ge=1_000_000, description="room for shards; two releases must fit beside each other"
    )
