"""Answers with telemetry: questions that bring none get that of the machine that they are about."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event
from lineside.schema import Answer, AnswerRequest, Retrieval, RetrieveRequest
from webapi.service import Answers


class Telemetry(Protocol):
    """What knows the machines' values: `OpcUaReader`."""

    def attach(
        self, request: AnswerRequest, *, machine: str | None = None, camera: str | None = None
    ) -> AnswerRequest: ...

    def attach_to_retrieval(self, request: RetrieveRequest) -> RetrieveRequest: ...


class WithTelemetry:
    """`answers` behind the same interface. Stands before routing, so that whoever answers gets the values."""

    def __init__(self, answers: Answers, telemetry: Telemetry) -> None:
        self._answers = answers
        self._telemetry = telemetry

    def deadline(self, request: RetrieveRequest) -> Deadline:
        return self._answers.deadline(request)

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        asked = self._telemetry.attach_to_retrieval(request)
        return await self._answers.retrieve(asked, image, request_id=request_id, deadline=deadline)

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        asked = self._telemetry.attach(request)
        return await self._answers.answer(asked, image, request_id=request_id, deadline=deadline)

    def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        asked = self._telemetry.attach(request)
        return self._answers.stream(asked, image, request_id=request_id, deadline=deadline)
