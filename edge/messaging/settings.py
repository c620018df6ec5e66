"""Settings of a gateway's connections to a broker and to machines: sections `mqtt` and `opcua` of `gateway.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edge.trust.records import Name
from lineside.encoders.images import ImageLimits
from lineside.schema import Priority, ShortText

TopicPart = Annotated[str, Field(pattern=r"^[^+#\x00$/][^+#\x00]{0,199}$")]
TopicFilter = Annotated[str, Field(min_length=1, max_length=400)]

_PORTS: Final = {"mqtt": 1_883, "mqtts": 8_883}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuestionSettings(_Section):
    """Questions in: how many wait, how many are answered at once, and what is remembered of those answered."""

    max_payload_bytes: int = Field(6 << 20, ge=1_024, le=64 << 20, description="one question with its image in base64")
    image: ImageLimits = ImageLimits(max_bytes=4 << 20)
    highest_priority: Priority = Field("alert", description="questions that claim more are refused, not lowered")
    workers: int = Field(4, ge=1, le=64, description="questions answered at once")
    alert_workers: int = Field(2, ge=1, le=64, description="more of them, for alerts alone")
    interactive_waiting: int = Field(64, ge=1, le=10_000, description="over it, a question is refused as `overloaded`")
    batch_waiting: int = Field(32, ge=1, le=10_000, description="over it, the oldest is answered as `dropped`")
    max_waiting_mib: float = Field(
        64, gt=0, description="payloads that wait: over it, batch is dropped, interactive refused, alerts left unread"
    )
    receive_maximum: int = Field(
        512, ge=1, le=65_535, description="questions that the broker sends before the first of them is acknowledged"
    )
    remembered: int = Field(20_000, ge=1_000, le=1_000_000, description="answered questions, to know repetitions by")
    repeat_s: float = Field(
        3_600, gt=0, description="how long the same payload with the same correlation data is the same question"
    )

    @model_validator(mode="after")
    def _alerts_have_room(self) -> QuestionSettings:
        lower = self.interactive_waiting + self.batch_waiting + self.workers
        if self.receive_maximum <= lower:
            raise ValueError(
                f"receive_maximum must be above interactive_waiting + batch_waiting + workers = {lower}: "
                "waiting questions must not keep the broker from sending alerts"
            )
        if self.remembered < 2 * self.receive_maximum:
            raise ValueError("remembered must be at least twice receive_maximum: so many may come again")
        if self.image.max_bytes * 4 // 3 + 4_096 > self.max_payload_bytes:
            raise ValueError("max_payload_bytes must leave room for an image of image.max_bytes in base64")
        return self


class FrameSettings(_Section):
    """Frames in."""

    max_payload_bytes: int = Field(4 << 20, ge=1_024, le=64 << 20, description="one encoded image")
    waiting_per_camera: int = Field(8, ge=1, le=1_000, description="over it, the camera's oldest is dropped")
    max_cameras: int = Field(64, ge=1, le=10_000, description="cameras with frames waiting at once")
    max_waiting_mib: float = Field(64, gt=0, description="over it, the oldest of the camera with most is dropped")
    workers: int = Field(2, ge=1, le=64, description="frames taken into the window at once, of different cameras")
    attempts: int = Field(3, ge=1, le=100, description="to take a frame in before the broker is asked to send it again")
    receive_maximum: int = Field(64, ge=1, le=65_535, description="frames sent before the first is acknowledged")


class MqttSettings(_Section):
    """Section `mqtt`. Relative paths belong to the folder of `gateway.yaml` (see `in_folder`)."""

    broker: str = Field(description="mqtts://host[:8883], or mqtt://host[:1883] for a connection without TLS")
    ca: Path | None = Field(None, description="PEM: who signed the broker's certificate; the system's when absent")
    certificate: Path | None = Field(None, description="PEM: this gateway's certificate, with its chain")
    key: Path | None = Field(None, description="PEM: the certificate's private key, not encrypted")
    client_id: Name | None = Field(None, description="names the broker's session; lineside-GATEWAY when absent")
    prefix: TopicPart = Field("lineside", description="topics begin with it")
    response_topics: tuple[TopicFilter, ...] | None = Field(
        None, max_length=100, description="topic filters that response topics must match; PREFIX/clients/# when absent"
    )
    answer_qos: Literal[1, 2] = Field(2, description="towards the broker; 1 may repeat an answer after a lost link")

    session_expiry_s: int = Field(
        86_400, ge=0, lt=2**32 - 1, description="how long the broker keeps what came while this gateway was away"
    )
    keepalive_s: int = Field(30, ge=1, le=3_600, description="silence after which the connection counts as lost")
    connect_timeout_s: float = Field(5, gt=0, le=60)
    reconnect_s: float = Field(1, gt=0, description="first wait after a lost connection; doubled, and jittered")
    reconnect_max_s: float = Field(60, gt=0, description="longest wait")
    stop_s: float = Field(5, ge=0, le=60, description="how long stopping waits for answers that are being sent")

    report_s: float = Field(60, gt=0, description="the report is published at least so often")
    offline_after_s: int = Field(10, ge=0, le=3_600, description="from a lost connection to the report `offline`")
    release_spread_s: float = Field(
        2, ge=0, le=3_600, description="a told release is looked for after a random part of it, so that not all come"
    )

    questions: QuestionSettings = QuestionSettings()
    frames: FrameSettings = FrameSettings()

    @field_validator("broker")
    @classmethod
    def _is_a_broker(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
            raise ValueError("give mqtts://host[:port], or mqtt://host[:port] for a connection without TLS")
        if parts.port == 0:
            raise ValueError("the port is out of range")
        return value

    @model_validator(mode="after")
    def _certificates(self) -> MqttSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or none")
        if not self.tls and (self.ca or self.certificate):
            raise ValueError("ca, certificate and key need mqtts://: mqtt:// is not encrypted")
        return self

    @property
    def tls(self) -> bool:
        return urlsplit(self.broker).scheme == "mqtts"

    @property
    def host(self) -> str:
        return urlsplit(self.broker).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.broker)
        return parts.port or _PORTS[parts.scheme]

    def in_folder(self, folder: Path) -> MqttSettings:
        """The same with relative paths taken from `folder`."""
        paths = {name: folder / path for name in ("ca", "certificate", "key") if (path := getattr(self, name))}
        return self.model_copy(update=paths)


class TagSettings(_Section):
    """A node of a machine's OPC UA server whose value is wanted."""

    node: str = Field(min_length=3, max_length=400, description="node id: ns=2;s=Drive.Bearing.Temperature, ns=3;i=7")
    name: ShortText = Field(description="what it measures, in words that manuals use: bearing temperature")
    unit: str = Field("", max_length=20)
    low: float | None = Field(None, description="lower limit of the permitted range")
    high: float | None = Field(None, description="upper limit of the permitted range")

    @model_validator(mode="after")
    def _limits_in_order(self) -> TagSettings:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class OpcUaSecurity(_Section):
    """How a connection to a machine is signed and encrypted."""

    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "Basic256Sha256"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    certificate: Path = Field(description="this gateway's application certificate, DER or PEM")
    key: Path = Field(description="its private key, PEM, not encrypted")
    server_certificate: Path = Field(description="the machine's certificate, DER or PEM: no other is talked to")


