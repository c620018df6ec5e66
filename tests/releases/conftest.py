"""Catalogues in a folder and in S3, and whole shards that can be published to either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lineside.objects import ObjectStore, open_store
from lineside.releases import Catalogue
from lineside.shards import ShardRef
from tests.releases.shards import write

Build = Callable[..., tuple[str, ShardRef]]


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    if request.param == "folder":
        return open_store(tmp_path / "store")
    return open_store(f"{request.getfixturevalue('s3_server').create_bucket()}/knowledge")


@pytest.fixture
def catalogue(store: ObjectStore) -> Catalogue:
    """Empty."""
    return Catalogue(store)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """`build(family, variant)` gives a shard in a folder of the builder's own."""
    return lambda family, variant=0: write(tmp_path / "built", family, variant)
