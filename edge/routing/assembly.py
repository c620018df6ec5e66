"""Routing as one part of a gateway: router, citations, links, health; started and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edge.routing.citations import CitationsElsewhere, Origins
from edge.routing.cloud import Cloud, Peers, no_peers
from edge.routing.health import Health, HealthProbe
from edge.routing.policy import Knowledge
from edge.routing.router import Router
from edge.routing.settings import RoutingSettings
from webapi.service import Answers


@dataclass(frozen=True, slots=True)
class RoutingStatus:
    """For operators: the level and what asks for it, each link's breaker, how often each thing happened."""

    level: str
    reasons: tuple[str, ...]
    links: dict[str, str]
    counts: dict[str, int]


class Routing:
    """`router` takes the place of the pipeline in the service; `elsewhere` goes to `create_api`."""

    def __init__(
        self,
        local: Answers,
        settings: RoutingSettings,
        knowledge: Knowledge,
        *,
        gateway: str,
        peers: Peers = no_peers,
        on_health: Callable[[Health], None] = lambda health: None,
    ) -> None:
        """Raises ConfigurationError where a certificate or the authorization cannot be read."""
        origins = Origins()
        self.health = HealthProbe(settings.health, on_change=on_health)
        self.cloud = Cloud(settings, gateway, peers=peers)
        self.elsewhere = CitationsElsewhere(self.cloud, origins, settings)
        self.router = Router(
            local, self.cloud, settings, knowledge, gateway=gateway, health=self.health, origins=origins
        )
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Looks for the cluster once, at most as long as a probe may take."""
        self._reading = asyncio.create_task(self.health.run(), name="health")
        await self.cloud.start()

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.cloud.close()

    def status(self) -> RoutingStatus:
        health = self.health.health
        return RoutingStatus(
            level=health.level.name.lower(),
            reasons=health.reasons,
            links={link.url: str(link.breaker) for link in self.cloud.links},
            counts=dict(self.router.counts),
        )
