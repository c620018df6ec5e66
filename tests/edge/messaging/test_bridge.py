"""Questions and answers, frames, notices and reports over a real broker."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.messaging import MqttBridge, MqttSettings
from tests.edge.messaging.broker import Broker
from tests.edge.messaging.client import PlantClient, correlation_of, user_properties
from tests.edge.messaging.gateway import SlowAnswers, Window, report

pytestmark = pytest.mark.integration

QUESTIONS = "lineside/gateways/cell-1/questions"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture
def plant(shared_broker: Broker) -> Iterator[PlantClient]:
    client = PlantClient(shared_broker.port, "lineside/clients/#", "lineside/gateways/+/answers")
    yield client
    client.close()


class Gateway:
    """A bridge with what it serves; `notices` counts the releases it was told of."""

    def __init__(self, broker: Broker, folder: Path, **settings: Any) -> None:
        self.answers = SlowAnswers()
        self.window = Window()
        self.noticed = asyncio.Event()
        self.report = report()
        given = {"reconnect_s": 0.05, "release_spread_s": 0, "session_expiry_s": 60, "offline_after_s": 0} | settings
        self.bridge = MqttBridge(
            MqttSettings.model_validate({"broker": broker.url, "client_id": folder.name} | given),
            "cell-1",
            self.answers,
            self.window.frame,
            self.noticed.set,
            lambda: self.report,
            folder,
        )

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 - the status has no event
                await asyncio.sleep(0.01)


Running = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def running(shared_broker: Broker, tmp_path: Path) -> Running:
    @asynccontextmanager
    async def run(broker: Broker = shared_broker, **settings: Any) -> AsyncIterator[Gateway]:
        gateway = Gateway(broker, tmp_path, **settings)
        await gateway.bridge.start()
        try:
            await gateway.until(lambda: gateway.bridge.status().connected)
            yield gateway
        finally:
            gateway.answers.go.set()
            await gateway.bridge.stop()

    return run


async def replies(plant: PlantClient, *correlations: bytes) -> dict[bytes, Any]:
    wanted = set(correlations)
    found = await asyncio.to_thread(plant.wait, lambda ms: wanted <= {correlation_of(m) for m in ms})
    return {c: json.loads(m.payload) for m in found if (c := correlation_of(m)) in wanted}


async def test_a_question_is_answered_on_its_response_topic_with_its_correlation(
    running: Running, plant: PlantClient
) -> None:
    body = json.dumps({"question": "Why?", "image": base64.b64encode(PIXEL).decode()})
    async with running() as gateway:
        plant.publish(QUESTIONS, body, response="lineside/clients/panel", correlation=b"\x00\xff1")
        await replies(plant, b"\x00\xff1")
    (reply,) = plant.messages
    assert reply.topic == "lineside/clients/panel"
    assert user_properties(reply) == {"kind": "answer", "gateway": "cell-1"}
    assert json.loads(reply.payload)["text"] == "Why?"
    assert gateway.answers.images == [PIXEL]


async def test_a_release_notice_wakes_the_loop_when_it_comes_and_when_it_was_kept(
    running: Running, plant: PlantClient
) -> None:
    async with running() as gateway:
        plant.publish("lineside/release", "12", retain=True)
        await asyncio.wait_for(gateway.noticed.wait(), 20)
    async with running() as gateway:
        await asyncio.wait_for(gateway.noticed.wait(), 20)