class MachineSettings(_Section):
    """A machine: where its OPC UA server is, which tags are read, and which questions they belong to."""

    name: Name
    families: tuple[Name, ...] = Field((), max_length=100, description="equipment families that it is one of")
    cameras: tuple[Name, ...] = Field((), max_length=100, description="cameras that look at it")
    endpoint: str = Field(pattern=r"^opc\.tcp://[^\s@]+$", description="opc.tcp://host:port/path")
    security: OpcUaSecurity | None = Field(None, description="left out only where `plain: true` says so")
    plain: bool = Field(False, description="neither signed nor encrypted: for machines that offer nothing else")
    sampling_ms: float = Field(1_000, ge=50, le=3_600_000, description="how often the machine looks at a tag")
    tags: tuple[TagSettings, ...] = Field(min_length=1, max_length=32)

    @model_validator(mode="after")
    def _security_or_said_plain(self) -> MachineSettings:
        if (self.security is None) != self.plain:
            raise ValueError("give security (certificate, key, server_certificate), or plain: true where it has none")
        if len({tag.node for tag in self.tags}) < len(self.tags):
            raise ValueError("a node is named twice")
        return self


class OpcUaSettings(_Section):
    """Section `opcua`. Relative paths belong to the folder of `gateway.yaml` (see `in_folder`)."""

    machines: tuple[MachineSettings, ...] = Field(min_length=1, max_length=1_000)
    history_s: float = Field(1_800, ge=10, le=86_400, description="how far back a tag's values are kept")
    history_points: int = Field(240, ge=8, le=10_000, description="values kept of one tag")
    max_age_s: float = Field(
        30, gt=0, description="values of a machine that has not been heard of for longer are left out of questions"
    )
    request_timeout_s: float = Field(4, gt=0, le=60)
    reconnect_s: float = Field(1, gt=0, description="first wait after a lost connection; doubled, and jittered")
    reconnect_max_s: float = Field(60, gt=0, description="longest wait")

    @model_validator(mode="after")
    def _names_once(self) -> OpcUaSettings:
        if len({machine.name for machine in self.machines}) < len(self.machines):
            raise ValueError("two machines have the same name")
        return self

    def in_folder(self, folder: Path) -> OpcUaSettings:
        """The same with relative paths taken from `folder`."""
        return self.model_copy(update={"machines": tuple(_machine_in(folder, machine) for machine in self.machines)})


def _machine_in(folder: Path, machine: MachineSettings) -> MachineSettings:
    if machine.security is None:
        return machine
    paths = {name: folder / getattr(machine.security, name) for name in ("certificate", "key", "server_certificate")}
    return machine.model_copy(update={"security": machine.security.model_copy(update=paths)})
