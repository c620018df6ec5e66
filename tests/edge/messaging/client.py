"""A client of the broker that is not ours: asks, and remembers every message that comes."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

WAIT_S = 20.0


class PlantClient:
    """Connected when made; `messages` grows in a thread of its own. Comes back by itself, to a session that lasts."""

    def __init__(self, port: int, *subscriptions: str) -> None:
        self.messages: list[MQTTMessage] = []
        self._came = threading.Condition()
        ready: queue.Queue[object] = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2, uuid.uuid4().hex, protocol=MQTTv5)
        self._client.on_message = self._received
        self._client.on_connect = lambda *_: ready.put("connected")
        self._client.on_subscribe = lambda *_: ready.put("subscribed")
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 60
        self._client.connect("127.0.0.1", port, clean_start=False, properties=session)
        self._client.loop_start()
        assert ready.get(timeout=WAIT_S) == "connected"
        for topic in subscriptions:
            self._client.subscribe(topic, qos=2)
            assert ready.get(timeout=WAIT_S) == "subscribed"

    def publish(
        self,
        topic: str,
        payload: bytes | str,
        *,
        response: str | None = None,
        correlation: bytes | None = None,
        qos: int = 1,
        retain: bool = False,
        **user: str,
    ) -> None:
        """Returns when the broker has it."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if response is not None:
            properties.ResponseTopic = response
        if correlation is not None:
            properties.CorrelationData = correlation
        if user:
            properties.UserProperty = list(user.items())
        self._client.publish(topic, payload, qos, retain, properties).wait_for_publish(WAIT_S)

    def wait(self, wanted: Callable[[list[MQTTMessage]], bool], timeout_s: float = WAIT_S) -> list[MQTTMessage]:
        """The messages, as soon as they are what is wanted."""
        with self._came:
            assert self._came.wait_for(lambda: wanted(self.messages), timeout_s), [
                (m.topic, m.payload[:200]) for m in self.messages
            ]
            return list(self.messages)

    def replies(self, correlation: bytes) -> list[MQTTMessage]:
        with self._came:
            return [m for m in self.messages if correlation_of(m) == correlation]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _received(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        with self._came:
            self.messages.append(message)
            self._came.notify_all()


def correlation_of(message: MQTTMessage) -> bytes | None:
    return getattr(message.properties, "CorrelationData", None)


def user_properties(message: MQTTMessage) -> dict[str, str]:
    return dict(getattr(message.properties, "UserProperty", ()))
