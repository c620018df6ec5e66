"""Knowledge without models, real HTTP servers over it, and links that are dead in different ways."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import uvicorn

from edge.routing import KnowledgeState
from lineside.answering.pipeline import Answerer
from lineside.answering.stages import QuestionVectors, Stages
from lineside.documents import Document, Page
from lineside.errors import NotFound
from lineside.schema import Evidence
from lineside.search.contract import ScoredSentence, SearchQuery, SearchResult, Signals, Vector
from lineside.shards.images import StoredImage
from tests.webapi.fake_service import png
from webapi import HttpSettings, create_api
from webapi.service import Answers, Elsewhere, Readiness, Status

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AGE_S = 90.0


async def _at_once() -> None:
    return None


@dataclass
class Knowledge:
    """Answers from one sentence a family, by the real pipeline; knows nothing where `knows` is False."""

    families: dict[str, str]
    release: int = 3
    knows: bool = True
    words: tuple[str, ...] = ()  # what its language model says; it has none when empty
    before_search: Callable[[], Awaitable[object]] = _at_once
    before_word: Callable[[int], Awaitable[object]] = lambda n: _at_once()
    queries: list[SearchQuery] = field(default_factory=list)
    answers: Answers | None = None  # in the place of its own pipeline: a router over it

    def __post_init__(self) -> None:
        generate = self._generate if self.words else None
        self.pipeline = Answerer(Stages(self._encode_text, self._encode_image, self._search, generate))

    @property
    def answerer(self) -> Answers:
        return self.answers or self.pipeline

    def state(self) -> KnowledgeState:
        return KnowledgeState(self.release, frozenset(self.families), NOW - timedelta(seconds=AGE_S))

    async def _encode_text(self, question: str) -> QuestionVectors:
        return QuestionVectors(np.ones(4, np.float32) / 2, None)

    async def _encode_image(self, image: bytes) -> Vector:
        return np.ones(4, np.float32) / 2

    async def _generate(self, messages: Any, sampling: Any, request_id: str, deadline_ms: float) -> Any:
        for number, word in enumerate(self.words):
            await self.before_word(number)
            yield word

    async def _search(self, query: SearchQuery) -> SearchResult:
        self.queries.append(query)
        await self.before_search()
        if query.family is not None and query.family not in self.families:
            raise NotFound(f"no family {query.family!r} in release {self.release}")
        searched = [query.family] if query.family else list(self.families)
        evidence = tuple(
            Evidence(
                n=n,
                id=f"{family}.p1",
                kind="passage",
                family=family,
                score=1.0,
                text=self.families[family],
                document_id=f"{family}.md",
                title=f"{family} manual",
                url=f"/v1/documents/{family}.md/pages/1?start=0&end=9&version=0123456789ab",
                image_url=f"/v1/images/{family}.f1",
            )
            for n, family in enumerate(searched, 1)
        )
        sentences = tuple(ScoredSentence(e.n, 0, len(e.text), 0.9, 0.9, 0.9) for e in evidence)
        signals = Signals(0.9, 1.0, (), (), 1.0 if self.knows else 0.0)
        return SearchResult(self.release, evidence, sentences, (), signals, {})

    async def document(self, document_id: str, version: str | None = None) -> Document:
        family = document_id.removesuffix(".md")
        if family not in self.families:
            raise NotFound(f"no document {document_id} in release {self.release}")
        text = self.families[family]
        return Document(
            id=document_id,
            title=f"{family} <manual>",
            version="0123456789ab",
            family=family,
            source=f"{family}.md",
            text=text,
            pages=(Page(number=1, start=0, end=len(text)),),
        )

    async def image(self, image_id: str) -> StoredImage:
        if image_id.removesuffix(".f1") not in self.families:
            raise NotFound(f"no image {image_id} in release {self.release}")
        return StoredImage(data=png(), media_type="image/png")

    async def status(self) -> Status:
        return Status(release=self.release, rows=1, mean_batch=1.0, generating=0)

    async def readiness(self) -> Readiness:
        return Readiness(ready=True, stages={}, release=self.release)


def served(
    knowledge: Knowledge, *, elsewhere: Elsewhere | None = None, **uvicorn_options: Any
) -> AbstractContextManager[str]:
    """The real routes over it, on a port of this machine; gives the base URL."""
    return serving(create_api(knowledge, HttpSettings(), elsewhere=elsewhere), **uvicorn_options)


@contextmanager
def serving(app: Any, *, port: int = 0, **uvicorn_options: Any) -> Iterator[str]:
    """An ASGI application in a thread with a loop of its own; gives the base URL."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, lifespan="off", **uvicorn_options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    scheme = "https" if "ssl_certfile" in uvicorn_options else "http"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def black_hole() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def closed_port() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def for_ever() -> None:
    """Never comes back."""
    await asyncio.Event().wait()
