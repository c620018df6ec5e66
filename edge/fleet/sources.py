"""Where reports come from, and how a gateway leaves one in a store.

In a store a report is signed with a key that is derived from the gateway's own (`GatewayIdentity.report_key`), so that
nobody else who writes there can speak for it; an older report of its own can be put back, which is why the controller
counts only those made after a wave was admitted and fresh. Over MQTT the broker vouches: it lets a gateway's
certificate write below the gateway's name only.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import structlog
from cryptography.exceptions import InvalidSignature
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.fleet.reports import REPORT_BYTES_MAX, GatewayReport, parse_report
from edge.fleet.settings import FleetSettings
from edge.messaging.settings import MqttSettings
from edge.pieces import GatewayIdentity
from edge.pieces.wrapping import check_report_key
from lineside.errors import ConfigurationError, DataError, IntegrityError, LinesideError, NotFound, TooLarge
from lineside.objects import ObjectStore, open_store

REPORTS: Final = "reports"
_READ_AT_ONCE = 16

_log = structlog.get_logger(__name__)


class ReportSource(Protocol):
    """The newest report of every gateway that has one."""

    def read(self) -> Mapping[str, GatewayReport]:
        """Raises StoreUnavailable where it cannot be asked."""
        ...

    def announce(self, publication: int) -> None:
        """Tells gateways, where that is possible, that there is something to look at."""
        ...

    def close(self) -> None: ...


class _Envelope(BaseModel):
    """What lies in the store: the report as it was signed (base64 of JSON), and the signature (base64)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: str = Field(max_length=2 * REPORT_BYTES_MAX)
    signature: str = Field(max_length=100)


def seal_report(report: GatewayReport, identity: GatewayIdentity) -> bytes:
    """A report as it is put into a store. Raises ConfigurationError where it is not that gateway's own."""
    if report.gateway != identity.gateway:
        raise ConfigurationError(f"gateway {identity.gateway} cannot report for {report.gateway}")
    data = report.model_dump_json().encode()
    signature = identity.sign(_signed(identity.gateway, data))
    return json.dumps(
        {"report": base64.b64encode(data).decode(), "signature": base64.b64encode(signature).decode()}
    ).encode()


def open_report(data: bytes, gateway: str, report_key: str) -> GatewayReport:
    """A report from a store.

    Raises:
        IntegrityError: that gateway has not signed it.
        DataError: it is malformed.
    """
    try:
        envelope = _Envelope.model_validate_json(data)
        content = base64.b64decode(envelope.report, validate=True)
        signature = base64.b64decode(envelope.signature, validate=True)
        check_report_key(report_key, gateway).verify(signature, _signed(gateway, content))
    except InvalidSignature:
        raise IntegrityError(f"the report of {gateway} is not signed by that gateway") from None
    except (ValidationError, ValueError, binascii.Error):
        raise DataError(f"the report of {gateway} is malformed") from None
    report = parse_report(content)
    if report.gateway != gateway:
        raise IntegrityError(f"the report of {gateway} is that of {report.gateway}")
    return report


def _signed(gateway: str, data: bytes) -> bytes:
    return b"lineside report 1\0" + gateway.encode() + b"\0" + data


def report_key_of(gateway: str) -> str:
    """Where a gateway's report lies in a store."""
    return f"{REPORTS}/{gateway}.json"


class StoreReports:
    """Reports in an object store. What is not properly signed counts as no report, and is said once."""

    def __init__(self, store: ObjectStore, report_keys: Mapping[str, str]) -> None:
        self._store = store
        self._keys = dict(report_keys)
        self._known: dict[str, tuple[str, GatewayReport | None]] = {}

    def read(self) -> Mapping[str, GatewayReport]:
        found = {info.key: info.etag for info in self._store.list(f"{REPORTS}/")}
        changed = [
            name
            for name in self._keys
            if (etag := found.get(report_key_of(name))) is not None and self._known.get(name, ("", None))[0] != etag
        ]
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            self._known |= dict(zip(changed, pool.map(self._get, changed), strict=True))
        return {name: report for name, (_, report) in self._known.items() if report is not None}

    def announce(self, publication: int) -> None:
        """A store tells nobody: gateways look by themselves."""

    def close(self) -> None:
        """Nothing is held open."""

    def _get(self, name: str) -> tuple[str, GatewayReport | None]:
        try:
            data, etag = self._store.get(report_key_of(name), 4 * REPORT_BYTES_MAX)
        except (NotFound, TooLarge) as error:
            _log.warning("report not usable", gateway=name, reason=str(error))
            return "", None
        try:
            report = open_report(data, name, self._keys[name])
        except DataError as error:
            _log.warning("report not usable", gateway=name, reason=str(error))
            return etag, None
        known = self._known.get(name, ("", None))[1]
        return etag, known if known is not None and known.at > report.at else report


