"""A lasting MQTT 5 connection on the event loop: comes back by itself, acknowledges when told, confirms what it sent.

Built on paho's interface for external loops, since answering without duplicates needs what paho has and wrappers hide:
acknowledgements by hand, reason codes of the broker, and messages that outlive a connection under their packet id.
Acknowledgements leave in the order in which messages came ([MQTT-4.6.0-2]), whatever order they are settled in.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.messaging.settings import MqttSettings
from edge.sync.source import Backoff
from lineside.errors import ConfigurationError, TooLarge, Unavailable

_log = structlog.get_logger(__name__)

_MISC_S: Final = 0.5
_PACKET_ID_NOT_FOUND: Final = 0x92
_MAX_INFLIGHT: Final = 10
"""Messages sent and not confirmed; no usual broker takes less, and paho cannot change it while connected."""
_HEADER_BYTES: Final = 1_024
"""Room for topic and properties in a packet beside its payload."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """At QoS 1. `retained`: whether the broker sends what it has kept under the topic."""

    topic: str
    retained: bool = False


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


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """None for a broker without TLS.

    Raises:
        ConfigurationError: a certificate or key cannot be read.
    """
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate is not None and settings.key is not None:
            context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (OSError, ValueError) as error:
        names = ", ".join(str(p) for p in (settings.ca, settings.certificate, settings.key) if p is not None)
        raise ConfigurationError(f"mqtt: the certificates cannot be used ({names}): {error}") from error
    return context


def _no_password() -> str:
    raise ValueError("the private key is encrypted; give one that is not, readable by the gateway alone")


class Connection:
    """One session with the broker. `start` and `stop` on the event loop; every callback is called there as well.

    `on_message` gets each message, which stays unacknowledged until `settle`; `on_session(present)` is called at each
    connect, and tells whether the broker still knew the session. `will` gives what the broker publishes
    `offline_after_s` after the connection was lost; it is asked before each connect. `begins_anew`: the broker forgets
    what a former process has left of the session, at the first connect alone.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        subscriptions: tuple[Subscription, ...],
        *,
        receive_maximum: int,
        max_payload_bytes: int,
        begins_anew: bool = False,
        on_message: Callable[[Delivery], None],
        on_session: Callable[[bool], None] = lambda present: None,
        will: Callable[[], Outgoing] | None = None,
    ) -> None:
        self._settings = settings
        self._subscriptions = subscriptions
        self._receive_maximum = receive_maximum
        self._max_payload_bytes = max_payload_bytes
        self._begins_anew = begins_anew
        self._on_message = on_message
        self._on_session = on_session
        self._will = will
        self._log = _log.bind(client_id=client_id, broker=settings.broker)
        self._client = self._make_client(client_id)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._online = asyncio.Event()
        self._lost = asyncio.Event()
        self._link = 0
        self._unsettled: deque[int] = deque()
        self._settled: set[int] = set()
        self._confirming: dict[int, asyncio.Future[ReasonCode]] = {}
        self._max_qos = 2
        self._max_packet_bytes = 268_435_455
        self._socket: Any = None
        self._paused = False
        self._stopping = asyncio.Event()
        self.problem = "not connected yet"
        """Why there is no connection, in words; empty while there is one."""

    @property
    def connected(self) -> bool:
        """Accepted by the broker, subscriptions too."""
        return self._online.is_set()

    def start(self) -> None:
        """Begins to connect, and returns at once: a gateway works without its broker."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="lineside-mqtt")

    async def stop(self) -> None:
        """Disconnects in an orderly way: the broker keeps the session, and publishes no will."""
        self._stopping.set()
        limit_s = self._settings.connect_timeout_s
        if self.connected:
            self._client.disconnect()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), limit_s)
        self._lose("stopped")
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, limit_s)  # cancels what still tries to connect
        self._close()

    async def publish(self, message: Outgoing) -> None:
        """Returns when the broker has confirmed it, over however many connections that takes.

        Raises:
            TooLarge: the broker takes no packet of that size.
            Unavailable: the broker refuses it; the message says why.
        """
        await self._online.wait()
        if len(message.payload) + _HEADER_BYTES > self._max_packet_bytes:
            raise TooLarge(
                f"{len(message.payload):,} bytes for {message.topic}: the broker takes {self._max_packet_bytes:,}"
            )
        info = self._client.publish(
            message.topic,
            message.payload,
            min(message.qos, self._max_qos),
            message.retain,
            _publish_properties(message),
        )
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise Unavailable("all 65 535 packet ids are in use; the broker confirms nothing")
        if min(message.qos, self._max_qos) == 0:
            return
        confirmed = asyncio.get_running_loop().create_future()
        self._confirming[info.mid] = confirmed
        try:
            reason = await confirmed
        finally:
            self._confirming.pop(info.mid, None)
        # Packet id not found: the broker had released the message before, and its confirmation was lost.
        if reason.is_failure and reason.value != _PACKET_ID_NOT_FOUND:
            raise Unavailable(f"the broker refuses to publish to {message.topic}: {reason}")

    def settle(self, delivery: Delivery) -> None:
        """Acknowledges a message as soon as those that came before it are settled too.

        What came over a connection that is gone is not acknowledged: the broker sends it again.
        """
        if delivery.qos == 0 or delivery.link != self._link or self._lost.is_set():
            return
        self._settled.add(delivery.mid)
        while self._unsettled and self._unsettled[0] in self._settled:
            mid = self._unsettled.popleft()
            self._settled.discard(mid)
            self._client.ack(mid, 1)

    def pause(self) -> None:
        """Stops reading, so that the broker's sending stalls; for longer than keep-alive, it costs the connection."""
        if not self._paused and self._socket is not None and self._loop is not None:
            self._loop.remove_reader(self._socket)
        self._paused = True

    def resume(self) -> None:
        if self._paused and self._socket is not None and self._loop is not None:
            self._loop.add_reader(self._socket, self._read, self._socket)
            self._loop.call_soon(self._read, self._socket)  # what TLS has decrypted already wakes no selector
        self._paused = False

    def ask_again(self) -> None:
        """Gives the connection up, so that the broker sends again what is unsettled."""
        self._lose("given up, so that the broker sends again what could not be taken in")

    async def _run(self) -> None:
        backoff = Backoff(self._settings.reconnect_s, self._settings.reconnect_max_s)
        while not self._stopping.is_set():
            started = time.monotonic()
            self._lost.clear()
            try:
                will = None if self._will is None else self._will()
                await asyncio.to_thread(self._connect, will)
            except (OSError, ValueError) as error:
                self._lose(f"cannot connect: {error}")
            misc = asyncio.create_task(self._keep_alive())
            await self._lost.wait()
            misc.cancel()
            self._close()
            # Short connections count as failures: two clients of one name would throw each other out for ever.
            failed = time.monotonic() - started < self._settings.keepalive_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff.wait(failed))

    async def _keep_alive(self) -> None:
        """paho's pings and time-outs; it tells of none of them where a connection ends before it began."""
        while True:
            await asyncio.sleep(_MISC_S)
            if self._client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._lose("the broker does not answer")

    def _connect(self, last: Outgoing | None) -> None:
        """Blocking: name, TCP, TLS, and the CONNECT packet; what comes of it is told by `_connected`."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = self._receive_maximum
        # Twice the limit, so that what is a little too large is told so; the broker throws larger packets away.
        properties.MaximumPacketSize = 2 * self._max_payload_bytes + 65_536
        if last is not None:
            delayed = _publish_properties(last, PacketTypes.WILLMESSAGE)
            delayed.WillDelayInterval = settings.offline_after_s
            self._client.will_set(last.topic, last.payload, last.qos, last.retain, delayed)
        self._client.connect(
            settings.host,
            settings.port,
            settings.keepalive_s,
            clean_start=self._begins_anew and not self._link,
            properties=properties,
        )

    def _make_client(self, client_id: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5, reconnect_on_failure=False, manual_ack=True
        )
        client.max_inflight_messages_set(_MAX_INFLIGHT)
        client.connect_timeout = self._settings.connect_timeout_s
        context = tls_context(self._settings)
        if context is not None:
            client.tls_set_context(context)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._received
        client.on_publish = self._published
        client.on_socket_open = self._socket_opened
        client.on_socket_close = self._socket_closed
        client.on_socket_register_write = self._wants_to_write
        client.on_socket_unregister_write = self._wrote_all
        return client

    # paho calls these while `_read`, `_write` or `_keep_alive` run, or from the thread of `_connect`.

    def _socket_opened(self, client: Client, userdata: Any, opened: Any) -> None:
        # Or a packet of a handshake waits for the other side's delayed acknowledgement of the one before: 40 ms.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_loop(self._open, opened)

    def _open(self, opened: Any) -> None:
        self._socket = opened
        if self._loop is not None and not self._paused:
            self._loop.add_reader(opened, self._read, opened)

    def _socket_closed(self, client: Client, userdata: Any, closed: Any) -> None:
        descriptor = closed.fileno()
        if descriptor >= 0 and self._loop is not None and closed is self._socket:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
            self._socket = None

    def _wants_to_write(self, client: Client, userdata: Any, opened: Any) -> None:
        self._on_loop(self._add_writer, opened)

    def _add_writer(self, opened: Any) -> None:
        if self._loop is not None and opened.fileno() >= 0:
            self._loop.add_writer(opened, self._write)

    def _wrote_all(self, client: Client, userdata: Any, opened: Any) -> None:
        if self._loop is not None and opened.fileno() >= 0:
            self._loop.remove_writer(opened)

    def _on_loop(self, call: Callable[[Any], None], argument: Any) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(call, argument)

    def _read(self, opened: Any) -> None:
        more = opened is self._socket and not self._lost.is_set()
        while more:
            with self._errors_end_the_connection():
                self._client.loop_read()
            # TLS may hold decrypted bytes that no selector tells of.
            more = (
                opened is self._socket
                and not self._lost.is_set()
                and not self._paused
                and isinstance(opened, ssl.SSLSocket)
                and bool(opened.pending())
            )

    def _write(self) -> None:
        with self._errors_end_the_connection():
            self._client.loop_write()

    @contextlib.contextmanager
    def _errors_end_the_connection(self) -> Iterator[None]:
        """paho raises whatever a malformed packet makes its parser raise; the event loop would only log it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - paho promises nothing
            self._log.exception("mqtt failed")
            self._lose(f"cannot read what the broker sent: {error!r}")

    def _connected(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._lose(f"the broker refuses the connection: {reason}")
            return
        self._link += 1
        self._unsettled.clear()
        self._settled.clear()
        self._max_qos = getattr(properties, "MaximumQoS", 2)
        self._max_packet_bytes = getattr(properties, "MaximumPacketSize", 268_435_455)
        self._log.info("mqtt connected", session_present=flags.session_present)
        self._on_session(flags.session_present)
        if self._subscriptions:
            client.subscribe([(s.topic, _subscribe_options(s)) for s in self._subscriptions])
        else:
            self._usable()

    def _subscribed(
        self, client: Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        self._usable()
        for wanted, reason in zip(self._subscriptions, reasons, strict=False):
            if reason.is_failure:
                self.problem = f"the broker refuses the subscription to {wanted.topic}: {reason}"
                self._log.error("mqtt subscription refused", topic=wanted.topic, reason=str(reason))

    def _usable(self) -> None:
        self.problem = ""
        self._online.set()

    def _disconnected(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._lose("stopped" if self._stopping.is_set() else f"connection lost: {reason}")

    def _lose(self, problem: str) -> None:
        if self._lost.is_set():
            return
        self.problem = problem
        self._online.clear()
        self._lost.set()
        if not self._stopping.is_set():
            self._log.warning("mqtt not connected", reason=problem)

    def _close(self) -> None:
        """Closes the socket that a given up connection left open."""
        left = self._client.socket()
        if left is None:
            return
        self._socket_closed(self._client, None, left)
        left.close()

    def _received(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        properties = message.properties
        if message.qos:
            self._unsettled.append(message.mid)
        self._on_message(
            Delivery(
                topic=message.topic,
                payload=message.payload,
                qos=message.qos,
                dup=message.dup,
                mid=message.mid if message.qos else 0,
                link=self._link,
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
                properties=dict(getattr(properties, "UserProperty", ())),
            )
        )

    def _published(
        self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        waiting = self._confirming.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(reason)


def _publish_properties(message: Outgoing, packet: int = PacketTypes.PUBLISH) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    properties.ContentType = message.content_type
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    if message.properties:
        properties.UserProperty = list(message.properties.items())
    return properties


def _subscribe_options(subscription: Subscription) -> SubscribeOptions:
    retain = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if subscription.retained else SubscribeOptions.RETAIN_DO_NOT_SEND
    return SubscribeOptions(qos=1, retainHandling=retain)
