"""The search stage without Ray around it: its limits steer which release it answers from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.release_swap import Edition, build_editions, publish
from deployments.search_stage import SearchStage, SearchStatus
from deployments.settings import EncoderSettings, RetrieverLimits, read_user_config
from lineside.errors import ConfigurationError
from lineside.releases import Catalogue
from lineside.releases.settings import CacheSettings
from lineside.search import SearchQuery, SearchSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def editions(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Edition], dict[str, str]]:
    return build_editions(tmp_path_factory.mktemp("editions"), models_dir, 3)


@pytest.fixture
def catalogue(editions: tuple[list[Edition], dict[str, str]], tmp_path: Path) -> Catalogue:
    """Three releases; the last is current."""
    catalogue = Catalogue(tmp_path / "store")
    for edition in editions[0]:
        publish(catalogue, edition, editions[1])
    return catalogue


@pytest.fixture
def stage(catalogue: Catalogue, models_dir: Path, tmp_path: Path) -> Iterator[SearchStage]:
    made = SearchStage(
        catalogue.store.url,
        CacheSettings(folder=tmp_path / "cache"),
        SearchSettings(),
        EncoderSettings(model=models_dir / "minilm"),
        EncoderSettings(model=models_dir / "joint-demo"),
        True,
    )
    yield made
    made._releases.stop()


def configure(stage: SearchStage, **config: Any) -> None:
    """As `user_config` of the deployment that holds the stage."""
    stage.configure(read_user_config(RetrieverLimits, config))


def status(stage: SearchStage) -> SearchStatus:
    return asyncio.run(stage.status())


def wait_for_release(stage: SearchStage, release: int) -> None:
    until = time.monotonic() + 60
    while status(stage).release != release:
        assert time.monotonic() < until, status(stage)
        time.sleep(0.05)


def test_a_replica_that_starts_with_a_pin_never_answers_from_another_release(stage: SearchStage) -> None:
    configure(stage, release=2)
    found = asyncio.run(stage.search(SearchQuery(text="How hot may the bearing of the pump become?")))
    assert found.release == 2
    assert "edition 2" in found.evidence[0].text
    assert status(stage).pinned == 2


def test_a_pin_and_its_end_take_effect_without_a_restart(stage: SearchStage) -> None:
    configure(stage, poll_s=60)
    assert status(stage).release == 3
    configure(stage, poll_s=60, release=1)
    wait_for_release(stage, 1)
    configure(stage, poll_s=60, release=None)
    wait_for_release(stage, 3)


def test_a_pin_to_a_release_that_is_not_there_is_refused_and_said(stage: SearchStage) -> None:
    configure(stage, release=9)
    assert status(stage).release == 3
    assert "no release 9" in (status(stage).refused or "")
    with pytest.raises(ConfigurationError, match="release"):
        configure(stage, release=0)


def test_a_release_of_other_encoders_is_refused(
    stage: SearchStage, catalogue: Catalogue, editions: tuple[list[Edition], dict[str, str]]
) -> None:
    """The shards say what made them; here the check is given other encoders than those."""
    configure(stage, poll_s=0.1)
    stage._fingerprints["joint"] = "another"
    catalogue.activate(1)
    until = time.monotonic() + 60
    while status(stage).refused is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "this service runs another" in (status(stage).refused or "")
    assert status(stage).release == 3
