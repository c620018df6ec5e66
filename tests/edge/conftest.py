"""A plant for each test, published once for all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.edge.plant import Plant


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A plant with two publications; not to be changed. The second one changed the pump."""
    plant = Plant(tmp_path_factory.mktemp("plant"))
    plant.publish()
    plant.first = plant.store.copy()
    plant.change("pump", "Its colour is red.")
    plant.publish()
    return plant


@pytest.fixture
def plant(published: Plant, tmp_path: Path) -> Plant:
    """A copy of the published plant, for the test to change."""
    copy = object.__new__(Plant)
    copy.__dict__.update(published.__dict__)
    copy.root, copy.shards = tmp_path, dict(published.shards)
    copy.store, copy.first = published.store.copy(), published.first.copy()
    shutil.copytree(published.root / "keys", tmp_path / "keys")
    copy.reopen()
    return copy
