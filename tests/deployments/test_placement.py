"""Every stage in a deployment of its own: the same answers, and each is replaced when it dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lineside.client import Client
from tests.deployments.conftest import Application, every_stage_apart, running
from tests.deployments.test_application import QUESTION, frame

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def spread(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with running(models_dir, tmp_path_factory.mktemp("spread"), every_stage_apart) as started:
        yield started


def test_the_same_answer_comes_from_separate_deployments(spread: Application) -> None:
    with Client(spread.url) as client:
        assert "95 °C" in client.answer(QUESTION, mode="extract").text
        pictured = client.answer(QUESTION, image=frame(), mode="extract")
        assert "95 °C" in pictured.text
        assert pictured.labels[0].label == "thermal-bearing-hot"
        assert client.retrieve(QUESTION).evidence


@pytest.mark.parametrize("deployment", ["Retriever", "TextEncoder"])
def test_a_killed_stage_is_replaced(spread: Application, deployment: str) -> None:
    spread.replica(deployment).kill()
    time.sleep(1)
    spread.wait_ready(120)
    with Client(spread.url) as client:
        assert "95 °C" in client.answer(QUESTION, image=frame(), mode="extract").text
