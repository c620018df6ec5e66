"""A cell for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.gateway.cell import Cell


@pytest.fixture
def cell(tmp_path: Path, encoders_folder: Path) -> Cell:
    return Cell(tmp_path, encoders_folder)
