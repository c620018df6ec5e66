"""A request's deadline: one clock from the first byte read to the last byte written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from lineside.errors import DeadlineExceeded

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Deadline:
    """`budget_ms` from `started_s` on the monotonic clock of this process."""

    started_s: float
    budget_ms: float

    @classmethod
    def in_ms(cls, budget_ms: float) -> Deadline:
        """A deadline that starts now."""
        return cls(time.monotonic(), budget_ms)

    @property
    def elapsed_ms(self) -> float:
        return (time.monotonic() - self.started_s) * 1000

    @property
    def remaining_ms(self) -> float:
        return self.budget_ms - self.elapsed_ms

    async def bound(self, work: Awaitable[Result], *, stage: str, reserve_ms: float = 0.0) -> Result:
        """Awaits `work`, cancelling it when only `reserve_ms` of the budget are left.

        Raises:
            DeadlineExceeded: the work was not done by then.
        """
        seconds = max(0.0, self.remaining_ms - reserve_ms) / 1000
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise DeadlineExceeded(f"{stage} was not done within the deadline of {self.budget_ms:.0f} ms") from None