class StoreReporter:
    """Leaves a gateway's reports in a store that it may write to."""

    def __init__(self, store: ObjectStore, identity: GatewayIdentity) -> None:
        self._store = store
        self._identity = identity

    def send(self, report: GatewayReport) -> None:
        """Raises StoreUnavailable where the store does not take it."""
        self._store.put(report_key_of(report.gateway), seal_report(report, self._identity))

    async def run(self, report: Callable[[], GatewayReport], every_s: float) -> None:
        """Sends until cancelled; a store that does not answer is tried again at the next time."""
        while True:
            said = report()
            try:
                await asyncio.to_thread(self.send, said)
            except LinesideError as error:
                _log.warning("report not sent", reason=str(error))
            await asyncio.sleep(every_s)


class BrokerReports:
    """Retained reports of a broker, received in a thread of paho's own."""

    def __init__(self, settings: MqttSettings, gateways: frozenset[str]) -> None:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        from edge.messaging.tls import tls_context

        self._settings = settings
        self._gateways = gateways
        self._lock = threading.Lock()
        self._reports: dict[str, GatewayReport] = {}
        self._online = threading.Event()
        self._problem = "no reply"
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        context = tls_context(settings)
        if context is not None:
            self._client.tls_set_context(context)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received
        try:
            self._client.connect(settings.host, settings.port, settings.keepalive_s)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the broker {settings.broker} cannot be reached: {error}") from error
        self._client.loop_start()
        if not self._online.wait(settings.connect_timeout_s):
            self.close()
            raise ConfigurationError(f"the broker {settings.broker} does not let reports be read: {self._problem}")

    def read(self) -> Mapping[str, GatewayReport]:
        with self._lock:
            return dict(self._reports)

    def announce(self, publication: int) -> None:
        """Retained, so that gateways hear it that are away now. Without a broker they look by themselves."""
        info = self._client.publish(f"{self._settings.prefix}/release", str(publication), qos=1, retain=True)
        try:
            info.wait_for_publish(self._settings.connect_timeout_s)
        except (RuntimeError, ValueError) as error:
            _log.warning("gateways not told", broker=self._settings.broker, reason=str(error))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._problem = str(reason)
        else:
            client.subscribe(f"{self._settings.prefix}/gateways/+/report", qos=1)

    def _subscribed(self, client: Any, userdata: Any, mid: int, reasons: Any, properties: Any) -> None:
        failed = [str(reason) for reason in reasons if reason.is_failure]
        self._problem = "; ".join(failed)
        if not failed:
            self._online.set()

    def _received(self, client: Any, userdata: Any, message: Any) -> None:
        name = message.topic.removeprefix(f"{self._settings.prefix}/gateways/").removesuffix("/report")
        if name not in self._gateways or not message.payload:
            return
        try:
            report = parse_report(message.payload)
        except DataError as error:
            _log.warning("report not usable", gateway=name, reason=str(error))
            return
        if report.gateway != name:
            _log.warning("report not usable", gateway=name, reason=f"it says that it is of {report.gateway}")
            return
        with self._lock:
            self._reports[name] = report


class _Newest:
    """Several sources as one: of two reports of a gateway the later one."""

    def __init__(self, sources: list[ReportSource]) -> None:
        self._sources = sources

    def read(self) -> Mapping[str, GatewayReport]:
        found: dict[str, GatewayReport] = {}
        for source in self._sources:
            for name, report in source.read().items():
                if name not in found or found[name].at < report.at:
                    found[name] = report
        return found

    def announce(self, publication: int) -> None:
        for source in self._sources:
            source.announce(publication)

    def close(self) -> None:
        for source in self._sources:
            source.close()


def open_reports(fleet: FleetSettings, *, required: bool = True) -> ReportSource:
    """Raises ConfigurationError where `fleet.yaml` names no source and one is required, or it cannot be used."""
    sources: list[ReportSource] = []
    if fleet.reports.store is not None:
        keys = {name: g.report_key for name, g in fleet.gateways.items() if g.report_key is not None}
        sources.append(StoreReports(open_store(fleet.reports.store), keys))
    if fleet.reports.mqtt is not None:
        sources.append(BrokerReports(fleet.reports.mqtt, frozenset(fleet.gateways)))
    if not sources and required:
        raise ConfigurationError("fleet.yaml does not say where reports come from: give reports.mqtt or reports.store")
    return _Newest(sources)
