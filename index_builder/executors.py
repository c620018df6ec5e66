"""Runs the stages' tasks in this process: for small sources, tests and machines without Ray."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

from pydantic import BaseModel

from index_builder.encode import Encoders
from index_builder.settings import JobSettings
from index_builder.tasks import Stage
from index_builder.workers import BuildWorker, EmbedWorker, ParseWorker, Worker


class Executor(Protocol):
    """Where tasks run. Outcomes come as they are ready, in any order; the first failure ends the iteration."""

    def run(self, stage: Stage, tasks: Sequence[BaseModel]) -> Iterator[BaseModel]: ...

    def close(self) -> None: ...


class LocalExecutor:
    """Files are parsed by a process each, `parsers` at a time; encoding and building take turns in this one."""

    def __init__(
        self,
        settings: JobSettings,
        *,
        parsers: int | None = None,
        isolated: bool = True,
        encoders: Encoders | None = None,
    ) -> None:
        """`isolated=False` parses in this process: no time or memory limit holds, and a broken parser ends it."""
        self._settings = settings
        self._isolated = isolated
        self._parsers = (parsers or os.cpu_count() or 1) if isolated else 1
        self._encoders = encoders or Encoders(settings)

    def run(self, stage: Stage, tasks: Sequence[BaseModel]) -> Iterator[BaseModel]:
        if stage == "parse":
            yield from self._parse(tasks)
            return
        worker: Worker = (
            EmbedWorker(self._settings, self._encoders) if stage == "embed" else BuildWorker(self._settings)
        )
        for task in tasks:
            yield worker(task)

    def _parse(self, tasks: Sequence[BaseModel]) -> Iterator[BaseModel]:
        count = min(self._parsers, len(tasks))
        idle: queue.SimpleQueue[ParseWorker] = queue.SimpleQueue()
        workers = [ParseWorker(self._settings, isolated=self._isolated) for _ in range(count)]
        for worker in workers:
            idle.put(worker)

        def work(task: BaseModel) -> BaseModel:
            worker = idle.get()
            try:
                return worker(task)  # type: ignore[arg-type]
            finally:
                idle.put(worker)

        pool = ThreadPoolExecutor(max(1, count))
        try:
            for done in as_completed([pool.submit(work, task) for task in tasks]):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.close()
            pool.shutdown(wait=True)

    def close(self) -> None:
        return
