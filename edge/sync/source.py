"""Where a gateway reads from: the same keys over HTTPS or from an object store, bounded in bytes, time and share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote, urlsplit

import httpx

from edge.sync.settings import SyncSettings
from lineside.errors import ConfigurationError, NotFound, StoreUnavailable, TooLarge
from lineside.objects import StoreLimits, open_store

_CHUNK = 64 << 10


class Source(Protocol):
    """Read access to the store; every `ObjectStore` has it."""

    @property
    def url(self) -> str: ...

    def get(self, key: str, max_bytes: int | None = None) -> tuple[bytes, str]:
        """An object's data and etag.

        Raises:
            NotFound: there is no such object.
            TooLarge: it has more than `max_bytes`; no more than that was read.
            StoreUnavailable: the store did not answer, or too slowly.
        """
        ...


def open_source(settings: SyncSettings) -> Source:
    """Raises ConfigurationError where the URL names no store."""
    if settings.store.startswith(("https://", "http://")):
        return HttpSource(settings)
    return open_store(
        settings.store, StoreLimits(connect_s=settings.connect_timeout_s, request_s=settings.read_timeout_s, retries=1)
    )


class HttpSource:
    """Objects over HTTPS, as a bucket's web front or any file server gives them.

    Plain HTTP is taken from this machine only: signatures would hold on any link, but not the privacy of what is asked.
    Redirects are not followed. A transfer ends after `read_timeout_s` of silence, when it is slower than
    `min_bytes_per_s` on the whole, and as soon as it has more bytes than were asked for.
    """

    def __init__(self, settings: SyncSettings, transport: httpx.BaseTransport | None = None) -> None:
        parts = urlsplit(settings.store)
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigurationError(f"{settings.store}: give https://; plain HTTP is for this machine only")
        if parts.query or parts.fragment or parts.username:
            raise ConfigurationError("a store's URL has a host and a path, nothing else")
        self.url = settings.store.rstrip("/")
        self._settings = settings
        timeout = httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, transport=transport, trust_env=False)

    def get(self, key: str, max_bytes: int | None = None) -> tuple[bytes, str]:
        limit = self._settings.max_index_bytes if max_bytes is None else max_bytes
        slack = self._settings.connect_timeout_s + self._settings.read_timeout_s
        try:
            # Compressed transfer would let a small reply become a large one before the limit is looked at.
            with self._client.stream(
                "GET", f"{self.url}/{quote(key)}", headers={"accept-encoding": "identity"}
            ) as reply:
                if reply.status_code in (403, 404):
                    raise NotFound(f"no {key} at {self.url}")
                if reply.status_code != 200:
                    raise StoreUnavailable(f"{self.url} answered {reply.status_code} for {key}")
                data = bytearray()
                started = time.monotonic()
                for chunk in reply.iter_raw(_CHUNK):
                    data += chunk
                    if len(data) > limit:
                        raise TooLarge(f"{key} at {self.url} has more than {limit} bytes")
                    seconds = time.monotonic() - started
                    if seconds > slack + len(data) / self._settings.min_bytes_per_s:
                        raise StoreUnavailable(f"{self.url} sends {key} at {len(data) / seconds:.0f} bytes/s: given up")
                return bytes(data), reply.headers.get("etag", "")
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"{self.url} cannot be reached: {error or type(error).__name__}") from error


class Throttle:
    """Keeps transfers to their share of time and to a mean rate, by waiting after each."""

    def __init__(
        self,
        link_share: float,
        max_bytes_per_s: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._share = link_share
        self._rate = max_bytes_per_s
        self._clock = clock
        self._sleep = sleep

    def transfer(self, get: Callable[[], bytes]) -> bytes:
        started = self._clock()
        data = get()
        took = self._clock() - started
        wait = took / self._share - took
        if self._rate is not None:
            wait = max(wait, len(data) / self._rate - took)
        if wait > 0:
            self._sleep(wait)
        return data


class Backoff:
    """Waits between looks at the store: the poll interval while all is well, then doubling, always jittered.

    A wait is drawn between half and all of its bound, so that gateways that failed together do not come back together.
    """

    def __init__(self, poll_s: float, max_s: float, seed: int | None = None) -> None:
        self._poll_s = poll_s
        self._max_s = max(max_s, poll_s)
        self._failures = 0
        self._random = random.Random(seed)

    def wait(self, failed: bool) -> float:
        """Seconds until the next look."""
        self._failures = self._failures + 1 if failed else 0
        bound = min(self._poll_s * 2 ** min(self._failures, 30), self._max_s)
        return bound * self._random.uniform(0.5, 1)
