"""TLS with certificates of clients: who is let in, and whom the gateway talks to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.messaging import MqttBridge, MqttSettings
from lineside.errors import ConfigurationError
from tests.edge.messaging.broker import Authority, Broker
from tests.edge.messaging.gateway import SlowAnswers, Window, report

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("plant"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, plant: Authority) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"), plant)
    yield broker
    broker.stop()


def bridge(broker: Broker, folder: Path, ca: Authority, signer: Authority | None) -> MqttBridge:
    certificate, key = (None, None) if signer is None else signer.issue("cell-1")
    settings = MqttSettings(broker=broker.url, ca=ca.path, certificate=certificate, key=key, reconnect_s=0.05)
    return MqttBridge(settings, "cell-1", SlowAnswers(), Window().frame, lambda: None, lambda: report(), folder)


async def problem(made: MqttBridge, *, wanted: bool) -> str:
    """What the bridge says once it is connected, or was refused."""
    await made.start()
    try:
        async with asyncio.timeout(20):
            while made.status().connected != wanted or "not connected yet" in made.status().problem:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return made.status().problem
    finally:
        await made.stop()


async def test_a_gateway_with_the_plants_certificate_is_let_in(
    broker: Broker, plant: Authority, tmp_path: Path
) -> None:
    assert await problem(bridge(broker, tmp_path, plant, plant), wanted=True) == ""


async def test_a_gateway_with_another_certificate_is_refused(
    broker: Broker, plant: Authority, stranger: Authority, tmp_path: Path
) -> None:
    assert "connect" in await problem(bridge(broker, tmp_path, plant, stranger), wanted=False)


async def test_a_gateway_without_a_certificate_is_refused(broker: Broker, plant: Authority, tmp_path: Path) -> None:
    assert "connect" in await problem(bridge(broker, tmp_path, plant, None), wanted=False)


async def test_a_broker_with_another_certificate_is_not_talked_to(
    broker: Broker, plant: Authority, stranger: Authority, tmp_path: Path
) -> None:
    said = await problem(bridge(broker, tmp_path, stranger, plant), wanted=False)
    assert "certificate verify failed" in said


async def test_an_unreadable_certificate_is_told_before_anything_starts(
    broker: Broker, plant: Authority, tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").touch()
    settings = MqttSettings(broker=broker.url, ca=tmp_path / "empty.pem")
    with pytest.raises(ConfigurationError, match=r"empty\.pem"):
        MqttBridge(settings, "cell-1", SlowAnswers(), Window().frame, lambda: None, lambda: report(), tmp_path)
