"""Follows a run: counts it, keeps its record in the store up to date, and shows it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol

import structlog

from lineside.errors import LinesideError
from lineside.objects import ObjectStore
from lineside.runs import FINISHED, Run, StageProgress, State, write_run

log = structlog.get_logger("lineside.reindex")

_WRITE_EVERY_S = 3.0
_LINE_EVERY_S = 5.0


class Display(Protocol):
    """Where a run is shown."""

    def show(self, run: Run) -> None:
        """Called often."""
        ...

    def line(self, text: str) -> None:
        """Something worth a line of its own."""
        ...


class Lines:
    """A line when a stage begins or ends, and every few seconds."""

    def __init__(self, write: Callable[[str], None], every_s: float = _LINE_EVERY_S) -> None:
        self._write = write
        self._every_s = every_s
        self._last = 0.0
        self._shown = ""

    def show(self, run: Run) -> None:
        stage = run.stage
        if not stage.total:
            return
        finished = stage.done >= stage.total
        now = time.monotonic()
        text = f"{run.state} {bar(stage)}"
        if text != self._shown and (finished or now - self._last >= self._every_s):
            self._shown, self._last = text, now
            self._write(text)

    def line(self, text: str) -> None:
        self._write(text)


class Bar:
    """A line that is written over, for a terminal."""

    def __init__(self) -> None:
        self._open = False

    def show(self, run: Run) -> None:
        if run.stage.total:
            failed = f", {run.counts.failed} failed" if run.counts.failed else ""
            sys.stderr.write(f"\r\x1b[2K{run.state:<11}{bar(run.stage)}{failed}")
            sys.stderr.flush()
            self._open = True
        if run.stage.total and run.stage.done >= run.stage.total:
            self._end()

    def line(self, text: str) -> None:
        self._end()
        sys.stderr.write(text + "\n")

    def _end(self) -> None:
        if self._open:
            sys.stderr.write("\n")
        self._open = False


class Silent:
    """Shows nothing."""

    def show(self, run: Run) -> None:
        return

    def line(self, text: str) -> None:
        return


def bar(stage: StageProgress, width: int = 24) -> str:
    """`[######------] 12/24 files, 3.1/s`"""
    full = width * stage.done // max(1, stage.total)
    return f"[{'#' * full}{'-' * (width - full)}] {stage.done}/{stage.total} {stage.unit}, {stage.per_s:.1f}/s"


class Progress:
    """Of one run. A thread writes the record every few seconds, so that a silent run can be told from a dead one."""

    def __init__(self, store: ObjectStore, run: Run, display: Display) -> None:
        self.run = run
        self._store = store
        self._display = display
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="run-record", daemon=True)

    def __enter__(self) -> Progress:
        self._write()  # a store that cannot be written to is found out before any work
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if error is not None and self.run.state not in FINISHED:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            self.run.state = "cancelled" if stopped else "failed"
            self.run.message = "stopped; the next run goes on from here" if stopped else str(error) or repr(error)
        try:
            self._write()
        except LinesideError as lost:
            log.warning("run_record_lost", run=self.run.id, reason=str(lost))

    def begin(self, state: State, total: int = 0, unit: str = "") -> None:
        """A stage begins; the one before ends."""
        with self._lock:
            self._close_stage()
            self.run.state = state
            self.run.stage = StageProgress(total=total, unit=unit)
        self._display.show(self.run)

    def advance(self, done: int) -> None:
        """So much more of the stage is done."""
        with self._lock:
            stage = self.run.stage
            stage.done += done
            stage.per_s = round(stage.done / max(1e-6, time.monotonic() - self._began), 2)
        self._display.show(self.run)

    def say(self, text: str) -> None:
        """To whoever watches; it is in the record until something else is said."""
        self.run.message = text
        self._display.line(text)

    def finish(self, state: State, message: str) -> None:
        """The run's end."""
        with self._lock:
            self._close_stage()
            self.run.state, self.run.message = state, message
        self._display.line(message)

    def _close_stage(self) -> None:
        now = time.monotonic()
        spent = self.run.seconds.get(self.run.state, 0.0) + now - self._began
        self.run.seconds[self.run.state] = round(spent, 3)
        self._began = now

    def _beat(self) -> None:
        while not self._stop.wait(_WRITE_EVERY_S):
            try:
                self._write()
            except LinesideError as error:  # the job itself will meet the outage, and end with it
                log.warning("run_record_not_written", run=self.run.id, reason=str(error))

    def _write(self) -> None:
        with self._lock:
            self.run.updated = datetime.now(UTC)
            record = self.run.model_copy(deep=True)
        write_run(self._store, record)
