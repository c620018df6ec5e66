from __future__ import annotations

from pathlib import Path

import pytest

from lineside.search import ReleaseIndex
from lineside.shards import write_shard
from tests.shards.knowledge import drive, pump


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("shards")
    return [write_shard(root, **knowledge.arguments()).path for knowledge in (drive(), pump())]


@pytest.fixture(scope="session")
def index(shards: list[Path]) -> ReleaseIndex:
    return ReleaseIndex.open(shards, release=7)
