"""A lasting MQTT 5 connection on the event loop: comes back by itself, acknowledges when told, confirms what it sent.

Built on paho's interface for external loops, since answering without duplicates needs what paho has and wrappers hide:
acknowledgements by hand, reason codes of the broker, and messages that outlive a connection under their packet id.
Acknowledgements leave in the order in which messages came ([MQTT-4.6.0-2]), whatever order they are settled in.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.messaging.loop_socket import LoopSocket
from edge.messaging.messages import Delivery, Outgoing, Subscription
from edge.messaging.settings import MqttSettings
from edge.messaging.tls import tls_context
from edge.sync.source import Backoff
from lineside.errors import TooLarge, Unavailable

_log = structlog.get_logger(__name__)

_MISC_S: Final = 0.5
_PACKET_ID_NOT_FOUND: Final = 0x92
_MAX_INFLIGHT: Final = 10
"""Messages sent and not confirmed; no usual broker takes less, and paho cannot change it while connected."""
_HEADER_BYTES: Final = 1_024
"""Room for topic and properties in a packet beside its payload."""


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
        self._task: asyncio.Task[None] | None = None
        self._online = asyncio.Event()
        self._lost = asyncio.Event()
        self._socket = LoopSocket(self._client, self._lost, self._failed)
        self._link = 0
        self._unsettled: deque[int] = deque()
        self._settled: set[int] = set()
        self._confirming: dict[int, asyncio.Future[ReasonCode]] = {}
        self._max_qos = 2
        self._max_packet_bytes = 268_435_455
        self._stopping = asyncio.Event()
        self.problem = "not connected yet"
        """Why there is no connection, in words; empty while there is one."""

    @property
    def connected(self) -> bool:
        """Accepted by the broker, subscriptions too."""
        return self._online.is_set()

    def start(self) -> None:
        """Begins to connect, and returns at once: a gateway works without its broker."""
        self._socket.start(asyncio.get_running_loop())
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
        self._socket.close()

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
            message.mqtt_properties(),
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
        self._socket.pause()

    def resume(self) -> None:
        self._socket.resume()

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
            self._socket.close()
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
            delayed = last.mqtt_properties(PacketTypes.WILLMESSAGE)
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
        return client

    # paho calls these while its socket is read or written, or while `_keep_alive` runs.

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
            client.subscribe([(s.topic, s.options()) for s in self._subscriptions])
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

    def _failed(self, error: Exception) -> None:
        self._log.error("mqtt failed", exc_info=error)
        self._lose(f"cannot read what the broker sent: {error!r}")

    def _lose(self, problem: str) -> None:
        if self._lost.is_set():
            return
        self.problem = problem
        self._online.clear()
        self._lost.set()
        if not self._stopping.is_set():
            self._log.warning("mqtt not connected", reason=problem)

    def _received(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        if message.qos:
            self._unsettled.append(message.mid)
        self._on_message(Delivery.of(message, self._link))

    def _published(
        self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        waiting = self._confirming.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(reason)
