"""How this gateway is: warm, loaded, short of memory, slow; and how far it spares itself for that."""

from __future__ import annotations

import asyncio
import enum
import glob
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from edge.routing.settings import HealthSettings

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LATENCIES_KEPT = 512
_LATENCY_QUANTILE = 0.9
# Sensors that are not connected read as 0 °C or below, or as some fixed value far above what silicon survives.
_SENSIBLE_CELSIUS = (0.0, 130.0)

_log = structlog.get_logger("lineside.routing")


class Level(enum.IntEnum):
    """How far this gateway spares itself. Each level includes the one before (docs/gateways.md has the table)."""

    NORMAL = 0
    SAVING = 1  # nothing is generated here; quicker encoders, wider searches
    SHEDDING = 2  # questions go elsewhere first


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured; None where this machine does not say."""

    celsius: float | None = None
    load_per_core: float | None = None
    resident_bytes: int | None = None
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """A level and, in words, everything that asks for it or for a lower one."""

    level: Level = Level.NORMAL
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"this gateway is {self.level.name.lower()}: {'; '.join(self.reasons)}" if self.reasons else "normal"


@dataclass(frozen=True, slots=True)
class Sensors:
    """Where the numbers are read; another folder in tests. Sources: proc(5), Linux's admin-guide/cgroup-v2, hwmon."""

    temperature_files: tuple[str, ...]
    proc: Path = Path("/proc")
    cgroup: Path = Path("/sys/fs/cgroup")
    cores: int = len(os.sched_getaffinity(0))

    def read(self) -> Reading:
        """Blocks for as long as the slowest sensor takes: some milliseconds."""
        return Reading(self._celsius(), self._load_per_core(), self._resident_bytes(), self._limit_bytes())

    def _celsius(self) -> float | None:
        found = [_number(Path(name)) for pattern in self.temperature_files for name in glob.glob(pattern)]
        low, high = _SENSIBLE_CELSIUS
        degrees = [value / 1_000 for value in found if value is not None and low < value / 1_000 < high]
        return max(degrees, default=None)

    def _load_per_core(self) -> float | None:
        load = _number(self.proc / "loadavg")
        return None if load is None else load / self.cores

    def _resident_bytes(self) -> int | None:
        pages = _number(self.proc / "self" / "statm", field=1)
        return None if pages is None else int(pages) * _PAGE_BYTES

    def _limit_bytes(self) -> int | None:
        limit = _number(self.cgroup / "memory.max")  # "max" where there is none
        return None if limit is None else int(limit)


def _number(path: Path, field: int = 0) -> float | None:
    """A word of a small file as a number; None where there is no such file, word or number."""
    try:
        return float(path.read_text(encoding="ascii").split()[field])
    except (OSError, UnicodeDecodeError, ValueError, IndexError):
        return None


class HealthProbe:
    """Reads the sensors now and then, hears how long searches took, and keeps the level that follows.

    A bar that was reached counts until its value is below `hysteresis` of it, so that the level does not flutter.
    """

    def __init__(
        self,
        settings: HealthSettings = HealthSettings(),
        *,
        sensors: Sensors | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[Health], None] = lambda health: None,
    ) -> None:
        """`on_change` is called on the loop when the level has changed."""
        self._settings = settings
        self._sensors = sensors or Sensors(settings.temperature_files)
        self._clock = clock
        self._on_change = on_change
        self._latencies: deque[tuple[float, float]] = deque(maxlen=_LATENCIES_KEPT)
        self._reached: set[str] = set()
        self.reading = Reading()
        self.health = Health()

    @property
    def level(self) -> Level:
        return self.health.level

    def observe(self, retrieval_ms: float) -> None:
        """Encoding and searching here took so long."""
        self._latencies.append((self._clock(), retrieval_ms))

    async def run(self) -> None:
        """Reads until it is cancelled."""
        while True:
            self.judge(await asyncio.to_thread(self._sensors.read))
            await asyncio.sleep(self._settings.read_every_s)

    def judge(self, reading: Reading) -> Health:
        """The level that a reading and the latest latencies ask for."""
        s = self._settings
        self.reading = reading
        found: list[tuple[Level, str]] = []

        def above(name: str, value: float | None, bar: float | None, level: Level, words: str) -> None:
            if value is None or bar is None or value < (bar * s.hysteresis if name in self._reached else bar):
                self._reached.discard(name)
                return
            self._reached.add(name)
            found.append((level, words.format(value, bar)))

        above("hot", reading.celsius, s.hot_celsius, Level.SHEDDING, "hot: {:.0f} °C, bar {:g}")
        above("warm", reading.celsius, s.warm_celsius, Level.SAVING, "warm: {:.0f} °C, bar {:g}")
        above("load", reading.load_per_core, s.load_per_core, Level.SAVING, "overloaded: {:.1f} tasks a core, bar {:g}")
        used = None if reading.resident_bytes is None else reading.resident_bytes / 2**20
        above("memory", used, self._budget_mib(reading), Level.SHEDDING, "memory: {:.0f} MiB, budget {:.0f}")
        above(
            "latency", self._latency_ms(), s.latency_bar_ms, Level.SHEDDING, "slow: searches take {:.0f} ms, bar {:g}"
        )
        health = Health(max((level for level, _ in found), default=Level.NORMAL), tuple(words for _, words in found))
        changed = health.level != self.health.level
        self.health = health
        if changed:
            _log.warning("level", level=health.level.name.lower(), reasons=health.reasons)
            self._on_change(health)
        return health

    def _budget_mib(self, reading: Reading) -> float | None:
        if self._settings.memory_budget_mib is not None:
            return self._settings.memory_budget_mib
        limit = reading.memory_limit_bytes
        return None if limit is None else limit * self._settings.memory_share / 2**20

    def _latency_ms(self) -> float | None:
        """None when too few searches say anything; so a gateway that sent its questions elsewhere tries again."""
        oldest = self._clock() - self._settings.latency_window_s
        while self._latencies and self._latencies[0][0] < oldest:
            self._latencies.popleft()
        if len(self._latencies) < self._settings.latency_min_calls:
            return None
        ordered = sorted(ms for _, ms in self._latencies)
        return ordered[int(_LATENCY_QUANTILE * (len(ordered) - 1))]
