"""Levels from readings and latencies, and what they change."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from edge.routing import HealthProbe, Level, QuickEncoders, sparing
from edge.routing.health import Health, Reading, Sensors
from edge.routing.settings import HealthSettings
from lineside.answering.stages import QuestionVectors, Stages
from lineside.search.contract import SearchQuery, SearchResult, Signals

SETTINGS = HealthSettings(warm_celsius=80, hot_celsius=90, load_per_core=2, latency_bar_ms=100, hysteresis=0.95)
MIB = 2**20


def machine(
    tmp_path: Path, *, temperatures: dict[str, str], load: str = "0.5 0.4 0.3 1/2 3", limit: str = "max"
) -> Sensors:
    for name, text in temperatures.items():
        file = tmp_path / name / "temp"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/loadavg").write_text(load)
    (tmp_path / "proc/self/statm").write_text("9999 256 0 0 0 0 0")
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup/memory.max").write_text(limit)
    return Sensors((f"{tmp_path}/zone*/temp",), proc=tmp_path / "proc", cgroup=tmp_path / "cgroup", cores=2)


def test_the_hottest_sensor_counts_and_broken_ones_do_not(tmp_path: Path) -> None:
    sensors = machine(
        tmp_path,
        temperatures={"zone0": "41500\n", "zone1": "73250", "zone2": "-273200", "zone3": "no data", "zone4": ""},
    )
    assert sensors.read().celsius == 73.25


def test_load_memory_and_limit_are_read(tmp_path: Path) -> None:
    reading = machine(tmp_path, temperatures={}, load="3.0 1 1 1/1 1", limit="1073741824\n").read()
    pages = os.sysconf("SC_PAGE_SIZE")
    assert reading == Reading(None, 1.5, 256 * pages, 1 << 30)


def test_a_machine_that_tells_nothing_is_at_the_normal_level(tmp_path: Path) -> None:
    reading = Sensors((f"{tmp_path}/*",), proc=tmp_path, cgroup=tmp_path).read()
    assert reading == Reading()
    assert HealthProbe(SETTINGS).judge(reading) == Health()


def test_this_machine_can_be_read() -> None:
    reading = Sensors(SETTINGS.temperature_files).read()
    assert reading.load_per_core is not None
    assert reading.resident_bytes is not None
    assert reading.resident_bytes > MIB


@pytest.mark.parametrize(
    ("reading", "level", "word"),
    [
        (Reading(celsius=79.9), Level.NORMAL, ""),
        (Reading(celsius=80.0), Level.SAVING, "warm"),
        (Reading(celsius=90.0), Level.SHEDDING, "hot"),
        (Reading(load_per_core=2.0), Level.SAVING, "overloaded"),
        (Reading(resident_bytes=95 * MIB, memory_limit_bytes=100 * MIB), Level.SHEDDING, "memory"),
        (Reading(resident_bytes=80 * MIB, memory_limit_bytes=100 * MIB), Level.NORMAL, ""),
    ],
)
def test_levels(reading: Reading, level: Level, word: str) -> None:
    health = HealthProbe(SETTINGS).judge(reading)
    assert health.level == level
    assert word in " ".join(health.reasons)


def test_a_budget_that_is_given_counts_before_the_cgroups_limit() -> None:
    settings = SETTINGS.model_copy(update={"memory_budget_mib": 50})
    reading = Reading(resident_bytes=60 * MIB, memory_limit_bytes=100 * MIB)
    assert HealthProbe(settings).judge(reading).level == Level.SHEDDING


def test_a_level_does_not_flutter_around_its_bar() -> None:
    changes: list[Level] = []
    probe = HealthProbe(SETTINGS, on_change=lambda health: changes.append(health.level))
    for celsius in (79, 80, 79, 81, 77, 80, 76.1, 75.9, 79, 80):
        probe.judge(Reading(celsius=celsius))
    assert changes == [Level.SAVING, Level.NORMAL, Level.SAVING]


def test_a_spike_of_latency_counts_when_it_lasts_and_is_forgotten_when_it_is_old() -> None:
    now = [0.0]
    probe = HealthProbe(SETTINGS, clock=lambda: now[0])
    for _ in range(9):
        probe.observe(500)
    assert probe.judge(Reading()).level == Level.NORMAL  # too few to say
    for _ in range(91):
        probe.observe(10)
    assert probe.judge(Reading()).level == Level.NORMAL  # 9 of 100
    for _ in range(20):
        probe.observe(500)
    assert probe.judge(Reading()).reasons == ("slow: searches take 500 ms, bar 100",)
    now[0] += SETTINGS.latency_window_s + 1
    assert probe.judge(Reading()).level == Level.NORMAL


async def test_the_sensors_are_read_again_and_again(tmp_path: Path) -> None:
    sensors = machine(tmp_path, temperatures={"zone0": "40000"})
    changed = asyncio.Event()
    settings = SETTINGS.model_copy(update={"read_every_s": 0.01})
    probe = HealthProbe(settings, sensors=sensors, on_change=lambda health: changed.set())
    running = asyncio.create_task(probe.run())
    (tmp_path / "zone0/temp").write_text("95000")
    async with asyncio.timeout(10):
        await changed.wait()
    running.cancel()
    assert probe.level == Level.SHEDDING


async def test_quick_encoders_and_wider_searches_are_in_use_exactly_while_the_gateway_spares_itself() -> None:
    used: list[str] = []
    budgets: list[float | None] = []

    async def text(question: str) -> QuestionVectors:
        used.append("exact text")
        return QuestionVectors(np.ones(4, np.float32) / 2, None)

    async def quick_text(question: str) -> QuestionVectors:
        used.append("quick text")
        return QuestionVectors(np.ones(4, np.float32) / 2, None)

    async def image(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        used.append("exact image")
        return np.ones(4, np.float32) / 2

    async def search(query: SearchQuery) -> SearchResult:
        budgets.append(query.budget_ms)
        return SearchResult(1, (), (), (), Signals(0, 0, (), (), 0), {})

    levels = [Level.NORMAL]
    stages = sparing(Stages(text, image, search), QuickEncoders(quick_text), lambda: levels[-1], widening=2.0)
    for now in (Level.NORMAL, Level.SAVING, Level.SHEDDING, Level.NORMAL):
        levels.append(now)
        await stages.encode_text("why?")
        await stages.encode_image(b"")
        await stages.search(SearchQuery("why?", budget_ms=10.0))
    assert used[::2] == ["exact text", "quick text", "quick text", "exact text"]
    assert used[1::2] == ["exact image"] * 4  # there is no quick one
    assert budgets == [10.0, 20.0, 20.0, 10.0]
