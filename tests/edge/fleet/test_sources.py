"""Reports: only a gateway speaks for itself, in a store by signature, over MQTT by the broker's word."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import publish, subscribe

from edge.fleet.reports import REPORT_BYTES_MAX, GatewayReport, parse_report
from edge.fleet.settings import FleetSettings
from edge.fleet.sources import StoreReporter, StoreReports, open_report, open_reports, seal_report
from edge.pieces import GatewayIdentity
from lineside.errors import ConfigurationError, DataError, IntegrityError
from lineside.objects import FolderStore
from tests.edge.messaging.broker import Broker

ONE, OTHER = GatewayIdentity("cell-1", b"1" * 32), GatewayIdentity("cell-2", b"2" * 32)


def report(gateway: str = "cell-1", **changes: Any) -> GatewayReport:
    fields: dict[str, Any] = {"gateway": gateway, "at": datetime.now(UTC), "state": "serving", "version": "1"}
    return GatewayReport(**{**fields, **changes})


def test_report_comes_back_as_it_was_signed() -> None:
    said = report(publication=7, release=3, incidents=("publication 6: no",))
    assert open_report(seal_report(said, ONE), "cell-1", ONE.report_key) == said


def test_gateway_cannot_report_for_another_one() -> None:
    with pytest.raises(ConfigurationError, match="cannot report for cell-1"):
        seal_report(report("cell-1"), OTHER)
    with pytest.raises(IntegrityError, match="not signed by that gateway"):
        open_report(seal_report(report("cell-2"), OTHER), "cell-1", ONE.report_key)
    with pytest.raises(IntegrityError, match="not signed by that gateway"):
        open_report(seal_report(report("cell-2"), OTHER), "cell-1", OTHER.report_key)


@given(st.data())
def test_changed_report_is_not_believed(data: st.DataObject) -> None:
    said = report()
    sealed = bytearray(seal_report(said, ONE))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(DataError):  # or it was a bit that base64 or JSON ignores
        assert open_report(bytes(sealed), "cell-1", ONE.report_key) == said


@given(st.binary(max_size=300))
def test_any_bytes_are_a_report_or_a_readable_error(data: bytes) -> None:
    for read in (parse_report, lambda d: open_report(d, "cell-1", ONE.report_key)):
        with pytest.raises(DataError):
            read(data)


def test_oversized_report_is_refused() -> None:
    with pytest.raises(DataError, match="are allowed"):
        parse_report(b" " * (REPORT_BYTES_MAX + 1))


def test_store_gives_every_gateway_its_newest_report(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    reports = StoreReports(store, {"cell-1": ONE.report_key, "cell-2": OTHER.report_key})
    StoreReporter(store, ONE).send(report(publication=1, release=1))
    assert set(reports.read()) == {"cell-1"}
    StoreReporter(store, ONE).send(report(publication=2, release=1, at=datetime.now(UTC) + timedelta(seconds=1)))
    assert reports.read()["cell-1"].publication == 2


def test_older_report_that_is_put_back_does_not_count(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    reports = StoreReports(store, {"cell-1": ONE.report_key})
    StoreReporter(store, ONE).send(report(publication=1, release=1))
    old = store.get("reports/cell-1.json")[0]
    StoreReporter(store, ONE).send(report(publication=2, release=1, at=datetime.now(UTC) + timedelta(seconds=1)))
    reports.read()
    store.put("reports/cell-1.json", old)
    assert reports.read()["cell-1"].publication == 2


def test_gateways_without_a_report_key_are_not_read(tmp_path: Path) -> None:
    StoreReporter(FolderStore(tmp_path), ONE).send(report())
    fleet = FleetSettings.model_validate(
        {"gateways": {"cell-1": {"public_key": ONE.public_key}}, "reports": {"store": str(tmp_path)}}
    )
    assert open_reports(fleet).read() == {}


def test_fleet_without_a_source_is_said() -> None:
    fleet = FleetSettings.model_validate({"gateways": {}})
    with pytest.raises(ConfigurationError, match="where reports come from"):
        open_reports(fleet)
    assert open_reports(fleet, required=False).read() == {}


@pytest.mark.integration
def test_retained_reports_are_read_from_a_broker_and_gateways_are_told(tmp_path: Path) -> None:
    """What a stranger writes, or a gateway below another one's name, is no report."""
    broker = Broker(tmp_path / "broker")
    try:
        said = {
            "cell-1": report("cell-1", publication=3, release=1).model_dump_json(),
            "cell-2": report("cell-1").model_dump_json(),
            "cell-3": "{}",
            "unknown": report("unknown").model_dump_json(),
        }
        for name, payload in said.items():
            publish.single(f"lineside/gateways/{name}/report", payload, 1, True, port=broker.port)
        gateways = {name: {"public_key": ONE.public_key} for name in ("cell-1", "cell-2", "cell-3")}
        fleet = FleetSettings.model_validate({"gateways": gateways, "reports": {"mqtt": {"broker": broker.url}}})
        reports = open_reports(fleet)
        try:
            assert eventually(lambda: set(reports.read()) == {"cell-1"})
            assert reports.read()["cell-1"].publication == 3
            reports.announce(4)
            told = subscribe.simple("lineside/release", 1, port=broker.port)
            assert (told.payload, told.retain) == (b"4", True)
        finally:
            reports.close()
    finally:
        broker.stop()


def test_broker_that_is_not_there_is_said() -> None:
    fleet = FleetSettings.model_validate({"gateways": {}, "reports": {"mqtt": {"broker": "mqtt://127.0.0.1:1"}}})
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        open_reports(fleet)


def eventually(what: Any, seconds: float = 10) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < until:
        time.sleep(0.05)
    return found
