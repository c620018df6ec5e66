"""Reads machines over OPC UA: subscribes to their tags, keeps the latest values, gives them to questions as telemetry.

Needs the extra `opcua` (asyncua), which is why no other module imports this one. Each machine has a connection of its
own that comes back by itself; a machine that does not answer is nobody else's trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import DataChangeNotif
from asyncua.crypto import security_policies, uacrypto
from asyncua.ua.uaerrors import UaError
from cryptography import x509

from edge.messaging.settings import MachineSettings, OpcUaSecurity, OpcUaSettings
from edge.messaging.tags import MachineTags
from edge.sync.source import Backoff
from lineside.errors import ConfigurationError
from lineside.schema import MAX_SERIES, AnswerRequest, RetrieveRequest, TelemetrySeries

_log = structlog.get_logger(__name__)

_POLICIES: Final[dict[str, Any]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_MODES: Final = {
    "Sign": ua.MessageSecurityMode.Sign,
    "SignAndEncrypt": ua.MessageSecurityMode.SignAndEncrypt,
}


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """How one machine is. `problem` says why it is not connected; `bad` why single tags are left out, by node."""

    connected: bool
    problem: str
    bad: dict[str, str]
    values: int


class OpcUaReader:
    """Follows the machines of the settings. Of one event loop."""

    def __init__(self, settings: OpcUaSettings) -> None:
        """Raises ConfigurationError where a node id or a certificate cannot be used."""
        self._followers = [_Follower(machine, settings) for machine in settings.machines]
        self._tasks: list[asyncio.Task[None]] = []
        self._named = [(follower, _as_word(follower.machine.name)) for follower in self._followers]

    async def start(self) -> None:
        """Begins to connect, and returns at once."""
        self._tasks = [asyncio.create_task(follower.run()) for follower in self._followers]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def status(self) -> dict[str, MachineStatus]:
        """By machine."""
        return {follower.machine.name: follower.status() for follower in self._followers}

    def telemetry(
        self, *, machine: str | None = None, camera: str | None = None, family: str | None = None, question: str = ""
    ) -> tuple[TelemetrySeries, ...]:
        """The values of the machine that is meant, as far as they can be used now.

        The first of these that names one says which: `machine`, `camera`, a machine's name in the question, `family`.
        Where several machines are meant, their names stand before those of the tags.
        """
        now = datetime.now(UTC)
        meant = list(self._meant(machine, camera, family, question))
        found = (series for each in meant for series in each.tags.series(now, prefixed=len(meant) > 1))
        return tuple(found)[:MAX_SERIES]

    def attach(self, request: AnswerRequest, *, machine: str | None = None, camera: str | None = None) -> AnswerRequest:
        """The request with the telemetry of the machine that it is about; one that brings its own stays as it is."""
        return self._attached(request, machine, camera)

    def attach_to_retrieval(self, request: RetrieveRequest) -> RetrieveRequest:
        return self._attached(request, None, None)

    def _attached(self, request: Any, machine: str | None, camera: str | None) -> Any:
        if request.telemetry:
            return request
        found = self.telemetry(machine=machine, camera=camera, family=request.family, question=request.question)
        return request.model_copy(update={"telemetry": found}) if found else request

    def _meant(self, machine: str | None, camera: str | None, family: str | None, question: str) -> Iterable[_Follower]:
        followers = self._followers
        if machine is not None:
            return (f for f in followers if f.machine.name == machine)
        if camera is not None:
            return (f for f in followers if camera in f.machine.cameras)
        named = [f for f, word in self._named if word.search(question)]
        if named or family is None:
            return named
        return (f for f in followers if family in f.machine.families)


def _as_word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)


class _Follower:
    """One machine: connects, subscribes, waits until the connection is lost, and begins again."""

    def __init__(self, machine: MachineSettings, settings: OpcUaSettings) -> None:
        self.machine = machine
        self.tags = MachineTags(machine, settings)
        self._settings = settings
        self._log = _log.bind(machine=machine.name, endpoint=machine.endpoint)
        self._problem = "not connected yet"
        self._lost = asyncio.Event()
        try:
            self._nodes = {ua.NodeId.from_string(tag.node): tag.node for tag in machine.tags}
        except (UaError, ValueError) as error:
            raise ConfigurationError(f"opcua: {machine.name}: a node id cannot be read: {error}") from None
        self._application_uri = _application_uri(machine.security)

    def status(self) -> MachineStatus:
        histories = self.tags.tags
        return MachineStatus(
            connected=self.tags.connected,
            problem=self._problem,
            bad={node: history.bad for node, history in histories.items() if history.bad},
            values=sum(map(len, histories.values())),
        )

    async def run(self) -> None:
        backoff = Backoff(self._settings.reconnect_s, self._settings.reconnect_max_s)
        while True:
            connected = False
            client = Client(self.machine.endpoint, timeout=self._settings.request_timeout_s)
            client.connection_lost_callback = self._connection_lost
            self._lost.clear()
            try:
                await self._subscribe(client)
                connected = True
                self._problem = ""
                self.tags.heard()
                self._log.info("opcua connected")
                await self._lost.wait()
            except (OSError, TimeoutError, UaError, ValueError) as error:
                self._problem = f"cannot connect: {type(error).__name__} {error}".rstrip()
                self._log.warning("opcua not connected", reason=self._problem)
            except Exception as error:  # noqa: BLE001 - what a strange server makes the library raise ends no follower
                self._problem = f"cannot be understood: {error!r}"
                self._log.exception("opcua not connected")
            finally:
                self.tags.silent(datetime.now(UTC))
                with contextlib.suppress(OSError, TimeoutError, UaError):
                    await client.disconnect()
            await asyncio.sleep(backoff.wait(failed=not connected))

    async def _subscribe(self, client: Client) -> None:
        security = self.machine.security
        if security is not None:
            client.application_uri = self._application_uri
            await client.set_security(
                _POLICIES[security.policy],
                security.certificate,
                security.key,
                server_certificate=uacrypto.CertProperties(security.server_certificate),
                mode=_MODES[security.mode],
            )
        await client.connect()
        subscription = await client.create_subscription(self.machine.sampling_ms, self)
        nodes = [client.get_node(node) for node in self._nodes]
        every = ua.Double(self.machine.sampling_ms)
        results = await subscription.subscribe_data_change(nodes, sampling_interval=every)
        for node, result in zip(self._nodes, results, strict=True):
            if isinstance(result, ua.StatusCode):
                self.tags.tags[self._nodes[node]].mark_bad(f"cannot be read: {result.name}")
                self._log.error("opcua tag refused", node=self._nodes[node], reason=result.name)

    def datachange_notification(self, node: Node, value: Any, data: DataChangeNotif) -> None:
        """asyncua calls this for every value."""
        history = self.tags.tags[self._nodes[node.nodeid]]
        status = data.monitored_item.Value.StatusCode
        if status is not None and status.is_bad():
            history.mark_bad(f"bad quality: {status.name}")
        else:
            history.add(datetime.now(UTC), value)

    async def _connection_lost(self, error: Exception) -> None:
        self._problem = f"connection lost: {error}"
        self._log.warning("opcua not connected", reason=self._problem)
        self._lost.set()


def _application_uri(security: OpcUaSecurity | None) -> str:
    """What the certificate says: servers compare it with what the client says of itself."""
    if security is None:
        return "urn:lineside:gateway"
    for path in (security.key, security.server_certificate):
        if not path.is_file():
            raise ConfigurationError(f"opcua: {path} is not there")
    certificate = _load(security.certificate)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    found = [] if names is None else names.get_values_for_type(x509.UniformResourceIdentifier)
    if not found:
        raise ConfigurationError(f"opcua: {security.certificate} names no application URI (subjectAltName URI:...)")
    return found[0]


def _load(path: Path) -> x509.Certificate:
    try:
        data = path.read_bytes()
        pem = b"-----BEGIN" in data
        return x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"opcua: {path} is not a certificate that can be read: {error}") from None
