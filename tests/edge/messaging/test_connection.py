"""Acknowledgements: in the order of arrival, over the connection that a message came by, and not before their turn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client

from edge.messaging import MqttSettings
from edge.messaging.connection import Connection
from edge.messaging.messages import Delivery, Outgoing
from tests.edge.messaging.broker import Broker

ACCEPTED = SimpleNamespace(is_failure=False)
SESSION = SimpleNamespace(session_present=True)


class Link:
    """A connection that believes itself connected; `acknowledged` are the packet ids that it acknowledged."""

    def __init__(self) -> None:
        self.came: list[Delivery] = []
        self.acknowledged: list[int] = []
        self.connection = Connection(
            MqttSettings(broker="mqtt://127.0.0.1:1"), "c", (), receive_maximum=9, max_payload_bytes=9,
            on_message=self.came.append,
        )  # fmt: skip
        self.connection._client.ack = lambda mid, qos: self.acknowledged.append(mid)  # type: ignore[method-assign]
        self.connect()

    def connect(self) -> None:
        self.connection._connected(Client, None, SESSION, ACCEPTED, None)  # type: ignore[arg-type]

    def receive(self, *mids: int) -> list[Delivery]:
        for mid in mids:
            message = SimpleNamespace(topic="t", payload=b"", qos=1, dup=False, mid=mid, properties=None)
            self.connection._received(Client, None, message)  # type: ignore[arg-type]
        return self.came[-len(mids) :]


@pytest.fixture
def link() -> Iterator[Link]:
    return Link()


@given(st.permutations(range(1, 8)))
def test_acknowledgements_leave_in_the_order_of_arrival(settled: list[int]) -> None:
    link = Link()
    came = link.receive(*range(1, 8))
    for n, mid in enumerate(settled, 1):
        link.connection.settle(came[mid - 1])
        done = set(settled[:n])
        first = next((m for m in range(1, 9) if m not in done), 8)
        assert link.acknowledged == list(range(1, first))


def test_what_came_over_a_lost_connection_is_not_acknowledged(link: Link) -> None:
    (old,) = link.receive(1)
    link.connect()
    (new,) = link.receive(1)
    link.connection.settle(old)
    assert link.acknowledged == []
    link.connection.settle(new)
    assert link.acknowledged == [1]


@pytest.mark.integration
async def test_connection_sends_at_once_and_forgets_what_a_former_process_left(tmp_path: Path) -> None:
    """Nagle's algorithm would hold a packet back for 40 ms; packet ids of another process would meet new ones."""
    broker = Broker(tmp_path / "broker")
    try:
        for begins_anew, known in ((False, False), (False, True), (True, False)):
            sessions: list[bool] = []
            connection = Connection(
                MqttSettings(broker=broker.url), "c", (), receive_maximum=9, max_payload_bytes=9,
                begins_anew=begins_anew, on_message=lambda delivery: None, on_session=sessions.append,
            )  # fmt: skip
            connection.start()
            await connection.publish(Outgoing("t", b"1", qos=2))
            assert connection._socket.opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            connection._lose("cut off")
            await asyncio.wait_for(connection.publish(Outgoing("t", b"2", qos=2)), 20)
            assert sessions == [known, True]  # within one process the session goes on
            await connection.stop()
    finally:
        broker.stop()
