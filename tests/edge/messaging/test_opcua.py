"""Tags of a real OPC UA server, and what questions get of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

pytest.importorskip("asyncua", reason="the extra `opcua` is not installed")

from asyncua import ua

from edge.messaging import OpcUaSettings
from edge.messaging.opcua import OpcUaReader
from lineside.errors import ConfigurationError
from lineside.schema import AnswerRequest, TelemetrySeries
from tests.edge.messaging.machine import Line, Machine, certificate

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

TAGS = [
    {"node": "ns=2;s=temperature", "name": "bearing temperature", "unit": "°C", "high": 80},
    {"node": "ns=2;s=pressure", "name": "oil pressure", "unit": "bar", "low": 1.5},
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("plc", "gateway", "stranger")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(certificates: dict[str, tuple[Path, Path]]) -> AsyncIterator[Machine]:
    made = Machine(certificates["plc"], certificates["gateway"][0])
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def line(machine: Machine) -> AsyncIterator[Line]:
    made = Line(machine.port)
    await made.plug_in()
    await machine.write("temperature", 0.0)
    yield made
    await made.pull()


def settings(line: Line, *, max_age_s: float = 30, **changes: Any) -> OpcUaSettings:
    described = {
        "name": "drive-1", "families": ["drive"], "cameras": ["cam-7"], "endpoint": line.endpoint, "plain": True,
        "sampling_ms": 50, "tags": TAGS,
    }  # fmt: skip
    machines = [described | changes]
    return OpcUaSettings.model_validate({"machines": machines, "reconnect_s": 0.05, "max_age_s": max_age_s})


@pytest_asyncio.fixture(loop_scope="module")
async def reader(line: Line) -> AsyncIterator[OpcUaReader]:
    made = OpcUaReader(settings(line, max_age_s=0.2))
    await made.start()
    yield made
    await made.stop()


async def until(true: Callable[[], Any]) -> Any:
    """What it gives, as soon as that is something."""
    async with asyncio.timeout(20):
        while not (found := true()):  # noqa: ASYNC110 - values have no event
            await asyncio.sleep(0.01)
    return found


def last(reader: OpcUaReader, **meant: Any) -> dict[str, float]:
    return {series.name: series.values[-1] for series in reader.telemetry(**(meant or {"machine": "drive-1"}))}


async def test_values_are_followed_with_their_units_and_limits(machine: Machine, reader: OpcUaReader) -> None:
    for value in (60.0, 70.0, 85.0):
        await machine.write("temperature", value)
        await until(lambda: last(reader).get("bearing temperature") == value)  # noqa: B023 - called at once
    temperature, pressure = reader.telemetry(machine="drive-1")
    assert temperature.values[-4:-1] == (60.0, 70.0, 85.0)
    assert (temperature.unit, temperature.high, pressure.low) == ("°C", 80, 1.5)
    assert list(temperature.times) == sorted(temperature.times)


async def test_a_value_that_does_not_change_still_holds(machine: Machine, reader: OpcUaReader) -> None:
    await machine.write("pressure", 2.0)
    await until(lambda: last(reader).get("oil pressure") == 2.0)
    await asyncio.sleep(0.3)  # longer than max_age_s
    (series,) = (s for s in reader.telemetry(machine="drive-1") if s.name == "oil pressure")
    assert series.values[-2:] == (2.0, 2.0)
    assert (series.times[-1] - series.times[-2]).total_seconds() > 0.25


async def test_a_value_of_bad_quality_is_left_out_until_a_good_one_comes(machine: Machine, reader: OpcUaReader) -> None:
    await machine.write("temperature", 60.0)
    await until(lambda: last(reader).get("bearing temperature") == 60.0)
    await machine.write("temperature", 61.0, status=ua.StatusCodes.BadSensorFailure)
    await until(lambda: "bearing temperature" not in last(reader))
    assert "BadSensorFailure" in reader.status()["drive-1"].bad["ns=2;s=temperature"]
    assert "oil pressure" in last(reader)
    await machine.write("temperature", 62.0, status=ua.StatusCodes.UncertainSensorNotAccurate)
    await until(lambda: last(reader).get("bearing temperature") == 62.0)
    assert reader.status()["drive-1"].bad == {}


async def test_values_of_a_machine_that_is_gone_are_left_out_and_come_back(
    machine: Machine, line: Line, reader: OpcUaReader
) -> None:
    await machine.write("temperature", 60.0)
    await until(lambda: last(reader).get("bearing temperature") == 60.0)
    await line.pull()
    await until(lambda: not reader.status()["drive-1"].connected)
    await until(lambda: last(reader) == {})
    assert reader.status()["drive-1"].problem
    await machine.write("temperature", 65.0)
    await line.plug_in()
    await until(lambda: last(reader).get("bearing temperature") == 65.0)


async def test_a_question_gets_the_telemetry_of_what_it_is_about(reader: OpcUaReader) -> None:
    await until(lambda: len(last(reader)) == 2)

    def attached(question: str = "Why?", *, named: str | None = None, camera: str | None = None, **f: Any) -> int:
        request = AnswerRequest.model_validate({"question": question} | f)
        return len(reader.attach(request, machine=named, camera=camera).telemetry)

    assert attached() == 0
    assert attached(family="drive") == 2
    assert attached(family="pump") == 0
    assert attached("Why is Drive-1 hot?") == 2
    assert attached("Why is drive-10 hot?") == 0
    assert attached(named="drive-1") == 2
    assert attached(named="drive-2", family="drive") == 0
    assert attached(camera="cam-7") == 2
    own = TelemetrySeries(name="speed", values=(1.0,))
    assert reader.attach(AnswerRequest(question="Why?", family="drive", telemetry=(own,))).telemetry == (own,)


async def test_a_node_that_the_machine_does_not_have_is_said(line: Line) -> None:
    unknown = {"node": "ns=2;s=speed", "name": "speed"}
    reader = OpcUaReader(settings(line, tags=[*TAGS, unknown]))
    await reader.start()
    await until(lambda: len(last(reader)) == 2)
    bad = reader.status()["drive-1"].bad
    await reader.stop()
    assert bad == {"ns=2;s=speed": "cannot be read: BadNodeIdUnknown"}


@pytest.mark.parametrize(
    ("own", "server", "allowed"), [("gateway", "plc", True), ("stranger", "plc", False), ("gateway", "stranger", False)]
)
async def test_both_sides_are_known_by_their_certificates(
    line: Line, certificates: dict[str, tuple[Path, Path]], own: str, server: str, allowed: bool
) -> None:
    certificate, key = certificates[own]
    security = {"certificate": certificate, "key": key, "server_certificate": certificates[server][0]}
    reader = OpcUaReader(settings(line, plain=False, security=security))
    await reader.start()
    try:
        if allowed:
            await until(lambda: len(last(reader)) == 2)
        else:
            await until(lambda: "cannot connect" in reader.status()["drive-1"].problem)
            assert last(reader) == {}
    finally:
        await reader.stop()


async def test_node_ids_and_certificates_are_checked_before_anything_starts(line: Line, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="node id"):
        OpcUaReader(settings(line, tags=[{"node": "speed", "name": "speed"}]))
    security = {"certificate": tmp_path / "a", "key": tmp_path / "b", "server_certificate": tmp_path / "c"}
    with pytest.raises(ConfigurationError, match="is not there"):
        OpcUaReader(settings(line, plain=False, security=security))
