"""The command line of the evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from index_builder.build import build_release
from lineside.encoders import load_text_encoder
from lineside.evaluation import command
from lineside.evaluation.questions import Question
from lineside.local import LocalApplication
from lineside.releases import Catalogue

MANUAL = "# Rinse pump\n\n## Coupling\n\nThe coupling bolts of the rinse pump are tightened to 47 Nm.\n"
RUNNER = CliRunner()


def test_files_of_frames_are_named_after_questions(tmp_path: Path) -> None:
    (tmp_path / "q1.jpg").write_bytes(b"frame")
    asked = Question(id="q1", question="?", answerable=False, image_label="seal-leak")
    assert command.images_in(tmp_path)(asked) == b"frame"
    assert command.images_in(tmp_path)(asked.model_copy(update={"id": "q2"})) is None
    assert command.images_in(None)(asked) is None


def test_a_half_without_questions_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "tuning_a.jsonl").write_text('{"id": "q1", "question": "?", "answerable": false}\n')
    result = RUNNER.invoke(command.app, ["answers", "--questions", str(tmp_path), "--half", "held-out"])
    assert result.exit_code == 1
    assert "held-out" in result.output


def test_a_store_without_release_is_an_error_not_a_traceback(tmp_path: Path, models_dir: Path) -> None:
    (tmp_path / "tuning_a.jsonl").write_text('{"id": "q1", "question": "?", "answerable": false}\n')
    (tmp_path / "models").symlink_to(models_dir)
    result = RUNNER.invoke(command.app, ["answers", "--questions", str(tmp_path), "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert "no release" in result.output


def test_a_run_prints_figures_and_its_status_tells_whether_bars_are_met(
    tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_text_encoder(models_dir / "minilm")
    (tmp_path / "source" / "pump").mkdir(parents=True)
    (tmp_path / "source" / "pump" / "manual.md").write_text(MANUAL)
    catalogue = Catalogue(tmp_path / "store")
    build_release(tmp_path / "source", catalogue, encoder, None)
    monkeypatch.setattr(
        command.LocalApplication, "load", classmethod(lambda cls, *a, **k: LocalApplication(catalogue, encoder))
    )
    questions = tmp_path / "tuning_a.jsonl"
    asked = {
        "id": "q1",
        "question": "What torque do the coupling bolts of the rinse pump get?",
        "answerable": True,
        "gold": [{"document": "pump/manual.md", "section": "Coupling"}],
        "facts": [["47 Nm"]],
    }
    questions.write_text(json.dumps(asked))
    arguments = ["answers", "--questions", str(questions), "--home", str(tmp_path)]
    table = RUNNER.invoke(command.app, arguments)
    assert table.exit_code == 0, table.output
    assert "pass" in table.output

    questions.write_text(json.dumps(asked | {"facts": [["48 Nm"]]}))
    missed = RUNNER.invoke(command.app, [*arguments, "--json", "--limit", "1"])
    assert missed.exit_code == 2
    figures = {m["name"]: m for m in json.loads(missed.stdout)["halves"][0]["measures"]}
    assert figures["facts_in_extract"]["met"] is False
    assert figures["citations_valid"]["met"] is True
