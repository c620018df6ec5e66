"""The release that is served: opened beside the one before, swapped between requests, freed with its last one."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager

import structlog

from edge.gateway.serving import Serving
from edge.gateway.shared import Shared
from edge.sync import OpenRelease
from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event
from lineside.answering.settings import AnsweringSettings
from lineside.errors import LinesideError, NotReady
from lineside.schema import Answer, AnswerRequest, Retrieval, RetrieveRequest

log = structlog.get_logger("lineside.gateway")

OpenServing = Callable[[OpenRelease, Serving | None], Serving]
# What a release that cannot be used makes this package or a library raise.
_UNUSABLE = (LinesideError, OSError, RuntimeError, ValueError, LookupError, ArithmeticError, MemoryError)
_RETRY_AFTER_S = 5.0


class Knowledge:
    """At most one release served, and one that waits for its turn.

    `accept`, `adopt` and `close` belong to one thread at a time; `serving` may be called from any.
    """

    def __init__(self, open_serving: OpenServing, on_served: Callable[[Serving], None] = lambda serving: None) -> None:
        """`on_served` is called, where `adopt` was, when another release has begun to serve."""
        self._open, self._on_served = open_serving, on_served
        self._lock = threading.Lock()
        self._served: Shared[Serving] | None = None
        self._waiting: Shared[Serving] | None = None
        self.problem = "no release has arrived yet"

    @property
    def now(self) -> Serving | None:
        """What is served, for a look at it; who uses it takes `serving`."""
        served = self._served
        return None if served is None else served.value

    @contextmanager
    def serving(self) -> Iterator[Serving]:
        """The release that is served, held while the body runs, whatever is swapped in meanwhile.

        Raises:
            NotReady: there is none.
        """
        with self._lock:
            if self._served is None:
                raise NotReady(f"this gateway has nothing to answer from: {self.problem}", _RETRY_AFTER_S)
            held = self._served.hold()
        try:
            yield held.value
        finally:
            held.let_go()

    def accept(self, release: OpenRelease) -> None:
        """Opens a release beside the one that is served; `adopt` swaps. For `Synchroniser(accept=...)`.

        Raises:
            LinesideError: it cannot be served here.
        """
        self._forget_waiting()
        self._waiting = Shared(self._open(release, self.now))

    def adopt(self, publication: int | None, open_release: Callable[[], OpenRelease]) -> None:
        """Serves the publication that is current now: the one that was accepted, or what `open_release` gives.

        Never raises for a release that cannot be used: the one before serves on, and `problem` says why.
        """
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting.value.publication != publication:
            waiting.let_go()
            waiting = None
        try:
            fresh = waiting or Shared(self._open(open_release(), self.now))
        except _UNUSABLE as error:
            self.problem = str(error) or type(error).__name__
            log.error("release_not_served", publication=publication, reason=self.problem)
            return
        self.problem = ""
        with self._lock:
            before, self._served = self._served, fresh
        log.info(
            "release_served",
            release=fresh.value.release,
            publication=fresh.value.publication,
            before=None if before is None else before.value.release,
            rows=len(fresh.value.index),
        )
        self._on_served(fresh.value)
        if before is not None:
            before.let_go()

    def close(self) -> None:
        """Lets go of everything; requests under way keep what they have."""
        self._forget_waiting()
        with self._lock:
            served, self._served = self._served, None
        self.problem = "this gateway is being stopped"
        if served is not None:
            served.let_go()

    def _forget_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.let_go()


class KnowledgeAnswers:
    """`webapi.service.Answers` from what is served: a request goes through one release, from its start to its end."""

    def __init__(self, knowledge: Knowledge, settings: AnsweringSettings) -> None:
        self._knowledge, self._settings = knowledge, settings

    def deadline(self, request: RetrieveRequest) -> Deadline:
        return self._settings.deadline(request)

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        with self._knowledge.serving() as serving:
            return await serving.answerer.answer(request, image, request_id=request_id, deadline=deadline)

    async def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        with self._knowledge.serving() as serving:
            stream = serving.answerer.stream(request, image, request_id=request_id, deadline=deadline)
            async with aclosing(stream) as events:
                async for event in events:
                    yield event

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        with self._knowledge.serving() as serving:
            return await serving.answerer.retrieve(request, image, request_id=request_id, deadline=deadline)
