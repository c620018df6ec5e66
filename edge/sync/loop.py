"""Follows the store in a thread of its own: looks, waits, looks again; checks the disk now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from edge.sync.source import Backoff
from edge.sync.synchroniser import Outcome, Synchroniser
from lineside.errors import LinesideError

log = structlog.get_logger(__name__)


class SyncLoop:
    """Runs until `stop`. `on_change` is called, in the thread, when another release has become current.

    `on_look` is called there after every look. `newest_at` (UTC) is when it was last known that nothing newer is
    published than what is held; None where that was never so. `fault` is an error that nobody
    foresaw, of the latest look.
    """

    def __init__(
        self,
        synchroniser: Synchroniser,
        on_change: Callable[[], None],
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._synchroniser = synchroniser
        self._on_change, self._on_look = on_change, on_look
        self.newest_at: datetime | None = None
        self.fault: str | None = None
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
            failed = True
            try:
                changed, failed = self._look()
                if time.monotonic() >= check_at:
                    changed = self._check() or changed
                    check_at = time.monotonic() + settings.check_every_s
                if changed:
                    self._on_change()
                self._on_look()
            except Exception as error:  # nobody foresaw it; a gateway that stops looking would never be mended
                self.fault = f"{type(error).__name__}: {error}"
                log.exception("look failed")
            else:
                self.fault = None
            self._wake.wait(backoff.wait(failed))

    def _look(self) -> tuple[bool, bool]:
        try:
            self.last = self._synchroniser.update()
        except LinesideError as error:
            log.error("update cannot run", reason=str(error))
            return False, True
        if self.last.status == "applied" or (self.last.status == "unchanged" and not self.last.reason):
            self.newest_at = datetime.now(UTC)
        return self.last.status == "applied", self.last.status not in ("applied", "unchanged")

    def _check(self) -> bool:
        try:
            return self._synchroniser.check().rolled_back
        except (LinesideError, OSError) as error:
            log.error("check cannot run", reason=str(error))
            return False
