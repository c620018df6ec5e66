"""A gateway that holds pumps, and a cluster that holds furnaces as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from edge.routing import Cloud, HealthProbe, Origins, Router, RoutingSettings
from lineside.schema import Answer, AnswerRequest, Retrieval

from .plant import NOW, Knowledge, served

PUMP = "The pump stops at 70 degrees."
FURNACE = "The furnace stops at 900 degrees."


@dataclass
class Gateway:
    """A router and what it stands on."""

    router: Router
    cloud: Cloud
    knowledge: Knowledge
    origins: Origins
    back: asyncio.Event  # set when a link has been found well again

    async def ask(self, question: str = "When does the pump stop?", **fields: Any) -> Answer:
        request = AnswerRequest(question=question, **fields)
        return await self.router.answer(request, None, request_id="r1", deadline=self.router.deadline(request))

    async def find(self, question: str = "When does the pump stop?", **fields: Any) -> Retrieval:
        request = AnswerRequest(question=question, **fields)
        return await self.router.retrieve(request, None, request_id="r1", deadline=self.router.deadline(request))

    async def events(self, question: str = "When does the pump stop?", **fields: Any) -> list[Any]:
        request = AnswerRequest(question=question, **fields)
        deadline = self.router.deadline(request)
        return [event async for event in self.router.stream(request, None, request_id="r1", deadline=deadline)]


Build = Callable[..., Gateway]


@pytest.fixture
async def gateway() -> AsyncIterator[Build]:
    """`gateway(*cluster, peers=..., health=..., knowledge=..., **settings)` builds one; it is closed at the end."""
    async with AsyncExitStack() as stack:

        def build(
            *cluster: str,
            peers: Callable[[str], Sequence[str]] = lambda family: (),
            health: HealthProbe | None = None,
            knowledge: Knowledge | None = None,
            name: str = "cell-1",
            **settings: Any,
        ) -> Gateway:
            knowledge = knowledge or Knowledge({"pump": PUMP})
            wanted = RoutingSettings(cluster=cluster, **settings)
            back = asyncio.Event()
            cloud = Cloud(
                wanted, name, peers=peers, on_change=lambda _, state: back.set() if state == "closed" else None
            )
            origins = Origins()
            stack.push_async_callback(cloud.close)
            router = Router(
                knowledge.pipeline,
                cloud,
                wanted,
                knowledge.state,
                gateway=name,
                health=health,
                origins=origins,
                now=lambda: NOW,
            )
            return Gateway(router, cloud, knowledge, origins, back)

        yield build


@pytest.fixture
def cluster_knowledge() -> Knowledge:
    return Knowledge({"pump": PUMP, "furnace": FURNACE}, release=8)


@pytest.fixture
def cluster(cluster_knowledge: Knowledge) -> Iterator[str]:
    with served(cluster_knowledge) as url:
        yield url
