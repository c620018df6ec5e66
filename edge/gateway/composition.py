"""What a gateway consists of, put together from its settings: a list of parts that are started and stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from edge.gateway.knowledge import Knowledge, KnowledgeAnswers
from edge.gateway.service import GatewayService
from edge.gateway.serving import Serving
from edge.gateway.settings import GatewaySettings
from edge.pieces import GatewayIdentity
from edge.sync import OpenRelease, Source, Synchroniser, SyncLoop

_STOP_S = 10.0


class Part(Protocol):
    """Something of a gateway that runs beside the HTTP server."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Within seconds."""
        ...


class Gateway:
    """One gateway, without its HTTP server. Its parts belong to one event loop.

    Raises:
        ConfigurationError: the settings cannot work.
    """

    def __init__(self, settings: GatewaySettings, identity: GatewayIdentity, *, source: Source | None = None) -> None:
        self.settings = settings
        self.knowledge = Knowledge(self._open)
        self.synchroniser = Synchroniser(settings, identity, source=source, accept=self.knowledge.accept)
        self.following = Following(self.knowledge, self.synchroniser)
        self.service = GatewayService(
            self.knowledge,
            KnowledgeAnswers(self.knowledge, settings.answering),
            self.synchroniser,
            lambda: self.following.loop.last,
        )
        self.parts: Sequence[Part] = (self.following,)
        self._started: list[Part] = []

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

    def _open(self, release: OpenRelease, before: Serving | None) -> Serving:
        return Serving(release, self.settings, before)


class Following:
    """Serves what is held, then follows the store: both in threads, so that the gateway answers meanwhile."""

    def __init__(self, knowledge: Knowledge, synchroniser: Synchroniser) -> None:
        self._knowledge, self._synchroniser = knowledge, synchroniser
        self.loop = SyncLoop(synchroniser, on_change=self._adopt)
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._opening = asyncio.create_task(self._open_then_follow())

    async def stop(self) -> None:
        if self._opening is not None:
            await self._opening
            await asyncio.to_thread(self.loop.stop, _STOP_S)

    async def _open_then_follow(self) -> None:
        await asyncio.to_thread(self._open_held)
        self.loop.start()

    def _open_held(self) -> None:
        if self._synchroniser.state().current is not None:
            self._adopt()

    def _adopt(self) -> None:
        current = self._synchroniser.state().current
        publication = None if current is None else current.publication
        self._knowledge.adopt(publication, self._synchroniser.open_release)
