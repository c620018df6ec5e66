"""The command line: wrong use is told apart from failure, and a submitted job gets the same words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from index_builder import command
from index_builder.cluster import dashboard
from lineside.errors import ConfigurationError
from lineside.objects import open_store
from lineside.runs import ErrorReport, FileError, Run, write_errors, write_run

RUNNER = CliRunner()
REINDEX, RUNS = typer.Typer(), typer.Typer()
REINDEX.command()(command.reindex)
RUNS.command()(command.runs)


def test_a_model_that_is_not_there_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.cluster, "connect", lambda cpus: None)
    result = RUNNER.invoke(
        REINDEX, [str(tmp_path), "--store", str(tmp_path / "store"), "--text-model", str(tmp_path / "nothing")]
    )
    assert result.exit_code == command.USAGE
    assert "no model at" in result.output


@pytest.mark.parametrize("option", [["--passage-tokens", "3"], ["--time-limit-s", "-1"], ["--families", "/nowhere"]])
def test_values_out_of_bounds_are_wrong_use(option: list[str], tmp_path: Path) -> None:
    result = RUNNER.invoke(REINDEX, [str(tmp_path), "--store", str(tmp_path / "store"), *option])
    assert result.exit_code == command.USAGE
    assert "Traceback" not in result.output


def test_an_address_that_is_no_cluster_is_wrong_use(tmp_path: Path) -> None:
    result = RUNNER.invoke(REINDEX, [str(tmp_path), "--store", "s3://plant/store", "--address", "head"])
    assert result.exit_code == command.USAGE
    assert "is no cluster" in result.output


def test_addresses_lead_to_the_dashboard() -> None:
    assert dashboard("http://head:8265/") == "http://head:8265"
    assert dashboard("ray://head:10001") == "http://head:8265"
    with pytest.raises(ConfigurationError):
        dashboard("head:8265")


def test_a_submitted_job_is_given_the_same_words_without_the_address() -> None:
    given = [
        "reindex",
        "s3://a/b",
        "--address",
        "http://h",
        "--store",
        "x",
        "--detach",
        "--address=ray://h:1",
        "--json",
    ]
    assert command._without_address(given) == ["reindex", "s3://a/b", "--store", "x", "--json"]


@pytest.fixture
def store(tmp_path: Path) -> str:
    now = datetime.now(UTC)
    run = Run(id="20260101T000000Z-abc", source="/srv", state="done", started=now, updated=now, message="release 3")
    opened = open_store(tmp_path / "store")
    write_run(opened, run)
    bad = FileError(path="a.pdf", reason="is encrypted", advice="remove its password")
    write_errors(opened, run.id, ErrorReport(errors=(bad,)))
    return str(tmp_path / "store")


def test_runs_are_listed_and_one_is_shown_with_its_errors(store: str) -> None:
    assert "20260101T000000Z-abc  done" in RUNNER.invoke(RUNS, ["--store", store]).output
    shown = RUNNER.invoke(RUNS, ["--store", store, "20260101T000000Z-abc"])
    assert "error: a.pdf: is encrypted: remove its password" in shown.output
    unknown = RUNNER.invoke(RUNS, ["--store", store, "../current"])
    assert unknown.exit_code == command.FAILED
    assert "no run" in unknown.output
