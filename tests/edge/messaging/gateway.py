"""What the bridge needs of a gateway, in a few lines: answers that can be held back, frames that are remembered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from edge.fleet.reports import GatewayReport
from lineside.answering.deadline import Deadline
from lineside.errors import LinesideError
from lineside.schema import Answer, AnswerRequest, RetrieveRequest


class SlowAnswers:
    """Answers with the question itself. Questions that begin with "wait" are answered after `go.set()`."""

    def __init__(self) -> None:
        self.asked: list[AnswerRequest] = []
        self.images: list[bytes | None] = []
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    def deadline(self, request: RetrieveRequest) -> Deadline:
        return Deadline.in_ms(request.deadline_ms or 2_000)

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        self.asked.append(request)
        self.images.append(image)
        if self.failure is not None:
            raise self.failure
        if request.question.startswith("wait"):
            await self.go.wait()
        return Answer(
            request_id=request_id,
            release=7,
            mode="extractive",
            status="complete",
            text=request.question,
            evidence=(),
            stages_ms={},
            deadline_ms=int(deadline.budget_ms),
            elapsed_ms=1.0,
        )


class Window:
    """Remembers frames; raises what is in `failures` first. Without `go`, frames wait: `waiting` of them."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, datetime, bytes, tuple[str, ...]]] = []
        self.failures: list[LinesideError] = []
        self.go = asyncio.Event()
        self.go.set()
        self.came = asyncio.Condition()
        self.waiting = 0

    async def frame(self, camera: str, time: datetime, image: bytes, labels: tuple[str, ...]) -> None:
        self.waiting += 1
        await self.go.wait()
        self.waiting -= 1
        if self.failures:
            raise self.failures.pop(0)
        async with self.came:
            self.frames.append((camera, time, image, labels))
            self.came.notify_all()

    async def count(self, wanted: int) -> None:
        async with self.came:
            await asyncio.wait_for(self.came.wait_for(lambda: len(self.frames) >= wanted), 20)


def report(**changes: object) -> GatewayReport:
    base = GatewayReport(gateway="cell-1", at=datetime.now(UTC), release=7, state="serving", version="1.0")
    return base.model_copy(update=changes)
