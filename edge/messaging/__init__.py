"""A gateway's ways to the plant beside HTTP: MQTT in and out, OPC UA in (docs/adr/0012-messaging.md)."""

from edge.messaging.bridge import MqttBridge, MqttStatus
from edge.messaging.settings import MachineSettings, MqttSettings, OpcUaSettings, TagSettings

__all__ = ["MachineSettings", "MqttBridge", "MqttSettings", "MqttStatus", "OpcUaSettings", "TagSettings"]
