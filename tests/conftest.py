"""What every test shares: an environment without network and with one thread, prepared models, hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# Before any test imports torch, transformers or Ray, which read these once.
os.environ["LINESIDE_HOME"] = str(Path(os.environ.get("LINESIDE_HOME") or REPOSITORY / ".lineside").absolute())
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["VLLM_NO_USAGE_STATS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# No deadline: a shared machine stalls for longer than a property takes. `ci` repeats the same examples on every run.
settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=200, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Folder of the prepared models: minilm, joint-demo, smollm2 and the file smollm2.gguf. Not to be changed."""
    models = Path(os.environ["LINESIDE_HOME"]) / "models"
    absent = [name for name in ("minilm", "joint-demo", "smollm2", "smollm2.gguf") if not (models / name).exists()]
    if absent:
        pytest.fail(f"{', '.join(absent)} not in {models}: run `make models` first", pytrace=False)
    return models


@pytest.fixture
def lineside_home(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, set as LINESIDE_HOME, with the prepared models linked and nothing else."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models_dir, target_is_directory=True)
    monkeypatch.setenv("LINESIDE_HOME", str(home))
    return home
