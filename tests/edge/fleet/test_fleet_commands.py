"""`lineside fleet` from publishing to a finished rollout and back, with a gateway that reports to a store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

import edge.command
import edge.fleet.command
import edge.trust.command
from edge.fleet.reports import GatewayReport
from edge.fleet.sources import StoreReporter
from edge.gateway.settings import read_gateway
from edge.pieces import GatewayIdentity
from edge.sync import Synchroniser
from edge.trust.providers import load_secret
from lineside.cli import app
from lineside.objects import open_store
from lineside.releases import Catalogue
from tests.releases.shards import FINGERPRINTS, write

RUNNER = CliRunner()
ROLLOUT = "rollout: {soak_s: 0, waves: [], look_s: 0.01, wave_timeout_s: 5}\n"


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    app.add_typer(edge.trust.command.keys, name="keys")
    app.add_typer(edge.fleet.command.fleet, name="fleet")
    app.command("publish")(edge.trust.command.publish)
    yield
    structlog.reset_defaults()


class Site:
    """A catalogue, keys, and gateways `cell-1` and `cell-2` that report to the store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalogue = Catalogue(root / "store")
        self.run("keys", "init", "--keys", root / "keys")
        lines = []
        for name in ("cell-1", "cell-2"):
            printed = self.run("keys", "gateway", name, "--out", root / f"{name}.key")
            line = re.search(rf"^{name}: {{(.*?)}}\s+#", printed, re.MULTILINE)
            assert line
            lines.append(f"  {name}: {{{line[1]}, cell: {name}, url: 'https://{name}'}}\n")
            (root / f"{name}.yaml").write_text(
                f"gateway: {name}\nstore: {root / 'store'}\nstate: {name}\nroot: keys/metadata/1.root.json\n"
                f"key: file:{name}.key\nlink_share: 1.0\n"
            )
        (root / "fleet.yaml").write_text(f"gateways:\n{''.join(lines)}{ROLLOUT}reports: {{store: {root / 'store'}}}\n")

    def run(self, *arguments: object, code: int = 0) -> str:
        result = RUNNER.invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result.stdout if not code else result.output

    def fleet(self, command: str, *arguments: object, code: int = 0, file: bool = True) -> str:
        named = ("--fleet", self.root / "fleet.yaml") if file else ()
        return self.run(
            "fleet",
            command,
            *arguments,
            "--store",
            self.root / "store",
            "--keys",
            self.root / "keys",
            *named,
            code=code,
        )

    def release(self, variant: int) -> str:
        shards = [write(self.catalogue.shards_root, family, variant) for family in ("drive", "pump")]
        self.catalogue.publish(shards, fingerprints=FINGERPRINTS)
        folders = ("--store", self.root / "store", "--keys", self.root / "keys")
        return self.run("publish", *folders, "--fleet", self.root / "fleet.yaml")

    def look(self, name: str, **changes: Any) -> GatewayReport:
        """A gateway looks at the store, and reports."""
        settings = read_gateway(self.root / f"{name}.yaml")
        identity = GatewayIdentity(name, load_secret(settings.key, self.root))
        gateway = Synchroniser(settings, identity)
        gateway.update()
        current = gateway.state().current
        assert current is not None
        report = GatewayReport(
            gateway=name,
            at=datetime.now(UTC) + timedelta(seconds=1),
            publication=current.publication,
            release=current.release,
            state="serving",
            version="1",
        ).model_copy(update=changes)
        StoreReporter(open_store(self.root / "store"), identity).send(report)
        return report


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.release(0)
    for name in ("cell-1", "cell-2"):
        site.look(name)
    return site


def in_thread(site: Site, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """While the controller waits, gateways look: in a plant they do so by themselves."""

    def look(seconds: float) -> None:
        for name in ("cell-1", "cell-2"):
            site.look(name, **changes)

    monkeypatch.setattr("time.sleep", look)


def test_release_waits_for_its_rollout_and_reaches_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "until: lineside fleet rollout" in site.release(1)
    assert {site.look(name).release for name in ("cell-1", "cell-2")} == {1}
    in_thread(site, monkeypatch)
    printed = site.fleet("rollout")
    assert "rolling: publication 2 (release 2) to 1 of 2 waves" in printed
    assert "settled; all run publication 2 (release 2); 2 ok" in printed.splitlines()[-1]
    assert {site.look(name).release for name in ("cell-1", "cell-2")} == {2}


def test_failing_canary_ends_the_command_with_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.release(1)
    in_thread(site, monkeypatch, state="degraded", reason="answers nothing")
    assert "rolled back: 1 of 1 gateways failed publication 2" in site.fleet("rollout", code=1)
    monkeypatch.undo()
    assert {site.look(name).release for name in ("cell-1", "cell-2")} == {1}


def test_finished_rollout_is_taken_back_by_hand(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.release(1)
    in_thread(site, monkeypatch)
    site.fleet("rollout")
    monkeypatch.undo()
    assert "all gateways go to publication 1 (release 1)" in site.fleet("rollback", "--reason", "wrong torque")
    assert {site.look(name).release for name in ("cell-1", "cell-2")} == {1}
    assert "wrong torque" in site.fleet("status")


def test_older_release_is_rolled_out_by_its_number(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.release(1)
    in_thread(site, monkeypatch)
    site.fleet("rollout")
    assert "settled; all run publication 1 (release 1)" in site.fleet("rollout", "--release", 1)
    assert "release 9 is not published" in site.fleet("rollout", "--release", 9, code=1)


def test_status_is_for_people_and_programs(site: Site) -> None:
    lines = site.fleet("status").splitlines()
    assert lines[0] == "settled; all run publication 1 (release 1); 2 ok"
    assert lines[1].split("\t") == ["cell-1", "cell-1", "-", "wants 1 (r1)", "serves 1 (r1)", "serving", "ok"]
    found = json.loads(site.fleet("status", "--json"))
    assert found["counts"] == {"ok": 2}
    assert found["gateways"][0]["wanted"] == {"publication": 1, "release": 1}


def test_status_needs_no_private_key(site: Site) -> None:
    for key in (site.root / "keys").glob("*.key"):
        key.unlink()
    assert "2 ok" in site.fleet("status")
    assert "https://cell-1" in site.fleet("route", "pump", file=False)


def test_report_that_another_gateway_forged_counts_as_none(site: Site) -> None:
    store = open_store(site.root / "store")
    store.put("reports/cell-1.json", store.get("reports/cell-2.json")[0])
    assert json.loads(site.fleet("status", "--json"))["counts"] == {"ok": 1, "silent": 1}


def test_plan_shows_the_placement_and_what_a_change_moves(site: Site, tmp_path: Path) -> None:
    text = (site.root / "fleet.yaml").read_text()
    smaller = re.sub(r"  cell-2:.*\n", "", text)
    (site.root / "fleet.yaml").write_text(smaller)
    planned = site.fleet("plan")
    assert "1 of 2 replicas" in planned
    assert "pump: away from cell-2" in planned
    moved = json.loads(site.fleet("plan", "--json"))["moves"]
    assert {(m["family"], m["gateway"], m["joins"]) for m in moved} == {
        ("drive", "cell-2", False),
        ("pump", "cell-2", False),
    }


def test_what_is_missing_is_said_in_one_line(site: Site) -> None:
    assert "no rollout is under way" in site.fleet("pause", code=1)
    assert "nobody holds kiln; known are drive, pump" in site.fleet("route", "kiln", file=False, code=1)
    (site.root / "fleet.yaml").write_text("gateways: {}\n")
    assert "where reports come from" in site.fleet("status", code=1)
