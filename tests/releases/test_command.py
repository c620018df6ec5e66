"""`lineside releases`: what a stranger reads, what a script reads, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lineside.objects import ObjectStore
from lineside.releases import Catalogue
from lineside.releases.command import app
from tests.releases.conftest import Build
from tests.releases.shards import FINGERPRINTS

RUNNER = CliRunner()


def run(store: ObjectStore | str, *arguments: str, status: int = 0) -> str:
    result = RUNNER.invoke(app, [*arguments, "--store", store if isinstance(store, str) else store.url])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def filled(store: ObjectStore, build: Build) -> ObjectStore:
    """Two releases; the second is current."""
    catalogue = Catalogue(store)
    catalogue.publish([build("drive")], fingerprints=FINGERPRINTS, note="from the vendor", by="ann")
    catalogue.publish([build("drive"), build("pump")], fingerprints=FINGERPRINTS, note="with pumps", by="bob")
    return store


def test_a_list_marks_the_current_release(filled: ObjectStore) -> None:
    head, second, first = run(filled, "list").splitlines()
    assert head.split()[:3] == ["release", "created", "(UTC)"]
    assert second.split()[:2] == ["→", "2"]
    assert second.endswith("bob  with pumps")
    assert first.split()[0] == "1"


def test_a_release_is_shown_with_its_families_and_when_it_was_active(filled: ObjectStore) -> None:
    run(filled, "rollback", "--why", "pumps were wrong")
    text = run(filled, "show")
    assert "Release 1 (current)" in text
    assert "rolled back to" in text
    assert "pumps were wrong" in text
    assert "pump" in run(filled, "show", "2").split("family")[1]


def test_going_back_and_forward_says_where_one_is(filled: ObjectStore) -> None:
    assert run(filled, "rollback") == "Release 1 is current.\n"
    assert "no release was active before 1" in run(filled, "rollback", status=1)
    assert run(filled, "activate", "2") == "Release 2 is current.\n"
    assert "no release 7" in run(filled, "activate", "7", status=1)
    assert Catalogue(filled).current().number == 2


def test_damage_is_found_and_is_the_exit_status(filled: ObjectStore) -> None:
    assert "2 shards whole" in run(filled, "verify")
    shard = Catalogue(filled).get(1).shards[0].id
    filled.put(f"shards/{shard}/documents.arrow", b"no")
    text = run(filled, "verify", "--all", status=1)
    assert f"drive: shard {shard} damaged" in text
    assert "! documents.arrow has 2 bytes" in text
    assert "Release 1, 2: 1 of 2 shards damaged" in text
    found = json.loads(run(filled, "verify", "--json", status=1))
    assert [(s["family"], bool(s["problems"])) for s in found["shards"]] == [("drive", True), ("pump", False)]
    assert found["ok"] is False


def test_pruning_says_what_it_would_remove_and_removes_nothing_until_it_is_meant(filled: ObjectStore) -> None:
    Catalogue(filled).publish(Catalogue(filled).get(2).shards[1:], fingerprints=FINGERPRINTS)
    arguments = ("prune", "--keep", "1", "--grace-hours", "0")
    assert "Would remove 1 releases (1) and 0 shards" in run(filled, *arguments, "--dry-run")
    assert Catalogue(filled).numbers() == [1, 2, 3]
    assert json.loads(run(filled, *arguments, "--json"))["releases"] == [1]
    assert Catalogue(filled).numbers() == [2, 3]
    assert "Nothing to remove. Kept: 2, 3." in run(filled, *arguments)


@pytest.mark.parametrize("command", ["list", "show", "activate", "rollback"])
def test_scripts_read_json(filled: ObjectStore, command: str) -> None:
    arguments = [command, "2"] if command in ("show", "activate") else [command]
    found = json.loads(run(filled, *arguments, "--json"))
    assert found["current"] in (True, 1, 2)


def test_wrong_usage_has_a_status_of_its_own(filled: ObjectStore) -> None:
    run(filled, "verify", "1", "--all", status=2)
    run(filled, "prune", status=2)
    run(filled, "activate", "two", status=2)


def test_an_empty_store_and_one_that_is_none_are_told_apart(store: ObjectStore) -> None:
    assert "No releases in" in run(store, "list")
    assert "build one" in run(store, "show", status=1)
    assert "names no store" in run("gs://bucket", "list", status=1)


def test_the_store_comes_from_the_environment(tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    Catalogue(tmp_path / "home" / "store").publish([build("drive")], fingerprints=FINGERPRINTS, note="at home")
    monkeypatch.setenv("LINESIDE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LINESIDE_STORE", raising=False)
    assert "at home" in RUNNER.invoke(app, ["list"]).output
    monkeypatch.setenv("LINESIDE_STORE", str(tmp_path / "elsewhere"))
    assert "No releases" in RUNNER.invoke(app, ["list"]).output
