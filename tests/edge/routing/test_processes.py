"""Two real gateways: one that holds pumps alone, one that holds everything and stands in for the cluster.

The stand-in names itself in its answers, as every gateway does.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.edge.gateway.cell import Cell, wait_for

pytestmark = pytest.mark.integration

DRIVE = "How hot may the bearing of the drive become?"


def test_a_gateway_asks_the_cluster_does_without_it_and_finds_it_again(tmp_path: Path, encoders_folder: Path) -> None:
    cell = Cell(tmp_path, encoders_folder)
    cell.publish("47 Nm")
    everything = cell.settings("cell-2")
    cluster = f"http://127.0.0.1:{yaml.safe_load(everything.read_text())['http']['port']}"
    breaker = {"failures_in_a_row": 1, "probe_after_s": 0.2, "probe_max_s": 0.5}
    pumps = cell.settings("cell-1", families=["pump"], routing={"cluster": [cluster], "breaker": breaker})
    with cell.running(pumps) as gateway, cell.running(everything) as other:
        other.until_serving(1)
        gateway.until_serving(1)
        wait_for(lambda: gateway.ask(priority="batch")["served_by"] == "cell-2", gateway.log)
        there = gateway.ask(DRIVE, family="drive")
        assert (there["served_by"], there["status"]) == ("cell-2", "complete")
        evidence = there["evidence"][0]
        assert evidence["text"] in gateway.get(evidence["url"]).json()["text"]
        assert gateway.ask(priority="alert")["served_by"] == "cell-1"
        assert gateway.ask()["served_by"] == "cell-1"

        other.kill()
        alone = gateway.ask(priority="batch")
        assert (alone["served_by"], alone["status"]) == ("cell-1", "partial")
        assert "47 Nm" in alone["text"]
        assert alone["knowledge_age_s"] is not None
        assert any(d["stage"] == "routing" for d in alone["degraded"])
        unheld = gateway.ask(DRIVE, family="drive")
        assert (unheld["status"], unheld["evidence"]) == ("partial", [])
        assert gateway.get(evidence["url"]).status_code == 200  # it was opened before
        assert gateway.ask(priority="alert")["status"] == "complete"
        gateway.until_event("link")

        with cell.running(everything) as back:
            back.until_serving(1)
            wait_for(lambda: gateway.ask(priority="batch")["served_by"] == "cell-2", gateway.log)
            assert gateway.ask(DRIVE, family="drive")["status"] == "complete"
