"""Runs the stages' tasks on a Ray cluster as Ray Data pipelines over pools of actors."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from pydantic import BaseModel

from index_builder.settings import JobSettings
from index_builder.tasks import Stage
from index_builder.workers import OUTCOMES, TASKS, Worker, make_worker
from lineside.errors import LinesideError, Unavailable

_LEAST_CPUS = 0.1
_POLL_S = 1.0
_SETTLE_S = 15.0


@dataclass(frozen=True, slots=True)
class Share:
    """Actors of a stage and what each asks for."""

    actors: int
    cpus: float
    gpus: float


class RayExecutor:
    """Needs a connection (`ray.init`). Never asks for more CPUs than are free, for Ray would wait in silence."""

    def __init__(self, settings: JobSettings, say: Callable[[str], None], *, wait_s: float = 3_600.0) -> None:
        """`say` is told why the job waits; after `wait_s` without a free CPU it gives up."""
        self._settings = settings
        self._say = say
        self._wait_s = wait_s
        self._free = 0.0
        _quiet()

    def run(self, stage: Stage, tasks: Sequence[BaseModel]) -> Iterator[BaseModel]:
        if not tasks:
            return
        share = self._share(stage, len(tasks))
        rows = [{"task": task.model_dump_json()} for task in tasks]
        # A block a task: whichever actor is free takes the next one.
        data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _StageActor,
            fn_constructor_args=(stage, self._settings.model_dump_json()),
            num_cpus=share.cpus,
            num_gpus=share.gpus or None,
            # One task at a time: what waits in an actor's queue cannot go to a free one.
            compute=ray.data.ActorPoolStrategy(size=share.actors, max_tasks_in_flight_per_actor=1),
        )
        for row in data.iter_rows():
            if row["error"]:
                raise _error(row["error"], row["outcome"])
            yield OUTCOMES[stage].model_validate_json(row["outcome"])

    def close(self) -> None:
        return

    def _share(self, stage: Stage, tasks: int) -> Share:
        """As many actors as free CPUs have room for; one with what is left where that is less than a CPU."""
        model = self._settings.joint if stage == "embed" and self._settings.joint else self._settings.text
        threads = max(model.runtime.threads, self._settings.text.runtime.threads) if stage == "embed" else 1
        device = self._settings.text.runtime.device
        gpus = 1.0 if stage == "embed" and device.startswith("cuda") else 0.0
        free = self._wait_for_cpus(gpus)
        if free < threads:
            return Share(1, max(_LEAST_CPUS, math.floor(free * 10) / 10), gpus)
        actors = int(free // threads)
        if gpus:
            actors = min(actors, max(1, int(ray.available_resources().get("GPU", 0.0))))
        return Share(max(1, min(actors, tasks)), float(threads), gpus)

    def _wait_for_cpus(self, gpus: float) -> float:
        """Free CPUs, at least a tenth of one. What the stage before had is given back within seconds."""
        started = time.monotonic()
        told = False
        while True:
            found = ray.available_resources()
            free = float(found.get("CPU", 0.0))
            waited = time.monotonic() - started
            enough = free >= _LEAST_CPUS and found.get("GPU", 0.0) >= gpus
            if enough and (free >= self._free or waited > _SETTLE_S):
                self._free = free
                return free
            if waited > self._wait_s:
                raise Unavailable(
                    f"no CPU{' and GPU' if gpus else ''} was free for {self._wait_s:g} s: add a node or stop something"
                )
            if not enough and waited > _SETTLE_S and not told:
                total = ray.cluster_resources()
                self._say(
                    f"waiting: {free:g} of {total.get('CPU', 0.0):g} CPUs are free"
                    + (f", {found.get('GPU', 0.0):g} of {total.get('GPU', 0.0):g} GPUs" if gpus else "")
                    + "; stop something, or add a node"
                )
                told = True
            time.sleep(_POLL_S)


class _StageActor:
    """A worker inside Ray Data. Errors of ours come back as a row: Ray would wrap them, and try again."""

    def __init__(self, stage: Stage, settings: str) -> None:
        self._stage: Stage = stage
        self._worker: Worker = make_worker(stage, JobSettings.model_validate_json(settings))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            outcome = self._worker(TASKS[self._stage].model_validate_json(row["task"]))
        except LinesideError as error:
            return {"outcome": str(error), "error": type(error).__name__}
        return {"outcome": outcome.model_dump_json(), "error": ""}


def _error(name: str, message: str) -> LinesideError:
    """The error of ours that a worker met."""
    kinds: list[type[LinesideError]] = [LinesideError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind(message) for kind in kinds if kind.__name__ == name), LinesideError(message))


def _quiet() -> None:
    """The job shows its own progress."""
    context = ray.data.DataContext.get_current()
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.enable_progress_bars = False
    context.print_on_execution_start = False
