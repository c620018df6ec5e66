"""Admission by priority: alerts keep reserved places, batch work is refused first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lineside.errors import Overloaded
from lineside.schema import Priority
from webapi.settings import HttpSettings


class Admission:
    """Counts the requests in flight of one process."""

    def __init__(self, settings: HttpSettings) -> None:
        self._retry_after_s = settings.retry_after_s
        self._places: dict[Priority, int] = {
            "alert": settings.max_in_flight,
            "interactive": settings.max_in_flight - settings.reserved_for_alerts,
            "batch": max(1, int(settings.max_in_flight * settings.batch_share) - settings.reserved_for_alerts),
        }
        self.in_flight = 0

    @contextmanager
    def admit(self, priority: Priority) -> Iterator[None]:
        """Holds a place while the body runs.

        Raises:
            Overloaded: no place is left for this priority.
        """
        if self.in_flight >= self._places[priority]:
            raise Overloaded(
                f"{self.in_flight} requests are being answered, no place is left for priority {priority}; "
                f"try again in {self._retry_after_s:g} s",
                retry_after_s=self._retry_after_s,
            )
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
