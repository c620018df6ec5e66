"""Settings of a re-index: how sources are cut and indexed, with which models, and what a file may cost."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ingest.limits import ParseLimits
from lineside.encoders import Runtime
from lineside.shards import ShardSettings


class BuildSettings(BaseModel):
    """How sources are cut and indexed: what decides the bytes of a shard beside the sources and the models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passage_tokens: int = Field(160, ge=32, le=512, description="longest passage in the encoder's tokens")
    family_rules: dict[str, str] = Field({}, description="glob of the path → family; over folders, under front matter")
    limits: ParseLimits = ParseLimits()
    shard: ShardSettings = ShardSettings()


class ModelSettings(BaseModel):
    """A model folder, the same path on every machine that encodes, and how it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    runtime: Runtime = Runtime()


class ParserSettings(BaseModel):
    """What one file may cost the process that parses it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_limit_s: float = Field(300.0, gt=0, le=86_400, description="a file that takes longer costs a row")
    memory_limit_mib: int = Field(4_096, ge=512, le=1_048_576, description="address space of a parsing process")


class JobSettings(BaseModel):
    """Everything a worker has to know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="folder or s3://bucket/prefix")
    store: str = Field(description="folder or s3://bucket/prefix of the catalogue")
    text: ModelSettings
    joint: ModelSettings | None = None
    build: BuildSettings = BuildSettings()
    parser: ParserSettings = ParserSettings()
    task_files: int = Field(16, ge=1, le=10_000, description="files that a worker parses before it reports")
    task_texts: int = Field(768, ge=1, le=100_000, description="texts that a worker encodes before it stores them")
