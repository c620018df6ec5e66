"""Whatever happens to one release, the store is followed on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge.gateway.following import Following
from edge.gateway.knowledge import Knowledge
from edge.sync import OpenRelease
from tests.edge.plant import Plant


class Rows(tuple[()]):
    """No rows, of no family."""

    families = ()


class FakeServing:
    """A release of which only its number is looked at."""

    def __init__(self, release: OpenRelease) -> None:
        self.publication, self.release, self.index = release.publication, release.release, Rows()

    def close(self) -> None:
        pass


async def until(true: Any) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - threads have no event of this loop
            await asyncio.sleep(0.01)


async def test_error_that_nobody_foresaw_is_told_and_the_next_release_is_served(plant: Plant) -> None:
    def fragile(serving: Any) -> None:
        if serving.release == 1:
            raise TypeError("not in any list of errors")

    knowledge = Knowledge(lambda release, before: FakeServing(release), fragile)  # type: ignore[arg-type,return-value]
    synchroniser = plant.gateway(store=plant.first, settings={"poll_s": 0.05}, accept=knowledge.accept)
    following = Following(knowledge, synchroniser)
    await following.start()
    try:
        await until(lambda: following.fault)
        assert following.fault == "TypeError: not in any list of errors"
        plant.first.objects.update(plant.store.objects)
        following.look_now()
        await until(lambda: following.state.current and following.state.current.release == 2)
        await until(lambda: following.fault is None)
    finally:
        await following.stop()
    assert knowledge.now is not None
    assert knowledge.now.release == 2


async def test_stopping_before_the_release_was_opened_waits_for_it(plant: Plant) -> None:
    plant.gateway().update()
    knowledge = Knowledge(lambda release, before: FakeServing(release))  # type: ignore[arg-type,return-value]
    following = Following(knowledge, plant.gateway(accept=knowledge.accept))
    await following.start()
    await following.stop()
    assert knowledge.now is not None
    assert knowledge.now.release == 2


async def test_age_of_the_knowledge_counts_from_the_last_look_that_found_nothing_newer(plant: Plant) -> None:
    plant.gateway().update()
    knowledge = Knowledge(lambda release, before: FakeServing(release))  # type: ignore[arg-type,return-value]
    synchroniser = plant.gateway(accept=knowledge.accept, settings={"poll_s": 0.05})
    current = synchroniser.state().current
    assert current is not None
    following = Following(knowledge, synchroniser)
    before = following.knowledge_state()
    assert before.release == 0
    await following.start()
    try:
        await until(lambda: following.last_look)
    finally:
        await following.stop()
    assert following.knowledge_state().current_at > current.applied


@pytest.mark.parametrize("error", [RuntimeError("no thread"), MemoryError()])
async def test_release_of_the_disk_that_cannot_be_opened_is_no_end(plant: Plant, error: Exception) -> None:
    plant.gateway().update()

    def broken(release: OpenRelease, before: object) -> Any:
        raise error

    knowledge = Knowledge(broken)
    following = Following(knowledge, plant.gateway(settings={"poll_s": 0.05}))
    await following.start()
    try:
        await until(lambda: following.last_look)
    finally:
        await following.stop()
    assert knowledge.problem
