"""The retriever without Ray around it: `user_config` steers which release it answers from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.release_swap import Edition, build_editions, publish
from deployments.retriever import Retriever, RetrieverStatus
from deployments.settings import EncoderSettings
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
def retriever(catalogue: Catalogue, models_dir: Path, tmp_path: Path) -> Iterator[Any]:
    declared: Any = Retriever
    made = declared.func_or_class(
        catalogue.store.url,
        CacheSettings(folder=tmp_path / "cache"),
        SearchSettings(),
        EncoderSettings(model=models_dir / "minilm"),
        EncoderSettings(model=models_dir / "joint-demo"),
        True,
    )
    yield made
    made._releases.stop()


def status(retriever: Any) -> RetrieverStatus:
    found: RetrieverStatus = asyncio.run(retriever.status())
    return found


def wait_for_release(retriever: Any, release: int) -> None:
    until = time.monotonic() + 60
    while status(retriever).release != release:
        assert time.monotonic() < until, status(retriever)
        time.sleep(0.05)


def test_a_replica_that_starts_with_a_pin_never_answers_from_another_release(retriever: Any) -> None:
    retriever.reconfigure({"release": 2})
    found = asyncio.run(retriever.search(SearchQuery(text="How hot may the bearing of the pump become?")))
    assert found.release == 2
    assert "edition 2" in found.evidence[0].text
    assert status(retriever).pinned == 2


def test_a_pin_and_its_end_take_effect_without_a_restart(retriever: Any) -> None:
    retriever.reconfigure({"poll_s": 60})
    assert status(retriever).release == 3
    retriever.reconfigure({"poll_s": 60, "release": 1})
    wait_for_release(retriever, 1)
    retriever.reconfigure({"poll_s": 60, "release": None})
    wait_for_release(retriever, 3)


def test_a_pin_to_a_release_that_is_not_there_is_refused_and_said(retriever: Any) -> None:
    retriever.reconfigure({"release": 9})
    assert status(retriever).release == 3
    assert "no release 9" in (status(retriever).refused or "")
    with pytest.raises(ConfigurationError, match="release"):
        retriever.reconfigure({"release": 0})


def test_a_release_of_other_encoders_is_refused(
    retriever: Any, catalogue: Catalogue, editions: tuple[list[Edition], dict[str, str]]
) -> None:
    """The shards say what made them; here the check is given other encoders than those."""
    retriever.reconfigure({"poll_s": 0.1})
    retriever._encoder.text.fingerprint = "another"
    catalogue.activate(1)
    until = time.monotonic() + 60
    while status(retriever).refused is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "this service runs another" in (status(retriever).refused or "")
    assert status(retriever).release == 3
