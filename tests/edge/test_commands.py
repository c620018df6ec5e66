"""The commands, from making keys to a gateway that holds the release."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import edge.command
import edge.trust.command
from lineside.cli import app
from lineside.releases import Catalogue
from tests.releases.shards import FINGERPRINTS, write

RUNNER = CliRunner()


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    """As `lineside.cli.main` does from the entry points."""
    app.add_typer(edge.trust.command.keys, name="keys")
    app.add_typer(edge.command.edge, name="edge")
    app.command("publish")(edge.trust.command.publish)


def lineside(*arguments: object, code: int = 0) -> str:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """A catalogue with one release, keys, and the settings of gateway cell-1."""
    catalogue = Catalogue(tmp_path / "store")
    catalogue.publish([write(catalogue.shards_root, family) for family in ("drive", "pump")], fingerprints=FINGERPRINTS)
    lineside("keys", "init", "--keys", tmp_path / "keys")
    printed = lineside("keys", "gateway", "cell-1", "--out", tmp_path / "gateway.key")
    line = re.search(r"^(cell-1: .*?)\s+#", printed, re.MULTILINE)
    assert line
    (tmp_path / "fleet.yaml").write_text(f"gateways:\n  {line[1]}\n")
    (tmp_path / "gateway.yaml").write_text(
        f"gateway: cell-1\nstore: {tmp_path / 'store'}\nstate: cell-1\nroot: keys/metadata/1.root.json\n"
        "key: file:gateway.key\nlink_share: 1.0\n"
    )
    return tmp_path


def publish(plant: Path, *arguments: object, code: int = 0) -> str:
    return lineside("publish", "--store", plant / "store", "--keys", plant / "keys", *arguments, code=code)


def test_release_goes_from_the_catalogue_to_a_gateway(plant: Path) -> None:
    assert "release 1 is publication 1" in publish(plant, "--fleet", plant / "fleet.yaml")
    assert "applied; holds release 1" in lineside("edge", "sync", plant / "gateway.yaml")
    assert "unchanged" in lineside("edge", "sync", plant / "gateway.yaml")
    status = lineside("edge", "status", plant / "gateway.yaml")
    assert "current: release 1 (publication 1)" in status
    assert "families drive, pump" in status


def test_signing_again_and_rotating_keep_gateways_going(plant: Path) -> None:
    publish(plant, "--fleet", plant / "fleet.yaml")
    lineside("edge", "sync", plant / "gateway.yaml")
    assert "timestamp 2" in publish(plant, "--refresh")
    assert "key 1 replaced" in lineside("keys", "rotate", "timestamp", "--keys", plant / "keys")
    lineside("keys", "renew", "--keys", plant / "keys")
    publish(plant, "--refresh")
    assert "unchanged" in lineside("edge", "sync", plant / "gateway.yaml")


def test_keys_are_shown_with_what_is_missing(plant: Path) -> None:
    (plant / "keys" / "root-1.key").unlink()
    shown = lineside("keys", "show", "--keys", plant / "keys")
    assert shown.count("  here") == 8
    assert shown.count("not here") == 1
    assert "2 must sign" in shown


def test_model_is_published_by_name(plant: Path) -> None:
    (plant / "writer.gguf").write_bytes(b"GGUF")
    printed = publish(plant, "--fleet", plant / "fleet.yaml", "--model", f"writer={plant / 'writer.gguf'}")
    assert "writer" in printed
    with (plant / "gateway.yaml").open("a") as settings:
        settings.write("models: [writer]\n")
    lineside("edge", "sync", plant / "gateway.yaml")
    assert [path.read_bytes() for path in (plant / "cell-1" / "models").rglob("*.gguf")] == [b"GGUF"]


def test_refused_update_ends_with_an_error_and_its_reason(plant: Path) -> None:
    publish(plant, "--fleet", plant / "fleet.yaml")
    lineside("edge", "sync", plant / "gateway.yaml")
    (plant / "fleet.yaml").write_text("gateways: {}\n")
    publish(plant, "--fleet", plant / "fleet.yaml")
    assert "refused: gateway cell-1 may read nothing" in lineside("edge", "sync", plant / "gateway.yaml", code=1)
    assert "may read nothing" in lineside("edge", "status", plant / "gateway.yaml")


def test_errors_are_one_line(plant: Path) -> None:
    assert "no keyring" in lineside("keys", "show", "--keys", plant / "nowhere", code=1)
    assert "already" in lineside("keys", "init", "--keys", plant / "keys", code=1)
    assert "no release 9" in publish(plant, "--fleet", plant / "fleet.yaml", "--release", 9, code=1)
    assert "--fleet" in publish(plant, code=2)
