"""Settings that cannot work are told before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.messaging import MqttSettings, OpcUaSettings
from edge.messaging.topics import GatewayTopics
from lineside.errors import ConfigurationError, InvalidRequest

MACHINE: dict[str, Any] = {
    "name": "drive-1",
    "endpoint": "opc.tcp://plc:4840",
    "plain": True,
    "tags": [{"node": "ns=2;i=1", "name": "oil pressure"}],
}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"broker": "broker.plant"}, "mqtts://"),
        ({"broker": "mqtts://user:password@broker"}, "mqtts://"),
        ({"broker": "mqtt://broker", "ca": "ca.pem"}, "not encrypted"),
        ({"broker": "mqtts://broker", "certificate": "a.pem"}, "belong together"),
        ({"broker": "mqtts://broker", "prefix": "plant/+"}, "pattern"),
        ({"broker": "mqtts://broker", "questions": {"receive_maximum": 100}}, "keep the broker from sending alerts"),
        ({"broker": "mqtts://broker", "questions": {"remembered": 1_000}}, "twice"),
        ({"broker": "mqtts://broker", "questions": {"max_payload_bytes": 4 << 20}}, "base64"),
    ],
)
def test_mqtt_settings_that_cannot_work_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MqttSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"plain": False}, "plain: true"),
        ({"security": {"certificate": "a", "key": "b", "server_certificate": "c"}}, "plain: true"),
        ({"endpoint": "http://plc"}, "endpoint"),
        ({"tags": []}, "tags"),
        ({"tags": [{"node": "ns=2;i=1", "name": "a", "low": 2, "high": 1}]}, "low must be below high"),
        ({"tags": [{"node": "ns=2;i=1", "name": "a"}, {"node": "ns=2;i=1", "name": "b"}]}, "twice"),
    ],
)
def test_machines_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OpcUaSettings.model_validate({"machines": [MACHINE | changes]})


def test_ports_and_paths_have_their_usual_places() -> None:
    settings = MqttSettings(broker="mqtts://broker", ca=Path("ca.pem"), key=Path("/k.pem"), certificate=Path("c.pem"))
    assert (settings.host, settings.port) == ("broker", 8_883)
    inside = settings.in_folder(Path("/etc/lineside"))
    assert (inside.ca, inside.key) == (Path("/etc/lineside/ca.pem"), Path("/k.pem"))
    secured = MACHINE | {"plain": False, "security": {"certificate": "a", "key": "b", "server_certificate": "/c"}}
    (machine,) = OpcUaSettings.model_validate({"machines": [secured]}).in_folder(Path("/etc/lineside")).machines
    assert machine.security is not None
    assert machine.security.certificate == Path("/etc/lineside/a")
    assert machine.security.server_certificate == Path("/c")


@pytest.mark.parametrize("text", ["a/#/b", "a#", "a/b+", "$SYS/#"])
def test_a_response_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="topic filter"):
        GatewayTopics.of("lineside", "cell-1", (text,))


@given(st.sampled_from(["release", "gateways/cell-1/questions", "gateways/cell-2/report", "gateways/x/frames/y"]))
def test_no_filter_opens_the_topics_that_gateways_use(topic: str) -> None:
    topics = GatewayTopics.of("lineside", "cell-1", ("#",))
    assert topics.reply_to("anything/else") == "anything/else"
    with pytest.raises(InvalidRequest):
        topics.reply_to(f"lineside/{topic}")


@given(st.text(max_size=30))
def test_a_topic_that_no_filter_matches_is_refused(topic: str) -> None:
    topics = GatewayTopics.of("lineside", "cell-1", ("lineside/clients/+/answers",))
    if topic:
        with pytest.raises(InvalidRequest, match="reply is sent here"):
            topics.reply_to(topic)
    assert topics.reply_to("lineside/clients/panel/answers") == "lineside/clients/panel/answers"
