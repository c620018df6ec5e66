"""kill -9: every question gets a reply, none a second answer, and the plant is told that the gateway is gone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from edge.fleet.reports import parse_report
from tests.edge.messaging.bridge_process import MOMENTS
from tests.edge.messaging.broker import Broker
from tests.edge.messaging.client import PlantClient, correlation_of, user_properties

pytestmark = pytest.mark.integration

ROUNDS = int(os.environ.get("LINESIDE_KILL_ROUNDS", "2"))
QUESTIONS = "lineside/gateways/cell-1/questions"
ANSWERS = "lineside/clients/panel/answers"
REPORT = "lineside/gateways/cell-1/report"


class Gateway:
    """The process, which is killed and started again."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker = broker
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, moment: str = "") -> None:
        arguments = [self._broker.url, str(self.folder), *([moment] if moment else [])]
        self.process = subprocess.Popen([sys.executable, "-m", "tests.edge.messaging.bridge_process", *arguments])

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    broker = Broker(tmp_path / "broker")
    gateway = Gateway(broker, tmp_path)
    yield gateway
    gateway.kill()
    broker.stop()


@pytest.fixture
def plant(gateway: Gateway) -> Iterator[PlantClient]:
    client = PlantClient(gateway._broker.port, ANSWERS, REPORT)
    yield client
    client.close()


def serving(messages: list[MQTTMessage]) -> bool:
    reports = [m for m in messages if m.topic == REPORT]
    return bool(reports) and parse_report(reports[-1].payload).state == "serving"


def replied(messages: list[MQTTMessage], correlation: bytes) -> bool:
    return any(correlation_of(m) == correlation for m in messages)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_question_whose_gateway_was_killed_is_answered_once(
    gateway: Gateway, plant: PlantClient, moment: str
) -> None:
    gateway.start(moment)
    plant.wait(serving)
    plant.publish(QUESTIONS, json.dumps({"question": "kill now"}), correlation=b"1", response=ANSWERS)
    assert gateway.process is not None
    gateway.process.wait(20)
    plant.publish(QUESTIONS, json.dumps({"question": "end"}), correlation=b"2", response=ANSWERS)
    gateway.start()
    plant.wait(lambda ms: replied(ms, b"2"))
    kinds = [user_properties(m).get("code", "answer") for m in plant.replies(b"1")]
    in_doubt = moment in ("sending", "confirmed")
    sent = moment in ("confirmed", "sent")
    if in_doubt:
        # Nobody can know whether the broker has the answer: its sender is told, and no second answer is made.
        assert kinds == ["answer", "interrupted"] if sent else kinds == ["interrupted"]
    else:
        assert kinds == ["answer"]
    assert gateway.asked == ["kill now"] * (2 if moment == "answering" else 1) + ["end"]


def test_the_plant_is_told_when_a_gateway_is_gone(gateway: Gateway, plant: PlantClient) -> None:
    gateway.start()
    plant.wait(serving)
    gateway.kill()
    messages = plant.wait(lambda ms: not serving(ms))
    last = parse_report([m for m in messages if m.topic == REPORT][-1].payload)
    assert (last.state, last.release) == ("offline", 7)
    assert "connection" in last.reason


def test_killed_at_random_moments_no_question_is_lost_or_answered_twice(gateway: Gateway, plant: PlantClient) -> None:
    chosen = random.Random(4)
    number = 0
    for _ in range(ROUNDS):
        gateway.start()
        count = len(plant.messages)
        plant.wait(lambda ms: serving(ms[count:]))  # noqa: B023 - called at once
        for _ in range(chosen.randint(5, 25)):
            body = json.dumps({"question": f"q{number}"})
            plant.publish(QUESTIONS, body, correlation=str(number).encode(), response=ANSWERS)
            number += 1
        time.sleep(chosen.uniform(0, 0.02))
        gateway.kill()
    plant.publish(QUESTIONS, json.dumps({"question": "end"}), correlation=b"end", response=ANSWERS)
    gateway.start()
    wanted = {b"end", *(str(n).encode() for n in range(number))}
    plant.wait(lambda ms: wanted <= {correlation_of(m) for m in ms})
    for correlation in wanted:
        kinds = [user_properties(m).get("code", "answer") for m in plant.replies(correlation)]
        assert kinds.count("answer") <= 1, (correlation, kinds)
        assert set(kinds) <= {"answer", "interrupted"}, (correlation, kinds)
