"""The micro-batcher takes everything pending, keeps order and keeps every caller's fate its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.batching import MicroBatcher
from lineside.errors import InvalidRequest, Overloaded, Unavailable


class Worker:
    """Doubles numbers, remembers its batches, and can be held: a held batch waits until `release`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def hold(self) -> None:
        self.gate.clear()

    def release(self) -> None:
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> list[int | BaseException]:
        self.batches.append(list(items))
        self.began.set()
        assert self.gate.wait(10)
        return [InvalidRequest(f"no {item}") if item < 0 else 2 * item for item in items]

    async def has_begun(self) -> None:
        """Returns when a batch runs."""
        await asyncio.to_thread(self.began.wait, 10)


async def _waiting(batcher: MicroBatcher[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    """Tasks that have submitted their items."""
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def _held(worker: Worker, batcher: MicroBatcher[int, int]) -> asyncio.Task[int]:
    """One batch with the item 0 runs and is held."""
    worker.hold()
    (first,) = await _waiting(batcher, [0])
    await worker.has_begun()
    return first


async def test_a_lone_item_does_not_wait_for_company() -> None:
    worker = Worker()
    assert await MicroBatcher(worker).submit(4) == 8
    assert worker.batches == [[4]]


async def test_everything_that_waits_goes_into_the_next_batch_in_order() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker)
    first = await _held(worker, batcher)
    rest = await _waiting(batcher, range(1, 20))
    worker.release()
    assert await asyncio.gather(first, *rest) == [2 * n for n in range(20)]
    assert worker.batches == [[0], list(range(1, 20))]
    assert (batcher.statistics.items, batcher.statistics.batches, batcher.statistics.largest) == (20, 2, 19)


async def test_two_workers_run_two_batches_at_a_time() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker, workers=2)
    first = await _held(worker, batcher)
    worker.began.clear()
    (second,) = await _waiting(batcher, [1])
    rest = await _waiting(batcher, [2, 3])
    await worker.has_begun()
    assert worker.batches == [[0], [1]]
    worker.release()
    assert await asyncio.gather(first, second, *rest) == [0, 2, 4, 6]
    assert sorted(worker.batches) == [[0], [1], [2, 3]]


async def test_no_batch_is_larger_than_its_maximum() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker, max_batch=4)
    first = await _held(worker, batcher)
    rest = await _waiting(batcher, range(1, 11))
    worker.release()
    await asyncio.gather(first, *rest)
    assert worker.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_an_error_among_the_results_reaches_its_own_caller_alone() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker)
    first = await _held(worker, batcher)
    rest = await _waiting(batcher, [1, -2, 3])
    worker.release()
    one, bad, three = await asyncio.gather(*rest, return_exceptions=True)
    assert (await first, one, three) == (0, 2, 6)
    assert isinstance(bad, InvalidRequest)


async def test_an_error_of_the_work_reaches_every_caller_and_the_next_batch_runs() -> None:
    def fragile(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise MemoryError("no room")
        return list(items)

    batcher = MicroBatcher(fragile)
    failed = await asyncio.gather(batcher.submit(1), batcher.submit(13), batcher.submit(2), return_exceptions=True)
    assert failed[0] == 1  # ran alone, before the others were there
    assert [type(error) for error in failed[1:]] == [MemoryError, MemoryError]
    assert await batcher.submit(5) == 5


async def test_too_few_results_fail_the_batch_instead_of_answering_the_wrong_caller() -> None:
    with pytest.raises(RuntimeError, match="0 results for 1 items"):
        await MicroBatcher(lambda items: []).submit(1)


async def test_an_item_whose_caller_has_gone_is_not_worked_on() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker)
    first = await _held(worker, batcher)
    one, two, three = await _waiting(batcher, [1, 2, 3])
    two.cancel()
    await asyncio.sleep(0)
    worker.release()
    assert await asyncio.gather(first, one, three) == [0, 2, 6]
    assert worker.batches == [[0], [1, 3]]
    assert two.cancelled()


async def test_a_caller_that_leaves_while_its_batch_runs_disturbs_nobody() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker)
    first = await _held(worker, batcher)
    first.cancel()
    (second,) = await _waiting(batcher, [7])
    worker.release()
    assert await second == 14
    assert first.cancelled()


async def test_all_callers_gone_leaves_a_batcher_that_works() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker)
    first = await _held(worker, batcher)
    for task in (first, *await _waiting(batcher, [1, 2])):
        task.cancel()
    worker.release()
    await asyncio.sleep(0)
    assert await batcher.submit(9) == 18


async def test_more_than_may_wait_is_refused_at_once() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker, max_pending=2)
    first = await _held(worker, batcher)
    rest = await _waiting(batcher, [1, 2])
    with pytest.raises(Overloaded):
        await asyncio.wait_for(batcher.submit(3), 1)
    worker.release()
    assert await asyncio.gather(first, *rest) == [0, 2, 4]
    assert await batcher.submit(3) == 6


async def test_closing_finishes_the_running_batch_and_refuses_what_waits() -> None:
    worker = Worker()
    batcher = MicroBatcher(worker)
    first = await _held(worker, batcher)
    rest = await _waiting(batcher, [1, 2])
    batcher.close()
    worker.release()
    assert await asyncio.wait_for(first, 5) == 0
    refused = await asyncio.wait_for(asyncio.gather(*rest, return_exceptions=True), 5)
    assert [type(error) for error in refused] == [Unavailable, Unavailable]


async def test_a_closed_batcher_refuses() -> None:
    batcher = MicroBatcher(Worker())
    batcher.close()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(batcher.submit(1), 5)


@given(
    items=st.lists(st.integers(-50, 50), max_size=40),
    max_batch=st.integers(1, 8),
    leaves=st.sets(st.integers(0, 39), max_size=6),
)
def test_every_caller_gets_the_answer_to_its_own_item(items: list[int], max_batch: int, leaves: set[int]) -> None:
    async def ask() -> list[int | BaseException]:
        batcher = MicroBatcher(Worker(), max_batch=max_batch)
        tasks = await _waiting(batcher, items)
        for place in leaves & set(range(len(tasks))):
            tasks[place].cancel()
        try:
            return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        finally:
            batcher.close()

    for place, (item, result) in enumerate(zip(items, asyncio.run(ask()), strict=True)):
        if place in leaves:
            assert isinstance(result, asyncio.CancelledError)
        elif item < 0:
            assert isinstance(result, InvalidRequest)
            assert str(result) == f"no {item}"
        else:
            assert result == 2 * item
