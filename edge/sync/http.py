"""Objects over HTTPS, as a bucket's web front or any file server gives them, from servers that may be hostile."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

import httpcore

from edge.sync.settings import SyncSettings
from lineside.errors import ConfigurationError, NotFound, StoreUnavailable, TooLarge

_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


class HttpSource:
    """GET of one object after another, over one connection.

    Plain HTTP is taken from this machine only: signatures would hold on any link, but not the privacy of what is asked.
    Redirects are not followed, passwords not sent, proxies not asked. A reply ends after `read_timeout_s` of silence,
    when it comes slower than `min_bytes_per_s` on the whole (its head too), and when it has more bytes than may be.
    """

    def __init__(self, settings: SyncSettings) -> None:
        parts = urlsplit(settings.store)
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigurationError(f"{settings.store}: give https://; plain HTTP is for this machine only")
        if parts.query or parts.fragment or parts.username:
            raise ConfigurationError("a store's URL has a host and a path, nothing else")
        try:
            # Megabytes of certificates, which plain HTTP does not need.
            context = ssl.create_default_context(cafile=settings.ca) if parts.scheme == "https" else None
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"ca: {settings.ca} cannot be read: {error}") from error
        self.url = settings.store.rstrip("/")
        self._limit = settings.max_index_bytes
        self._timeouts = {
            "connect": settings.connect_timeout_s,
            "read": settings.read_timeout_s,
            "write": settings.read_timeout_s,
            "pool": settings.connect_timeout_s,
        }
        slack = settings.connect_timeout_s + settings.read_timeout_s
        self._pace = _Pace(slack, settings.min_bytes_per_s)
        self._pool = httpcore.ConnectionPool(context, max_connections=1, network_backend=_PacedBackend(self._pace))

    def get(self, key: str, max_bytes: int | None = None) -> tuple[bytes, str]:
        """As `Source.get`; `max_bytes` None means `max_index_bytes`."""
        limit = self._limit if max_bytes is None else max_bytes
        # Compressed transfer would let a small reply become a large one before the limit is looked at.
        headers: dict[bytes | str, bytes | str] = {"accept-encoding": "identity", "user-agent": "lineside-gateway"}
        self._pace.begin()
        try:
            with self._pool.stream(
                "GET", f"{self.url}/{quote(key)}", headers=headers, extensions={"timeout": self._timeouts}
            ) as reply:
                if reply.status in (403, 404):
                    raise NotFound(f"no {key} at {self.url}")
                if reply.status != 200:
                    raise StoreUnavailable(f"{self.url} answered {reply.status} for {key}")
                data = bytearray()
                for chunk in reply.iter_stream():
                    data += chunk
                    if len(data) > limit:
                        raise TooLarge(f"{key} at {self.url} has more than {limit} bytes")
                etag = dict(reply.headers).get(b"etag", b"")
                return bytes(data), etag.decode("latin-1")
        except _FAILURES as error:
            raise StoreUnavailable(f"{self.url} cannot give {key}: {error or type(error).__name__}") from error


class _Pace:
    """How long the present reply may still take: `slack_s`, and the time in which its bytes come at the lowest rate."""

    def __init__(self, slack_s: float, min_bytes_per_s: float) -> None:
        self._slack_s = slack_s
        self._min_bytes_per_s = min_bytes_per_s
        self.begin()

    def begin(self) -> None:
        self._started = time.monotonic()
        self._received = 0

    def received(self, data: bytes) -> bytes:
        self._received += len(data)
        return data

    def left(self, timeout: float | None) -> float:
        """Seconds that the next step may take. Raises httpcore.ReadTimeout when there are none."""
        until = self._started + self._slack_s + self._received / self._min_bytes_per_s
        left = until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"given up below {self._min_bytes_per_s:g} bytes/s")
        return left if timeout is None else min(timeout, left)


class _PacedStream(httpcore.NetworkStream):
    """A stream that keeps to the pace; a time-out of httpcore alone begins anew with every byte."""

    def __init__(self, stream: httpcore.NetworkStream, pace: _Pace) -> None:
        self._stream = stream
        self._pace = pace

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._pace.received(self._stream.read(max_bytes, self._pace.left(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._pace.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _PacedStream(self._stream.start_tls(ssl_context, server_hostname, self._pace.left(timeout)), self._pace)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _PacedBackend(httpcore.NetworkBackend):
    def __init__(self, pace: _Pace) -> None:
        self._inner = httpcore.SyncBackend()
        self._pace = pace

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, self._pace.left(timeout), local_address, socket_options)
        return _PacedStream(stream, self._pace)
