"""Serves what is held, then follows the store: both in threads, so that the gateway answers meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from edge.gateway.knowledge import Knowledge
from edge.routing import KnowledgeState
from edge.sync import Outcome, Synchroniser, SyncLoop
from edge.sync.state import State
from lineside.errors import LinesideError

_STOP_S = 5.0
log = structlog.get_logger("lineside.gateway")


class Following:
    """A part of a gateway. `state` is what the disk said after the last look: current release, backup, incidents."""

    def __init__(
        self,
        knowledge: Knowledge,
        synchroniser: Synchroniser,
        load_early: Callable[[dict[str, Path]], None] = lambda models: None,
    ) -> None:
        """`load_early` is given the models of the release that is held, before its shards are opened."""
        self._load_early = load_early
        self._knowledge, self._synchroniser = knowledge, synchroniser
        self._loop = SyncLoop(synchroniser, on_change=self._adopt, on_look=self._refresh)
        self._begun = datetime.now(UTC)
        self._opening: asyncio.Task[None] | None = None
        self._fault: str | None = None
        self.state = State(gateway=synchroniser.settings.gateway)

    @property
    def last_look(self) -> Outcome | None:
        """What the latest look at the store came to; None before the first one."""
        return self._loop.last

    @property
    def fault(self) -> str | None:
        """An error that nobody foresaw, of the latest release or look; None while there is none."""
        return self._fault or self._loop.fault

    def look_now(self) -> None:
        """Somebody has told that there is something new."""
        self._loop.look_now()

    def knowledge_state(self) -> KnowledgeState:
        """What routing decides by."""
        serving, current = self._knowledge.now, self.state.current
        current_at = self._loop.newest_at or (self._begun if current is None else current.applied)
        if serving is None:
            return KnowledgeState(0, frozenset(), current_at)
        return KnowledgeState(serving.release, frozenset(serving.index.families), current_at)

    def neighbours(self, family: str) -> tuple[str, ...]:
        """Base URLs of the other gateways that hold a family, by the fleet's signed routing table, best first."""
        try:
            table = self._synchroniser.routing()
        except LinesideError as error:
            log.error("routing table cannot be used", reason=str(error))
            return ()
        ours = self._synchroniser.settings.gateway
        return () if table is None else tuple(r.url for r in table.routes(family) if r.url and r.gateway != ours)

    async def start(self) -> None:
        """Returns at once; `Knowledge` says when there is something to answer from."""
        self._opening = asyncio.create_task(self._open_then_follow())

    async def stop(self) -> None:
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)
            await asyncio.to_thread(self._loop.stop, _STOP_S)

    async def _open_then_follow(self) -> None:
        await asyncio.to_thread(self._open_held)
        self._loop.start()

    def _open_held(self) -> None:
        if self._synchroniser.state().current is not None:
            self._load_early(self._synchroniser.models())
            self._adopt()

    def _adopt(self) -> None:
        """Whatever goes wrong here, the store is followed on: the next release may be better."""
        try:
            self._refresh()
            current = self.state.current
            self._knowledge.adopt(None if current is None else current.publication, self._synchroniser.open_release)
        except Exception as error:
            self._fault = f"{type(error).__name__}: {error}"
            log.exception("release_not_adopted")
        else:
            self._fault = None

    def _refresh(self) -> None:
        self.state = self._synchroniser.state()
