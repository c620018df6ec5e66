"""Where a gateway reads from: the same keys over HTTPS or from an object store, bounded in bytes, time and share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol

from edge.sync.http import HttpSource
from edge.sync.settings import SyncSettings
from lineside.objects import StoreLimits, open_store


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
