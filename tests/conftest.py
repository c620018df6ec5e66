"""What every test shares: an environment without network and with one thread, prepared models, hypothesis profiles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.s3_server import S3Server

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


@pytest.fixture(scope="session")
def encoders_folder(models_dir: Path) -> Path:
    """minilm and joint-demo as exported for gateways. Not to be changed."""
    folder = models_dir / "encoders"
    if not (folder / "encoders.json").is_file():
        pytest.fail(f"no {folder}: run `make models` first", pytrace=False)
    return folder


@pytest.fixture
def lineside_home(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, set as LINESIDE_HOME, with the prepared models linked and nothing else."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models_dir, target_is_directory=True)
    monkeypatch.setenv("LINESIDE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def s3_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all tests, kept apart by buckets. Whoever stops servers starts an `S3Server` of its own."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def s3_server(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The same, with the AWS_* variables of this process set to it. `create_bucket()` gives an `s3://` URL."""
    for name, value in s3_process.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    return s3_process
