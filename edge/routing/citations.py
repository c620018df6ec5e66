"""Cited pages and images that are not here: opened for the client where the evidence came from, kept for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from edge.routing.cloud import Cloud
from edge.routing.remote import Remote
from edge.routing.settings import RoutingSettings
from lineside.errors import NotFound, RequestError, Unavailable
from lineside.schema import Evidence
from webapi.service import CitedElsewhere

_ORIGINS_KEPT = 8_192
_MEDIA_TYPES = ("application/json", "text/html", "image/png", "image/jpeg", "image/webp")


class Origins:
    """Who evidence came from, by the ids that its URLs name; the latest are kept."""

    def __init__(self, kept: int = _ORIGINS_KEPT) -> None:
        self._kept = kept
        self._remotes: OrderedDict[str, Remote] = OrderedDict()

    def remember(self, remote: Remote, evidence: Iterable[Evidence]) -> None:
        for item in evidence:
            for name in (item.id, item.document_id):
                if name is not None:
                    self._remotes[name] = remote
                    self._remotes.move_to_end(name)
        while len(self._remotes) > self._kept:
            self._remotes.popitem(last=False)

    def of(self, name: str) -> Remote | None:
        return self._remotes.get(name)


class CitationsElsewhere:
    """What `create_api` asks when a cited document or image is not in the knowledge here."""

    def __init__(
        self,
        cloud: Cloud,
        origins: Origins,
        settings: RoutingSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cloud = cloud
        self._origins = origins
        self._settings = settings
        self._clock = clock
        self._cache: OrderedDict[tuple[str, str], tuple[float, CitedElsewhere]] = OrderedDict()
        self._cached_bytes = 0

    async def fetch(self, name: str, path: str, accept: str) -> CitedElsewhere:
        """What `path` (with its query) shows, from whom evidence `name` came or else from the cluster.

        Raises:
            NotFound: it is nowhere, or those who may have it cannot be asked; the message says which.
        """
        key = (path, accept)
        if (kept := self._lookup(key)) is not None:
            return kept
        origin = self._origins.of(name)
        asked = [remote for remote in (origin,) if remote is not None]
        asked += [remote for remote in self._cloud.cluster if remote is not origin]
        reasons = []
        for remote in asked:
            try:
                data, kind = await remote.get(path, accept=accept, timeout_ms=self._settings.timeout_ms / len(asked))
            except (RequestError, Unavailable) as error:
                reasons.append(str(error))
                continue
            if not kind.startswith(_MEDIA_TYPES):
                reasons.append(f"{remote} sent {kind[:60] or 'something'} that is no page or image")
                continue
            found = CitedElsewhere(data, kind)
            self._keep(key, found)
            return found
        raise NotFound(f"{name} is not held here; {'; '.join(reasons) or 'there is nobody else to ask'}")

    def _lookup(self, key: tuple[str, str]) -> CitedElsewhere | None:
        kept = self._cache.get(key)
        if kept is None:
            return None
        if kept[0] < self._clock():
            self._drop(key)
            return None
        self._cache.move_to_end(key)
        return kept[1]

    def _keep(self, key: tuple[str, str], found: CitedElsewhere) -> None:
        if len(found.data) > self._settings.citations_cache_bytes:
            return
        if key in self._cache:
            self._drop(key)
        self._cache[key] = (self._clock() + self._settings.citations_cache_s, found)
        self._cached_bytes += len(found.data)
        while self._cached_bytes > self._settings.citations_cache_bytes:
            self._drop(next(iter(self._cache)))

    def _drop(self, key: tuple[str, str]) -> None:
        self._cached_bytes -= len(self._cache.pop(key)[1].data)
