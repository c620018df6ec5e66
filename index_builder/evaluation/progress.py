"""Progress of a long command on standard error: a moving line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

_TERMINAL_EVERY_S = 0.2
_ELSEWHERE_EVERY_S = 10.0


class Progress:
    """Counts of one stage after another."""

    def __init__(self, write: Callable[[str], object] | None = None, is_terminal: bool | None = None) -> None:
        self._write = write or sys.stderr.write
        self._is_terminal = sys.stderr.isatty() if is_terminal is None else is_terminal
        self._stage = ""
        self._begun = self._shown = 0.0

    def __call__(self, stage: str, done: int, total: int | None = None) -> None:
        """Says how far a stage is; its first and last counts are always shown, `total` None where it is not known."""
        now = time.monotonic()
        begins = stage != self._stage
        if begins:
            self._stage, self._begun = stage, now
        ends = total is not None and done >= total
        every = _TERMINAL_EVERY_S if self._is_terminal else _ELSEWHERE_EVERY_S
        if not (begins or ends) and now - self._shown < every:
            return
        self._shown = now
        line = f"{stage}: {done:,}" + (f" of {total:,}" if total is not None else "") + self._pace(done, total, now)
        if self._is_terminal:
            self._write(f"\r{line:<78}" + ("\n" if ends else ""))
            sys.stderr.flush()
        else:
            self._write(line + "\n")

    def _pace(self, done: int, total: int | None, now: float) -> str:
        spent = now - self._begun
        if not done or spent < 1:
            return ""
        left = "" if total is None or done >= total else f", {(total - done) * spent / done:.0f} s left"
        return f" ({done / spent:,.0f}/s{left})"
