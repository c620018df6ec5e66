"""What a gateway consists of, put together from its settings: a list of parts that are started and stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from fastapi import FastAPI

from edge.early_shards import EarlyShards
from edge.gateway.following import Following
from edge.gateway.frame_route import frame_router
from edge.gateway.frames import FrameIntake, FrameKept, FrameWindow
from edge.gateway.knowledge import Knowledge, KnowledgeAnswers
from edge.gateway.models import EarlyModels, Models
from edge.gateway.named import NamedAnswers
from edge.gateway.reporting import Reporting
from edge.gateway.service import GatewayService
from edge.gateway.serving import Serving
from edge.gateway.settings import GatewaySettings
from edge.gateway.telemetry import TelemetryAnswers
from edge.messaging import MqttBridge
from edge.pieces import GatewayIdentity
from edge.routing import Level, Routing
from edge.sync import OpenRelease, Source, Synchroniser
from edge.sync.memory import MemoryFiles
from edge.window import window_key
from lineside.errors import NotFound
from webapi import create_api
from webapi.service import Answers

if TYPE_CHECKING:
    from edge.messaging.opcua import OpcUaReader


class Part(Protocol):
    """Something of a gateway that runs beside the HTTP server."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Within seconds."""
        ...


class Gateway:
    """One gateway, without its HTTP server. Everything of it belongs to one event loop.

    parts: in the order of their start; each needs those before it at most.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        identity: GatewayIdentity,
        *,
        source: Source | None = None,
        shards: EarlyShards | None = None,
    ) -> None:
        """`shards`: what is being opened already. Raises ConfigurationError where the settings cannot work."""
        self.settings = settings
        self.window = None
        if settings.window is not None:
            self.window = FrameWindow(settings.state / "window", settings.window, window_key(identity.state_key))
        self.knowledge = Knowledge(self._open, self._served)
        self.frames = None if self.window is None else FrameIntake(self.knowledge, self.window)
        self.synchroniser = Synchroniser(
            settings, identity, source=source, accept=self.knowledge.accept, early=self._early_files
        )
        self._early_shards = shards
        self._early = EarlyModels(partial(Models, settings))
        self.following = Following(self.knowledge, self.synchroniser, self._early.begin)
        self.parts: list[Part] = [self.following]
        said: dict[str, Callable[[], str]] = {}

        answers: Answers = KnowledgeAnswers(self.knowledge, settings.answering)
        self.routing = None
        if settings.routing is None:
            answers = NamedAnswers(answers, settings.gateway, self.following.knowledge_state)
        else:
            self.routing = Routing(
                answers,
                settings.routing,
                self.following.knowledge_state,
                gateway=settings.gateway,
                peers=self.following.neighbours,
            )
            answers, said["routing"] = self.routing.router, self._routing_in_words
            self.parts.append(self.routing)
        reader: OpcUaReader | None = None
        if settings.opcua is not None:
            from edge.messaging.opcua import OpcUaReader  # its library is large, and few gateways need it

            reader = OpcUaReader(settings.opcua)
            answers, said["opcua"] = TelemetryAnswers(answers, reader), partial(_machines_in_words, reader)
            self.parts.append(reader)
        self.service = GatewayService(answers, self.knowledge, self.following, self.window, said)

        if settings.mqtt is not None:
            bridge = MqttBridge(
                settings.mqtt,
                settings.gateway,
                answers,
                self._frame,
                self.following.look_now,
                self.service.report,
                settings.state,
                attach=None if reader is None else reader.attach,
            )
            said["mqtt"] = lambda: "connected" if bridge.status().connected else bridge.status().problem
            self.parts.append(bridge)
        if settings.fleet is not None:
            self.parts.append(Reporting(settings.fleet, identity, self.service.report))
        self._started: list[Part] = []

    def api(self) -> FastAPI:
        """The HTTP interface: the cluster's, and `/v1/frames` where a window is configured."""
        elsewhere = None if self.routing is None else self.routing.elsewhere
        api = create_api(self.service, self.settings.http.limits, elsewhere=elsewhere)
        if self.frames is not None:
            api.include_router(frame_router(self.frames))
        return api

    async def start(self) -> None:
        """Starts every part; where one cannot, those before it are stopped again."""
        try:
            for part in self.parts:
                await part.start()
                self._started.append(part)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """In reverse order; then nothing is served any more."""
        while self._started:
            await self._started.pop().stop()
        self.knowledge.close()
        self._forget_early_shards()
        await asyncio.to_thread(self._early.close)
        if self.window is not None:
            await asyncio.to_thread(self.window.close)

    def _open(self, release: OpenRelease, before: Serving | None) -> Serving:
        wrap = None if self.window is None else self.window.wrap
        early = None if before is not None else self._early.take()
        try:
            models = early if before is None else before.models
            return Serving(release, self.settings, models, wrap_search=wrap, level=self._level)
        finally:
            if early is not None:
                early.close()

    def _level(self) -> Level:
        return Level.NORMAL if self.routing is None else self.routing.health.level

    def _routing_in_words(self) -> str:
        if self.routing is None:
            return "not configured"
        status = self.routing.status()
        links = (f"{url}: {breaker}" for url, breaker in status.links.items())
        counts = (f"{name} {count}" for name, count in sorted(status.counts.items()))
        return "; ".join((f"level {status.level}", *status.reasons, *links, *counts))

    def _early_files(self, shard: str) -> MemoryFiles | None:
        return None if self._early_shards is None else self._early_shards.take(shard)

    def _forget_early_shards(self) -> None:
        shards, self._early_shards = self._early_shards, None
        if shards is not None:
            shards.close()

    def _served(self, serving: Serving) -> None:
        self._forget_early_shards()
        if self.window is not None:
            self.window.fit(serving)

    async def _frame(self, camera: str, time: datetime, image: bytes, labels: tuple[str, ...]) -> FrameKept:
        if self.frames is None:
            raise NotFound("this gateway keeps no frames: gateway.yaml has no `window`")
        return await self.frames.frame(camera, time, image, labels)


def _machines_in_words(reader: OpcUaReader) -> str:
    machines = reader.status().items()
    return "; ".join(f"{name}: {m.problem or f'connected, {m.values} values'}" for name, m in machines)
