"""What a side-by-side run measured, and the medians and ratios over its rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.latency import Summary, median_summary
from benchmarks.processes import Measured
from benchmarks.raw_limit import RawPoint


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario of one service in one round."""

    round: int
    service: str
    scenario: str
    measured: Measured


@dataclass(frozen=True, slots=True)
class Phase:
    """A service's turn within a round: how it started and what the machine was like just before."""

    round: int
    service: str
    ready_s: float
    memory_mb: float
    idle_cpu_share: float
    machine_gflops: float
    load_average: float
    replies: dict[str, Any]


@dataclass(slots=True)
class Run:
    """Everything that was measured. `raw[round]` are the encoder's points of that round.

    `repeats`: requests whose body the same process of a service had been sent before, so that a cache may help.
    """

    machine: dict[str, Any]
    quick: bool
    rows: list[Row] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    raw: dict[int, list[RawPoint]] = field(default_factory=dict)
    repeats: int = 0

    @property
    def rounds(self) -> list[int]:
        return sorted({row.round for row in self.rows} | set(self.raw))

    @property
    def services(self) -> list[str]:
        return list(dict.fromkeys(row.service for row in sorted(self.rows, key=lambda r: r.service)))

    @property
    def scenarios(self) -> list[str]:
        return list(dict.fromkeys(row.scenario for row in self.rows))

    def of(self, service: str, scenario: str, only_round: int | None = None) -> list[Measured]:
        return [
            row.measured
            for row in self.rows
            if row.service == service and row.scenario == scenario and only_round in (None, row.round)
        ]

    def rate(self, service: str, scenario: str, only_round: int | None = None) -> float | None:
        """Requests per second, median over rounds."""
        return middle([m.result.requests_per_s for m in self.of(service, scenario, only_round)])

    def latency(self, service: str, scenario: str, only_round: int | None = None) -> Summary | None:
        found = [m.result.latency for m in self.of(service, scenario, only_round) if m.result.latency is not None]
        return median_summary(found) if found else None

    def event(self, service: str, scenario: str, name: str) -> Summary | None:
        """First arrival of a server-sent event, median over rounds."""
        found = [m.result.events[name] for m in self.of(service, scenario) if name in m.result.events]
        return median_summary(found) if found else None

    def cpu_ms(self, service: str, scenario: str) -> float | None:
        """CPU milliseconds per request of the service's whole process tree, median over rounds."""
        return middle([m.cpu_ms_per_request for m in self.of(service, scenario)])

    def generator_ms(self, service: str, scenario: str) -> float | None:
        return middle([m.generator_ms_per_request for m in self.of(service, scenario)])

    def failures(self, service: str, scenario: str) -> int:
        return sum(m.result.failures for m in self.of(service, scenario))

    def raw_best(self, only_round: int | None = None) -> float | None:
        """Questions per second at the best batch size and thread count, the strictest limit; median over rounds."""
        rounds = [only_round] if only_round is not None else sorted(self.raw)
        return middle([max((p.questions_per_s for p in self.raw.get(r, [])), default=None) for r in rounds])

    def ratio(self, top: Callable[[int], float | None], bottom: Callable[[int], float | None]) -> float | None:
        """Median over rounds of a ratio taken within a round, so that the machine's drift cancels."""
        pairs = [(top(r), bottom(r)) for r in self.rounds]
        return middle([a / b for a, b in pairs if a is not None and b])

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "quick": self.quick,
            "repeats": self.repeats,
            "phases": [asdict(phase) for phase in self.phases],
            "raw": {str(n): [asdict(point) for point in points] for n, points in self.raw.items()},
            "rows": [{**asdict(row), "cpu_ms_per_request": row.measured.cpu_ms_per_request} for row in self.rows],
        }


def middle(values: Sequence[float | None]) -> float | None:
    """Median of the values that are there."""
    known = [v for v in values if v is not None]
    return median(known) if known else None
