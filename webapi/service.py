"""What the routes need from the application behind them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event
from lineside.documents import Document
from lineside.schema import Answer, AnswerRequest, Retrieval, RetrieveRequest
from lineside.shards.images import StoredImage

# Names the gateways that passed a request on; whoever receives it does not pass it on again.
FORWARDED_BY = "X-Lineside-Forwarded-By"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the application can answer, and what each stage says: "ready" or what is wrong."""

    ready: bool
    stages: dict[str, str]
    release: int | None = None


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """What a gateway adds to its status: where its knowledge comes from, and how that went.

    `publication` is what is served; `backup` the release that would take over; `last_look` what the latest look at the
    store came to, and why; `incidents` the latest first; `parts` what the others (routing, window, mqtt) say of
    themselves.
    """

    name: str
    uptime_s: float
    families: tuple[str, ...] = ()
    publication: int | None = None
    backup: int | None = None
    last_look: str = ""
    incidents: tuple[str, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """What the application is doing now, for operators.

    `refused` says why the release that is current, or pinned, is not served; `outage` why the store of releases could
    not be asked; `pinned` is the release that is served whatever is current; `fault` is an error that nobody foresaw
    and that may keep new releases out: report it. `generating` counts the replies in the language model's engine, -1
    where the engine does not say. `release` is None where a gateway has none yet.
    """

    release: int | None
    rows: int
    mean_batch: float
    generating: int
    refused: str | None = None
    outage: str | None = None
    pinned: int | None = None
    fault: str | None = None
    gateway: GatewayStatus | None = None


class Answers(Protocol):
    """What answers questions: the pipeline (`lineside.answering.pipeline.Answerer`), or what decides who answers."""

    def deadline(self, request: RetrieveRequest) -> Deadline:
        """The request's deadline from now, within the maximum."""
        ...

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        """The whole answer; raises RequestError and Unavailable."""
        ...

    def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        """Evidence, sentences as they come, the whole answer; raises as `answer`. Closing it ends the work."""
        ...

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        """Evidence only; raises DeadlineExceeded as well."""
        ...


@dataclass(frozen=True, slots=True)
class CitedElsewhere:
    """A page (JSON or HTML) or an image as another service shows it."""

    data: bytes
    media_type: str


class Elsewhere(Protocol):
    """Opens what was cited from another service's knowledge."""

    async def fetch(self, name: str, path: str, accept: str) -> CitedElsewhere:
        """What `path`, with its query, shows; `name` is the id of the document or image. Raises NotFound."""
        ...


class Service(Protocol):
    """An application: the pipeline, and the knowledge a citation can be checked in."""

    @property
    def answerer(self) -> Answers: ...

    async def document(self, document_id: str, version: str | None = None) -> Document:
        """A document, in the version that was cited if one is given; raises NotFound."""
        ...

    async def image(self, image_id: str) -> StoredImage:
        """A figure or a frame's thumbnail; raises NotFound."""
        ...

    async def status(self) -> Status:
        """Raises Unavailable where a stage is not there."""
        ...

    async def readiness(self) -> Readiness:
        """Goes through every stage; never raises."""
        ...
