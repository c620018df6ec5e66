"""serve_config.yaml: what is refused before anything starts, and that the file in the repository is valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.settings import BatchLimits, RetrieverLimits, load_settings, read_user_config
from lineside.errors import ConfigurationError

CONFIG = Path(__file__).resolve().parents[2] / "serve_config.yaml"


@pytest.fixture
def described() -> dict[str, Any]:
    """`serve_config.yaml` as it stands in the repository."""
    return yaml.safe_load(CONFIG.read_text())


@pytest.fixture
def args(described: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The repository's settings over a home with empty stand-ins for the models, which settings do not open."""
    found: dict[str, Any] = described["applications"][0]["args"]
    for name in ("models/minilm", "models/joint-demo", "models/smollm2", "store"):
        (tmp_path / ".lineside" / name).mkdir(parents=True)
    (tmp_path / ".lineside/store/current.json").write_text("{}")
    return found


def test_the_repositorys_configuration_is_valid_and_its_paths_become_absolute(
    args: dict[str, Any], tmp_path: Path
) -> None:
    settings = load_settings(args, tmp_path)
    assert settings.store == str(tmp_path / ".lineside/store")
    assert settings.cache.folder == tmp_path / ".lineside/cache"
    assert settings.generator.vllm is not None
    assert settings.generator.vllm.model == tmp_path / ".lineside/models/smollm2"


def test_a_store_elsewhere_stays_a_url(args: dict[str, Any], tmp_path: Path) -> None:
    assert load_settings(args | {"store": "s3://plant/knowledge"}, tmp_path).store == "s3://plant/knowledge"


def test_every_user_config_of_the_repository_is_valid(described: dict[str, Any]) -> None:
    limits = {
        "Ingress": RetrieverLimits,
        "VisionEncoder": BatchLimits,
        "TextEncoder": BatchLimits,
        "Retriever": RetrieverLimits,
    }
    found = {d["name"]: d["user_config"] for d in described["applications"][0]["deployments"] if "user_config" in d}
    assert found.keys() == limits.keys()
    for name, config in found.items():
        read_user_config(limits[name], config)


def test_it_listens_on_loopback(described: dict[str, Any]) -> None:
    assert described["http_options"]["host"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"unknown": 1}, "unknown"),
        ({"text_encoder": {"model": "models/minilm", "runtime": {"threads": 0}}}, "text_encoder.runtime.threads"),
        ({"text_encoder": {"model": "m", "runtime": {"engine": "openvino", "device": "cuda"}}}, "set engine to torch"),
        ({"placement": {"text_encoder": "moon"}}, "placement.text_encoder"),
        ({"placement": {"retriever": "moon"}}, "placement.retriever"),
        ({"generator": {"engine": "vllm"}}, "block named vllm"),
        ({"answering": {"default_deadline_ms": 9000, "max_deadline_ms": 100}}, "default_deadline_ms"),
        ({"http": {"max_body_bytes": 2048}}, "max_body_bytes"),
        ({"http": {"reserved_for_alerts": 256}}, "reserved_for_alerts"),
        ({"text_encoder": {"model": "models/none"}}, "models/none"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_their_name(
    args: dict[str, Any], tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"not there|serve_config\.yaml") as refused:
        load_settings(args | change, tmp_path)
    assert says in str(refused.value)


def test_a_mistaken_user_config_is_refused_with_its_name() -> None:
    with pytest.raises(ConfigurationError, match="poll_s"):
        read_user_config(RetrieverLimits, {"poll_s": 0})
