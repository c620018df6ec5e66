"""A deadline is one clock, and what is bound by it ends in time."""

from __future__ import annotations

import asyncio
import time

import pytest

from lineside.answering.deadline import Deadline
from lineside.errors import DeadlineExceeded, NotFound


async def test_work_that_is_done_in_time_gives_its_result() -> None:
    async def work() -> int:
        await asyncio.sleep(0.001)
        return 7

    assert await Deadline.in_ms(5_000).bound(work(), stage="search") == 7


@pytest.mark.parametrize(("budget_ms", "reserve_ms", "ends_ms"), [(80, 0, 80), (80, 50, 30), (80, 200, 0), (-5, 0, 0)])
async def test_work_that_hangs_is_cut_off_before_the_reserve(
    budget_ms: float, reserve_ms: float, ends_ms: float
) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=f"search was not done within the deadline of {budget_ms} ms"):
        await Deadline.in_ms(budget_ms).bound(asyncio.Event().wait(), stage="search", reserve_ms=reserve_ms)
    assert ends_ms - 2 <= (time.monotonic() - started) * 1000 < ends_ms + 2_000


async def test_work_that_is_cut_off_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    with pytest.raises(DeadlineExceeded):
        await Deadline.in_ms(10).bound(work(), stage="search")
    assert cancelled.is_set()


async def test_an_error_of_the_work_passes_through() -> None:
    async def work() -> None:
        raise NotFound("no such family")

    with pytest.raises(NotFound):
        await Deadline.in_ms(1_000).bound(work(), stage="search")


async def test_cancelling_the_request_is_not_taken_for_a_deadline() -> None:
    waiting = asyncio.create_task(Deadline.in_ms(10_000).bound(asyncio.Event().wait(), stage="search"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_what_remains_falls_as_time_passes() -> None:
    deadline = Deadline.in_ms(100)
    first = deadline.remaining_ms
    time.sleep(0.005)
    assert first <= 100
    assert deadline.remaining_ms <= first - 5
    assert deadline.elapsed_ms + deadline.remaining_ms == pytest.approx(100, abs=1)
