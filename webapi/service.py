"""What the routes need from the application behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lineside.answering.pipeline import Answerer
from lineside.documents import Document
from lineside.shards.images import StoredImage


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the application can answer, and what each stage says: "ready" or what is wrong."""

    ready: bool
    stages: dict[str, str]
    release: int | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What the application is doing now, for operators.

    `refused` says why the release that is current, or pinned, is not served; `outage` why the store of releases could
    not be asked; `pinned` is the release that is served whatever is current. `generating` counts the replies in the
    language model's engine, -1 where the engine does not say.
    """

    release: int
    rows: int
    mean_batch: float
    generating: int
    refused: str | None = None
    outage: str | None = None
    pinned: int | None = None


class Service(Protocol):
    """An application: the pipeline, and the knowledge a citation can be checked in."""

    @property
    def answerer(self) -> Answerer: ...

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
