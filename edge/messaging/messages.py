"""What goes over a connection to a broker: messages out and in, and subscriptions to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions


@dataclass(frozen=True, slots=True)
class Subscription:
    """At QoS 1. `retained`: whether the broker sends what it has kept under the topic."""

    topic: str
    retained: bool = False

    def options(self) -> SubscribeOptions:
        """As paho takes them."""
        handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if self.retained else SubscribeOptions.RETAIN_DO_NOT_SEND
        return SubscribeOptions(qos=1, retainHandling=handling)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something to publish. `properties` are MQTT 5 user properties."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str = "application/json"
    correlation: bytes | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    def mqtt_properties(self, packet: int = PacketTypes.PUBLISH) -> Properties:
        """As paho takes them, for a packet that publishes this or for a will."""
        properties = Properties(packet)  # type: ignore[no-untyped-call]
        properties.ContentType = self.content_type
        if self.correlation is not None:
            properties.CorrelationData = self.correlation
        if self.properties:
            properties.UserProperty = list(self.properties.items())
        return properties


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that came in. `link` numbers the connection that it came over; `mid` is its packet id, 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int
    dup: bool
    mid: int
    link: int
    response_topic: str | None
    correlation: bytes | None
    properties: Mapping[str, str]

    @classmethod
    def of(cls, message: MQTTMessage, link: int) -> Delivery:
        """A message as paho gives it."""
        properties = message.properties
        return cls(
            topic=message.topic,
            payload=message.payload,
            qos=message.qos,
            dup=message.dup,
            mid=message.mid if message.qos else 0,
            link=link,
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
            properties=dict(getattr(properties, "UserProperty", ())),
        )
