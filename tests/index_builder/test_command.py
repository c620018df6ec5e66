"""The command line: wrong use is told apart from failure, and a submitted job gets the same words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from index_builder import command, ray_executor
from index_builder.cluster import dashboard
from index_builder.executors import LocalExecutor
from index_builder.progress import Silent
from lineside.errors import ConfigurationError
from lineside.objects import open_store
from lineside.runs import ErrorReport, FileError, Run, write_errors, write_run
from tests.index_builder.conftest import DRIVE, Plant

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


def test_watching_indexes_again_when_the_source_has_changed_and_come_to_rest(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    manual = plant.source / "drive" / "manual.md"
    shown: list[Run] = []
    steps = iter(
        [
            lambda: None,  # nothing changes: no second run
            lambda: manual.write_text(DRIVE.replace("95", "90")),
            lambda: manual.write_text(DRIVE.replace("95", "85")),  # still being written: wait
            lambda: None,
            _stop,
        ]
    )
    monkeypatch.setattr(command.cluster, "connect", lambda cpus: None)
    monkeypatch.setattr(
        ray_executor,
        "RayExecutor",
        lambda settings, say: LocalExecutor(settings, isolated=False, encoders=plant.encoders),
    )
    monkeypatch.setattr(command.time, "sleep", lambda seconds: next(steps)())
    with pytest.raises(KeyboardInterrupt):
        command.run_job(plant.job(), "first", display=Silent(), watch_s=1, done=shown.append)
    assert [(run.state, run.release, run.counts.parsed) for run in shown] == [("done", 1, 8), ("done", 2, 1)]
    assert shown[0].id != shown[1].id


def _stop() -> None:
    raise KeyboardInterrupt


def test_bars_and_questions_come_together(tmp_path: Path) -> None:
    result = RUNNER.invoke(
        REINDEX,
        [
            str(tmp_path),
            "--store",
            str(tmp_path),
            "--min-ndcg",
            "0.5",
            "--text-model",
            str(tmp_path),
            "--joint-model",
            "none",
        ],
    )
    assert result.exit_code == command.USAGE
    assert "--questions" in result.output


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
