"""The latest values of a machine's tags, bounded in number and age, and what of them a question gets."""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime, timedelta

from edge.messaging.settings import MachineSettings, OpcUaSettings, TagSettings
from lineside.schema import TelemetrySeries


class TagHistory:
    """One tag. Times are the gateway's: machines' clocks differ, and a trend needs one clock.

    A server tells of changes only. So the last value holds until the next one, or until the tag is said to be bad.
    """

    def __init__(self, settings: TagSettings, *, points: int, seconds: float) -> None:
        self.settings = settings
        self._values: deque[tuple[datetime, float]] = deque(maxlen=points)
        self._kept = timedelta(seconds=seconds)
        self.bad = "no value yet"
        """Why its value is not to be used; empty while it is."""

    def __len__(self) -> int:
        return len(self._values)

    def add(self, at: datetime, value: object) -> None:
        """A value of good or uncertain quality; what is no finite number makes the tag bad."""
        if not isinstance(value, int | float) or not math.isfinite(value):
            self.mark_bad(f"not a finite number: {type(value).__name__}")
            return
        self.bad = ""
        self._values.append((at, float(value)))
        self._expire(at)

    def mark_bad(self, reason: str) -> None:
        """Its values are left out from now on, until a good one comes."""
        self.bad = reason

    def series(self, until: datetime, prefix: str = "") -> TelemetrySeries | None:
        """Its values up to `until`, when the last one still holds; None where that is not to be used."""
        self._expire(until)
        if self.bad or not self._values:
            return None
        points = list(self._values)
        if until > points[-1][0]:
            points = [*points[1 - (self._values.maxlen or 0) :], (until, points[-1][1])]
        return TelemetrySeries(
            name=f"{prefix}{self.settings.name}"[:200],
            unit=self.settings.unit,
            times=tuple(time for time, _ in points),
            values=tuple(value for _, value in points),
            low=self.settings.low,
            high=self.settings.high,
        )

    def _expire(self, now: datetime) -> None:
        """Of what is too old the newest stays, since it holds until the next one; it counts from the limit on."""
        limit = now - self._kept
        last: tuple[datetime, float] | None = None
        while self._values and self._values[0][0] < limit:
            last = self._values.popleft()
        if last is not None:
            self._values.appendleft((limit, last[1]))


class MachineTags:
    """The tags of one machine, and since when nothing was heard of it."""

    def __init__(self, machine: MachineSettings, settings: OpcUaSettings) -> None:
        self.machine = machine
        self.tags = {
            tag.node: TagHistory(tag, points=settings.history_points, seconds=settings.history_s)
            for tag in machine.tags
        }
        self._max_age = timedelta(seconds=settings.max_age_s)
        self._silent_since: datetime | None = datetime.min.replace(tzinfo=UTC)

    @property
    def connected(self) -> bool:
        return self._silent_since is None

    def heard(self) -> None:
        """The machine answers: values hold until they change."""
        self._silent_since = None

    def silent(self, since: datetime) -> None:
        """The machine does not answer any more: its values age from now on."""
        if self._silent_since is None:
            self._silent_since = since

    def series(self, now: datetime, *, prefixed: bool = False) -> tuple[TelemetrySeries, ...]:
        """Tags that can be used; none when the machine has been silent for longer than `max_age_s`."""
        until = now if self._silent_since is None else self._silent_since
        if now - until > self._max_age:
            return ()
        prefix = f"{self.machine.name} " if prefixed else ""
        found = (tag.series(until, prefix) for tag in self.tags.values())
        return tuple(series for series in found if series is not None)
