"""Where the parser tests find real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """A folder of real data that is not part of the project; the test is skipped where it is absent."""

    def folder(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.is_dir():
            pytest.skip(f"../shared/data/{name} is not here")
        return path

    return folder
