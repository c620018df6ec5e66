"""Follows the store in a thread of its own: looks, waits, looks again; checks the disk now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from edge.sync.source import Backoff
from edge.sync.synchroniser import Outcome, Synchroniser
from lineside.errors import LinesideError

_log = structlog.get_logger(__name__)


class SyncLoop:
    """Runs until `stop`. `on_change` is called, in the thread, when another release has become current."""

    def __init__(self, synchroniser: Synchroniser, on_change: Callable[[], None]) -> None:
        self._synchroniser = synchroniser
        self._on_change = on_change
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lineside-sync", daemon=True)
        self.last: Outcome | None = None

    def start(self) -> None:
        self._thread.start()

    def look_now(self) -> None:
        """Ends the present wait: somebody has told that there is something new."""
        self._wake.set()

    def stop(self, timeout_s: float | None = None) -> None:
        """Waits for the update that is running, at most so long; an unfinished one goes on at the next start."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        settings = self._synchroniser.settings
        backoff = Backoff(settings.poll_s, settings.backoff_max_s)
        check_at = time.monotonic() + settings.check_every_s
        while not self._stop.is_set():
            self._wake.clear()
            changed, failed = self._look()
            if time.monotonic() >= check_at:
                changed = self._check() or changed
                check_at = time.monotonic() + settings.check_every_s
            if changed:
                self._on_change()
            self._wake.wait(backoff.wait(failed))

    def _look(self) -> tuple[bool, bool]:
        try:
            self.last = self._synchroniser.update()
        except LinesideError as error:
            _log.error("update cannot run", reason=str(error))
            return False, True
        return self.last.status == "applied", self.last.status not in ("applied", "unchanged")

    def _check(self) -> bool:
        try:
            return self._synchroniser.check().rolled_back
        except (LinesideError, OSError) as error:
            _log.error("check cannot run", reason=str(error))
            return False
