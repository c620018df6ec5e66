"""Everybody who can be asked from here: the cluster, and the gateways that hold a family."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import structlog

from edge.routing.breaker import State
from edge.routing.remote import Kind, Remote
from edge.routing.settings import RoutingSettings, check_url
from lineside.errors import ConfigurationError

Peers = Callable[[str], Sequence[str]]

_PEERS_KEPT = 64  # their breakers and origins of citations; the routing table of a plant names fewer for one gateway

# Servers close idle connections after 5 s and more: one that is closing must not pass for a dead link.
_KEEPALIVE_S = 3.0

_log = structlog.get_logger("lineside.routing")


def no_peers(family: str) -> Sequence[str]:
    """A gateway that stands alone."""
    return ()


class Cloud:
    """The cluster and the peers, over one pool of connections. Belongs to one event loop."""

    def __init__(
        self,
        settings: RoutingSettings,
        gateway: str,
        *,
        peers: Peers = no_peers,
        on_change: Callable[[Remote, State], None] = lambda remote, state: None,
    ) -> None:
        """`peers` gives the base URLs of other gateways that hold a family, best first (from the routing table).

        Raises:
            ConfigurationError: certificates or the authorization cannot be read.
        """
        self.settings = settings
        self._gateway = gateway
        self._peers = peers
        self._on_change = on_change
        self._http = httpx.AsyncClient(
            verify=tls_context(settings),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(
                settings.timeout_ms / 1000,
                connect=settings.connect_timeout_ms / 1000,
                pool=settings.connect_timeout_ms / 1000,
                # Between two words of a stream a generator may think; the deadline of the request bounds it.
                read=None,
            ),
            limits=httpx.Limits(max_connections=settings.max_connections, keepalive_expiry=_KEEPALIVE_S),
            headers={"user-agent": f"lineside-gateway/{gateway}"},
        )
        headers = {} if settings.authorization is None else {"authorization": _secret(settings.authorization)}
        self.cluster = tuple(self._remote(url, "cluster", headers) for url in settings.cluster)
        self._known_peers: OrderedDict[str, Remote] = OrderedDict()

    async def start(self) -> None:
        """Looks whether the cluster is there, so that the first questions need not find out."""
        await asyncio.gather(*(remote.probe() for remote in self.cluster))

    async def close(self) -> None:
        """Ends probes and connections."""
        await asyncio.gather(*(remote.close() for remote in self.links))
        await self._http.aclose()

    def holders(self, family: str | None) -> tuple[Remote, ...]:
        """Other gateways that hold the family; none for questions about every family."""
        if family is None or self.settings.max_peers == 0:
            return ()
        urls = list(self._peers(family))[: self.settings.max_peers]
        return tuple(peer for url in urls if (peer := self._peer(url)) is not None)

    @property
    def links(self) -> tuple[Remote, ...]:
        """The cluster, and every peer that was asked lately."""
        return (*self.cluster, *self._known_peers.values())

    @property
    def reachable(self) -> bool:
        """Whether the cluster may be asked now, as far as is known."""
        return any(remote.reachable for remote in self.cluster)

    def _peer(self, url: str) -> Remote | None:
        """None where the routing table gives an address that must not be asked."""
        known = self._known_peers.get(url)
        if known is None:
            try:
                known = self._remote(check_url(url), "peer", {})
            except ValueError as error:
                _log.error("peer cannot be asked", reason=str(error))
                return None
            self._known_peers[url] = known
            if len(self._known_peers) > _PEERS_KEPT:
                self._known_peers.popitem(last=False)[1].forget()
        self._known_peers.move_to_end(url)
        return known

    def _remote(self, url: str, kind: Kind, headers: dict[str, str]) -> Remote:
        return Remote(
            url,
            kind,
            self._http,
            self.settings,
            gateway=self._gateway,
            headers=headers,
            on_change=self._on_change,
        )


def tls_context(settings: RoutingSettings) -> ssl.SSLContext:
    """Checks the other side by `ca`, and shows this gateway's certificate where it has one.

    Raises:
        ConfigurationError: a file cannot be read, or is no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"routing.ca: {settings.ca} cannot be read: {error}") from error
    if settings.certificate is not None:
        try:
            context.load_cert_chain(settings.certificate, settings.certificate_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"routing.certificate: {settings.certificate} cannot be used: {error}") from error
    return context


def _secret(reference: str) -> str:
    kind, _, where = reference.partition(":")
    if kind == "env":
        value = os.environ.get(where, "")
    else:
        try:
            value = Path(where).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"routing.authorization: {where} cannot be read: {error}") from error
    if not value.strip():
        raise ConfigurationError(f"routing.authorization: {reference} is empty; put the Authorization header there")
    if any(ord(c) < 32 or ord(c) > 126 for c in value.strip()):
        raise ConfigurationError(f"routing.authorization: {reference} holds characters that no header may have")
    return value.strip()
