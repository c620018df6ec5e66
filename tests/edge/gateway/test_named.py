"""Every reply of a gateway that stands alone names it, and tells how old its knowledge is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from edge.gateway.named import NamedAnswers
from edge.routing import KnowledgeState
from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event, EvidenceFound, Finished
from lineside.schema import Answer, AnswerRequest, Retrieval, RetrieveRequest

RETRIEVAL = Retrieval(request_id="r", release=3, evidence=(), stages_ms={})
ANSWER = Answer(
    request_id="r", release=3, mode="extractive", status="complete", text="47 Nm", evidence=(), stages_ms={},
    deadline_ms=100, elapsed_ms=1.0,
)  # fmt: skip
ASKED = AnswerRequest(question="How hot?")


class Fixed:
    """The answers of here, always the same."""

    def deadline(self, request: RetrieveRequest) -> Deadline:
        return Deadline.in_ms(100)

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        return ANSWER

    async def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        yield EvidenceFound(RETRIEVAL)
        yield Finished(ANSWER)

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        return RETRIEVAL


@pytest.fixture
def named() -> NamedAnswers:
    state = KnowledgeState(3, frozenset({"pump"}), datetime.now(UTC) - timedelta(minutes=10))
    return NamedAnswers(Fixed(), "cell-1", lambda: state)


async def test_every_kind_of_reply_says_who_gave_it_and_how_old_the_knowledge_is(named: NamedAnswers) -> None:
    deadline = named.deadline(ASKED)
    replies: list[Answer | Retrieval] = [
        await named.answer(ASKED, None, request_id="r", deadline=deadline),
        await named.retrieve(ASKED, None, request_id="r", deadline=deadline),
    ]
    async for event in named.stream(ASKED, None, request_id="r", deadline=deadline):
        match event:
            case EvidenceFound():
                replies.append(event.retrieval)
            case Finished():
                replies.append(event.answer)
    assert [reply.served_by for reply in replies] == ["cell-1"] * 4
    assert all(reply.knowledge_age_s is not None and 600 <= reply.knowledge_age_s < 700 for reply in replies)
    assert isinstance(replies[0], Answer)
    assert replies[0].text == ANSWER.text
