"""The time that decides what is old: the wall clock, but a leap ahead must last before it makes frames expire.

A clock that is set back only delays expiry, which the bound on bytes makes up for. One that leaps ahead (a bad time
server, a flat battery's opposite) would empty the window at once; so it counts on by elapsed time until the leap has
stayed for a while.
"""

from __future__ import annotations

from collections.abc import Callable

_SLACK_US = 60_000_000
_US = 1_000_000


class WindowClock:
    """Microseconds since 1970, UTC."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float], hold_s: float) -> None:
        """`wall` and `monotonic` give seconds, as time.time and time.monotonic do."""
        self._wall, self._monotonic, self._hold_s = wall, monotonic, hold_s
        self._last_mono = monotonic()
        self._last = self.wall_us()
        self._leapt_at: float | None = None

    @property
    def held(self) -> bool:
        """Whether the wall clock leapt ahead and is not followed yet."""
        return self._leapt_at is not None

    def wall_us(self) -> int:
        return int(self._wall() * _US)

    def start_from(self, microseconds: int) -> None:
        """The latest time that the window knows of: after a restart the wall clock may have leapt too."""
        self._last = min(microseconds, self._last)
        self.believed_us()

    def believed_us(self) -> int:
        """The time to expire by."""
        mono, wall = self._monotonic(), self.wall_us()
        expected = self._last + int((mono - self._last_mono) * _US)
        if wall <= expected + _SLACK_US:
            self._leapt_at, believed = None, wall
        else:
            self._leapt_at = mono if self._leapt_at is None else self._leapt_at
            believed = expected
            if mono - self._leapt_at >= self._hold_s:
                self._leapt_at, believed = None, wall
        self._last, self._last_mono = believed, mono
        return believed
