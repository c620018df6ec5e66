"""Answers to questions that bring no telemetry, with what the machines' OPC UA servers said last."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event
from lineside.schema import Answer, AnswerRequest, Retrieval, RetrieveRequest
from webapi.service import Answers

if TYPE_CHECKING:
    from edge.messaging.opcua import OpcUaReader


class TelemetryAnswers:
    """`webapi.service.Answers` before another: the readings go with the question, wherever it is answered."""

    def __init__(self, answers: Answers, reader: OpcUaReader) -> None:
        self._answers, self._reader = answers, reader

    def deadline(self, request: RetrieveRequest) -> Deadline:
        return self._answers.deadline(request)

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        asked = self._reader.attach(request)
        return await self._answers.answer(asked, image, request_id=request_id, deadline=deadline)

    async def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        asked = self._reader.attach(request)
        stream = self._answers.stream(asked, image, request_id=request_id, deadline=deadline)
        async with aclosing(stream) as events:
            async for event in events:
                yield event

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        asked = self._reader.attach_to_retrieval(request)
        return await self._answers.retrieve(asked, image, request_id=request_id, deadline=deadline)
