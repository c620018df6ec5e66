"""Small whole shards for tests of the catalogue, written as the builder writes them."""

from __future__ import annotations

from pathlib import Path

from lineside.shards import ShardRef, write_shard
from tests.shards.knowledge import drive, pump

FINGERPRINTS = {"text": "t1", "joint": "j1", "chunker": "c1"}


def write(folder: Path, family: str, variant: int = 0) -> tuple[str, ShardRef]:
    """A shard of the family in `folder`; another variant has another content and id."""
    knowledge = {"drive": drive, "pump": pump}[family]()
    prints = FINGERPRINTS | {"chunker": f"c{variant}"}
    return family, write_shard(folder, **knowledge.arguments(), fingerprints=prints)  # type: ignore[arg-type]
