"""Answers of a gateway that stands alone say who gave them and how old its knowledge is, as routed ones do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from edge.routing import KnowledgeState
from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event, EvidenceFound, Finished
from lineside.schema import Answer, AnswerRequest, Retrieval, RetrieveRequest
from webapi.service import Answers


class NamedAnswers:
    """`webapi.service.Answers` with `served_by` and `knowledge_age_s`, where no router stands before them."""

    def __init__(self, answers: Answers, gateway: str, knowledge: Callable[[], KnowledgeState]) -> None:
        self._answers, self._gateway, self._knowledge = answers, gateway, knowledge

    def deadline(self, request: RetrieveRequest) -> Deadline:
        return self._answers.deadline(request)

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        found = await self._answers.answer(request, image, request_id=request_id, deadline=deadline)
        return found.model_copy(update=self._said())

    async def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        stream = self._answers.stream(request, image, request_id=request_id, deadline=deadline)
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, EvidenceFound):
                    yield replace(event, retrieval=event.retrieval.model_copy(update=self._said()))
                elif isinstance(event, Finished):
                    yield replace(event, answer=event.answer.model_copy(update=self._said()))
                else:
                    yield event

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        found = await self._answers.retrieve(request, image, request_id=request_id, deadline=deadline)
        return found.model_copy(update=self._said())

    def _said(self) -> dict[str, Any]:
        age_s = (datetime.now(UTC) - self._knowledge().current_at).total_seconds()
        return {"served_by": self._gateway, "knowledge_age_s": round(max(0.0, age_s), 1)}
