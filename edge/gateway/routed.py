"""Routing as a part of a gateway: the router over the answers from here, the cluster and how this gateway is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge.routing import CitationsElsewhere, Cloud, HealthProbe, KnowledgeState, Origins, Router, RoutingSettings
from edge.routing.cloud import Peers, no_peers
from webapi.service import Answers


class Routed:
    """`router` answers; `citations` opens what was cited from elsewhere."""

    def __init__(
        self,
        local: Answers,
        settings: RoutingSettings,
        gateway: str,
        knowledge: Callable[[], KnowledgeState],
        peers: Peers = no_peers,
    ) -> None:
        """Raises ConfigurationError where a certificate or a secret cannot be read."""
        self.health = HealthProbe(settings.health)
        self.cloud = Cloud(settings, gateway, peers=peers)
        origins = Origins()
        self.router = Router(
            local, self.cloud, settings, knowledge, gateway=gateway, health=self.health, origins=origins
        )
        self.citations = CitationsElsewhere(self.cloud, origins, settings)
        self._tasks: list[asyncio.Task[None]] = []

    def status(self) -> str:
        """In words, for operators: how this gateway is, whether the cluster may be asked, who answered how often."""
        health = self.health.health
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.router.counts.items()))
        cluster = "none" if not self.cloud.cluster else "reachable" if self.cloud.reachable else "not reachable"
        reasons = f" ({'; '.join(health.reasons)})" if health.reasons else ""
        return f"cluster {cluster}; level {health.level.name.lower()}{reasons}; {counts or 'no question yet'}"

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self.cloud.start()), asyncio.create_task(self.health.run())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.cloud.close()
