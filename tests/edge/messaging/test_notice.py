"""From `lineside publish --notify` to a gateway that looks at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import BadParameter

from edge.messaging import MqttBridge, MqttSettings
from edge.messaging.notice import announce
from edge.sync import SyncLoop
from edge.trust.command import _broker, _tell
from lineside.errors import Unavailable
from tests.edge.messaging.broker import Authority, Broker
from tests.edge.messaging.gateway import SlowAnswers, Window, report
from tests.edge.plant import Plant

pytestmark = pytest.mark.integration


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "broker", Authority(tmp_path))
    yield broker
    broker.stop()


def settings(broker: Broker, folder: Path, name: str) -> MqttSettings:
    certificate, key = broker.authority.issue(name)
    return MqttSettings(
        broker=broker.url, ca=broker.authority.path, certificate=certificate, key=key, release_spread_s=0
    )


async def test_a_told_release_is_fetched_at_once(broker: Broker, plant: Plant, tmp_path: Path) -> None:
    gateway = plant.gateway(settings={"poll_s": 3_600, "backoff_max_s": 3_600})
    changed = threading.Event()
    loop = SyncLoop(gateway, on_change=changed.set)
    loop.start()
    assert await asyncio.to_thread(changed.wait, 20)
    changed.clear()
    plant.change("drive", "Its colour is blue.")
    published = plant.publish()
    bridge = MqttBridge(
        settings(broker, tmp_path, "cell-1"), "cell-1", SlowAnswers(), Window().frame, loop.look_now, lambda: report(),
        tmp_path / "state",
    )  # fmt: skip
    await bridge.start()
    await asyncio.to_thread(announce, settings(broker, tmp_path, "publisher"), published.publication)
    assert await asyncio.to_thread(changed.wait, 20)
    current = gateway.state().current
    assert current is not None
    assert current.publication == published.publication
    await bridge.stop()
    await asyncio.to_thread(loop.stop, 20)


def test_a_broker_that_is_not_there_is_a_warning_after_publishing(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.messaging.notice._WAIT_S", 0.2)
    told = settings(broker, tmp_path, "publisher")
    _tell(told, 3)
    assert "told mqtts://" in capsys.readouterr().out
    broker.stop()
    _tell(told, 4)
    assert "find it at their next look" in capsys.readouterr().err
    with pytest.raises(Unavailable, match="cannot connect"):
        announce(told, 4)


def test_a_broker_that_cannot_be_one_is_told_before_publishing() -> None:
    with pytest.raises(BadParameter, match="mqtts://"):
        _broker("broker.plant", None, None, None, "lineside")
