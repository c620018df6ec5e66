"""Releases are swapped between requests, and freed with the last request that uses them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edge.gateway.knowledge import Knowledge, KnowledgeAnswers
from edge.gateway.shared import Shared
from edge.sync import OpenRelease
from lineside.answering.settings import AnsweringSettings
from lineside.errors import ConfigurationError, NotReady
from lineside.schema import AnswerRequest, RetrieveRequest


class FakeServing:
    """A release of which only its numbers and its end are looked at."""

    def __init__(self, release: OpenRelease) -> None:
        self.publication, self.release, self.index = release.publication, release.release, ()
        self.is_closed = False
        self.answerer: Any = SimpleNamespace()

    def close(self) -> None:
        self.is_closed = True


class Plant:
    """Knowledge over fake releases; `refuse` names releases that cannot be opened."""

    def __init__(self) -> None:
        self.opened: list[FakeServing] = []
        self.refuse: set[int] = set()
        self.knowledge = Knowledge(self._open, lambda serving: None)

    def _open(self, release: OpenRelease, before: object) -> Any:
        if release.release in self.refuse:
            raise ConfigurationError("another encoder")
        self.opened.append(FakeServing(release))
        return self.opened[-1]

    def serve(self, number: int) -> FakeServing:
        self.knowledge.accept(release(number))
        self.knowledge.adopt(number, nothing_else)
        return self.opened[-1]


def release(number: int) -> OpenRelease:
    return OpenRelease(number, number, (), {})


def nothing_else() -> OpenRelease:
    raise AssertionError("the accepted release was there to be taken")


def test_request_keeps_its_release_while_another_is_swapped_in() -> None:
    plant = Plant()
    first = plant.serve(1)
    with plant.knowledge.serving() as used:
        second = plant.serve(2)
        assert (used.release, plant.knowledge.now) == (1, second)
        assert not first.is_closed
    assert first.is_closed
    assert not second.is_closed


def test_release_that_nobody_uses_is_freed_at_once() -> None:
    plant = Plant()
    first = plant.serve(1)
    plant.serve(2)
    assert first.is_closed


def test_release_that_was_accepted_but_did_not_become_current_is_let_go() -> None:
    plant = Plant()
    plant.serve(1)
    plant.knowledge.accept(release(2))
    given_up = plant.opened[-1]
    plant.knowledge.adopt(1, lambda: release(1))
    assert given_up.is_closed
    assert plant.knowledge.now is not None
    assert plant.knowledge.now.release == 1


def test_release_that_cannot_be_opened_leaves_the_one_before_serving_and_says_why() -> None:
    plant = Plant()
    first = plant.serve(1)
    plant.refuse.add(2)
    with pytest.raises(ConfigurationError):
        plant.knowledge.accept(release(2))
    plant.knowledge.adopt(2, lambda: release(2))
    assert plant.knowledge.now is first
    assert "another encoder" in plant.knowledge.problem
    plant.serve(3)
    assert plant.knowledge.problem == ""


def test_without_a_release_everything_says_when_to_try_again() -> None:
    with pytest.raises(NotReady, match="no release has arrived yet") as refused, Plant().knowledge.serving():
        pass
    assert refused.value.retry_after_s > 0


def test_closed_knowledge_frees_what_it_served_and_what_waited() -> None:
    plant = Plant()
    plant.serve(1)
    plant.knowledge.accept(release(2))
    plant.knowledge.close()
    assert [serving.is_closed for serving in plant.opened] == [True, True]


async def test_stream_that_is_not_read_to_its_end_lets_its_release_go() -> None:
    plant = Plant()
    first = plant.serve(1)

    async def endless(*args: object, **options: object) -> Any:
        while True:
            yield "event"

    first.answerer = SimpleNamespace(stream=endless)
    answers = KnowledgeAnswers(plant.knowledge, AnsweringSettings())
    asked = AnswerRequest(question="How hot?")
    stream = answers.stream(asked, None, request_id="r", deadline=answers.deadline(asked))
    await anext(stream)
    plant.serve(2)
    assert not first.is_closed
    await stream.aclose()
    assert first.is_closed


def test_deadline_is_set_whether_there_is_a_release_or_not() -> None:
    answers = KnowledgeAnswers(Plant().knowledge, AnsweringSettings(max_deadline_ms=10_000))
    assert answers.deadline(RetrieveRequest(question="How hot?", deadline_ms=60_000)).budget_ms == 10_000


def test_shared_thing_is_closed_by_its_last_holder_and_cannot_be_held_again() -> None:
    shared = Shared(FakeServing(release(1)))
    shared.hold()
    shared.let_go()
    assert not shared.value.is_closed
    shared.let_go()
    assert shared.value.is_closed
    with pytest.raises(RuntimeError):
        shared.hold()
