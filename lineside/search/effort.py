"""How far each search of an approximate index looks: from the time left, the load, and how fast this machine is."""

from __future__ import annotations

from dataclasses import dataclass

from lineside.shards.manifest import EffortCurve, EffortPoint

_SMOOTHING = 0.1  # weight of the newest search in the running mean


@dataclass(frozen=True, slots=True)
class EffortUsed:
    """What one search of an approximate index spent, and the recall@10 that the shard's curve promises for it.

    `effort`: lists probed or ef; `rescored`: rows compared by finer codes for a top 10; `ms` is the time it took.
    """

    effort: int
    rescored: int
    recall: float
    ms: float


class EffortChooser:
    """Chooses points of one index's curve.

    The curve's milliseconds are of the machine that built the index; a running mean of the ratio of times seen here to
    those scales them, so that a budget holds on this machine under its present load (cold caches included). The mean is
    of logarithms: one search that waited for the disk is not to make the next fifty look less far.
    """

    def __init__(self, curve: EffortCurve, fixed: int | None = None) -> None:
        """`fixed`: an effort that replaces every choice."""
        self._curve = curve
        self._fixed = None if fixed is None else curve.at_least(fixed)
        self.slowdown = 1.0

    def choose(self, budget_ms: float | None) -> EffortPoint:
        """The point for a search that may take `budget_ms`: of best recall among those that fit; the default if None.

        Where nothing fits it is the cheapest point: a poor list beats none.
        """
        if self._fixed is not None:
            return self._fixed
        return self._curve.default if budget_ms is None else self._curve.within(budget_ms, self.slowdown)

    def observe(self, point: EffortPoint, ms: float) -> None:
        """Learns from a search that took `ms`. Races between threads lose an observation at most."""
        if point.ms > 0 and ms > 0:
            self.slowdown *= (ms / point.ms / self.slowdown) ** _SMOOTHING
