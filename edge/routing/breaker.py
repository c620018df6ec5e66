"""A circuit breaker (Nygard, "Release It!", 2007): a link that fails is not asked until a probe has found it well.

Calls never probe: a question would wait for a dead link. Whoever owns the breaker probes beside them, one at a time.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from edge.routing.settings import BreakerSettings

State = Literal["closed", "open", "half_open"]

_CALLS_KEPT = 1_024


class Permit:
    """One call or probe. Exactly one of its three methods takes effect, the first that is called."""

    def __init__(self, breaker: CircuitBreaker, epoch: int, *, probe: bool) -> None:
        self._breaker: CircuitBreaker | None = breaker
        self._epoch = epoch
        self._probe = probe

    def succeeded(self, took_ms: float = 0.0) -> None:
        """It answered; an answer that took longer than `slow_call_ms` counts as a failure."""
        breaker = self._take()
        if breaker is not None:
            slow = took_ms > breaker.settings.slow_call_ms
            reason = f"slow: {took_ms:.0f} ms" if slow else ""
            breaker._record(self._epoch, reason, probe=self._probe)

    def failed(self, reason: str) -> None:
        """It did not answer, or with an error of its own."""
        breaker = self._take()
        if breaker is not None:
            breaker._record(self._epoch, reason or "failed", probe=self._probe)

    def abandoned(self) -> None:
        """Nobody waited for the end: nothing is learnt."""
        breaker = self._take()
        if breaker is not None and self._probe:
            breaker._record(self._epoch, "abandoned", probe=True)

    def _take(self) -> CircuitBreaker | None:
        breaker, self._breaker = self._breaker, None
        return breaker


class CircuitBreaker:
    """Belongs to one event loop. What began before it last opened or closed is not counted when it ends.

    closed: calls pass. It opens after `failures_in_a_row`, or when `failure_share` of at least `min_calls` in the last
    `window_s` failed. open: no call passes; a probe is due after a wait. half_open: the probe is under way; if it fails
    the breaker is open again, for twice as long (up to `probe_max_s`; each wait is between half and the whole of that,
    at random, so that gateways do not probe together). If it succeeds the breaker is closed on trial: the first call
    that fails opens it again and the waits go on growing; the first that succeeds ends the trial.
    """

    def __init__(
        self,
        settings: BreakerSettings = BreakerSettings(),
        *,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
        on_change: Callable[[State, str], None] = lambda state, reason: None,
    ) -> None:
        """`uniform` gives [0, 1); `on_change` is told the new state and why."""
        self.settings = settings
        self.state: State = "closed"
        self.reason = ""
        self._clock = clock
        self._uniform = uniform
        self._on_change = on_change
        self._calls: deque[tuple[float, bool]] = deque(maxlen=_CALLS_KEPT)
        self._in_a_row = 0
        self._openings = 0  # since the last call that succeeded
        self._epoch = 0
        self._probe_at = 0.0

    def call(self) -> Permit | None:
        """A permit for a call, None where it must not be made."""
        return Permit(self, self._epoch, probe=False) if self.state == "closed" else None

    def probe(self) -> Permit | None:
        """A permit for a probe, None where none is due or one is under way."""
        if self.state != "open" or self.probe_in_s > 0:
            return None
        self._move("half_open", self.reason)
        return Permit(self, self._epoch, probe=True)

    def trip(self, reason: str) -> None:
        """Opens a closed breaker at once: the link is known to be dead before anybody called."""
        if self.state == "closed":
            self._open(reason)

    @property
    def probe_in_s(self) -> float:
        """Seconds until an open breaker may be probed; 0 when it may."""
        return max(0.0, self._probe_at - self._clock()) if self.state == "open" else 0.0

    def __str__(self) -> str:
        return self.state if self.state == "closed" else f"{self.state} ({self.reason})"

    def _record(self, epoch: int, failure: str, *, probe: bool) -> None:
        """`failure` is empty for a success."""
        if epoch != self._epoch:
            return
        if probe:
            self._open(failure) if failure else self._close()
            return
        now = self._clock()
        self._calls.append((now, bool(failure)))
        if not failure:
            self._in_a_row = self._openings = 0
        else:
            self._in_a_row += 1
        if failure and (
            self._openings or self._in_a_row >= self.settings.failures_in_a_row or self._share_is_reached(now)
        ):
            self._open(failure)

    def _share_is_reached(self, now: float) -> bool:
        while self._calls and self._calls[0][0] <= now - self.settings.window_s:
            self._calls.popleft()
        failed = sum(failed for _, failed in self._calls)
        return len(self._calls) >= self.settings.min_calls and failed >= self.settings.failure_share * len(self._calls)

    def _open(self, reason: str) -> None:
        exponent = min(self._openings, 32)  # beyond any maximum
        wait = min(self.settings.probe_max_s, self.settings.probe_after_s * 2.0**exponent)
        self._openings += 1
        self._probe_at = self._clock() + wait * (0.5 + self._uniform() / 2)
        self._calls.clear()
        self._in_a_row = 0
        self._move("open", reason)

    def _close(self) -> None:
        self._move("closed", "")

    def _move(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
        self._epoch += 1
        self._on_change(state, reason)
