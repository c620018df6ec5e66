"""A micro-batcher: whenever its worker is free it takes everything that is pending.

No waiting window: at concurrency 1 it adds nothing, and under load batches grow by themselves to what arrived while
the previous batch ran.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from lineside.errors import Overloaded, Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class BatchStatistics:
    """Counts since the start: items, batches, and the largest batch."""

    items: int = 0
    batches: int = 0
    largest: int = 0


class MicroBatcher(Generic[Item, Result]):
    """Runs `work` over batches of items on `workers` threads of its own; one caller awaits one item.

    `work` gets 1 to `max_batch` items and returns as many results, in order; an exception instance among the results
    is raised to its own caller alone. An exception raised by `work` reaches every caller of that batch. An item whose
    caller has gone before its batch started is left out.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result | BaseException]],
        *,
        max_batch: int = 32,
        max_pending: int = 4096,
        workers: int = 1,
        name: str = "batch",
    ) -> None:
        self.max_batch = max_batch
        self.max_pending = max_pending
        self.statistics = BatchStatistics()
        self._work = work
        self._pending: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=name)
        self._free = workers
        self._closed = False

    @property
    def waiting(self) -> int:
        """Items that wait for a batch of their own; readable from any thread."""
        return len(self._pending)

    async def submit(self, item: Item) -> Result:
        """The result for one item.

        Raises:
            Overloaded: `max_pending` items wait already.
            Unavailable: the batcher was closed before this item's batch began.
        """
        if self._closed:
            raise _closed()
        if len(self._pending) >= self.max_pending:
            raise Overloaded(f"{self.max_pending} items wait already; try again shortly")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._pending.append((item, future))
        if self._free:
            self._start(loop)
        return await future

    def close(self) -> None:
        """Lets running batches finish, refuses what waits, and ends the threads."""
        self._closed = True
        self._executor.shutdown(wait=False)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        if self._closed:
            self._refuse_pending()
        while self._pending and len(batch) < self.max_batch:
            item, future = self._pending.popleft()
            if not future.done():
                batch.append((item, future))
        if batch:
            self._free -= 1
            self.statistics.items += len(batch)
            self.statistics.batches += 1
            self.statistics.largest = max(self.statistics.largest, len(batch))
            running = loop.run_in_executor(self._executor, self._work, [item for item, _ in batch])
            running.add_done_callback(lambda done: self._finish(loop, batch, done))

    def _refuse_pending(self) -> None:
        while self._pending:
            _, future = self._pending.popleft()
            if not future.done():
                future.set_exception(_closed())

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[Item, asyncio.Future[Result]]],
        done: asyncio.Future[Sequence[Result | BaseException]],
    ) -> None:
        self._free += 1
        self._start(loop)  # the next batch first: the worker must not wait for this one's callers
        error = done.exception()
        results: Sequence[Result | BaseException] = [error] * len(batch) if error else done.result()
        if len(results) != len(batch):
            results = [RuntimeError(f"{len(results)} results for {len(batch)} items")] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


def _closed() -> Unavailable:
    return Unavailable("this stage has been shut down")
