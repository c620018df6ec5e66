"""The commands `lineside eval ...`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from index_builder.build import build_release
from index_builder.evaluation import command
from index_builder.settings import ModelSettings
from lineside.encoders import load_text_encoder
from lineside.evaluation import run
from lineside.evaluation.questions import Question
from lineside.local import LocalApplication
from lineside.releases import Catalogue
from tests.index_builder.conftest import picture
from tests.index_builder.evaluation.folders import CORPUS, QUERIES, write_folder

MANUAL = "# Rinse pump\n\n## Coupling\n\nThe coupling bolts of the rinse pump are tightened to 47 Nm.\n"
RUNNER = CliRunner()


def test_files_of_frames_are_named_after_questions(tmp_path: Path) -> None:
    (tmp_path / "q1.jpg").write_bytes(b"frame")
    asked = Question(id="q1", question="?", answerable=False, image_label="seal-leak")
    assert run.images_in(tmp_path)(asked) == b"frame"
    assert run.images_in(tmp_path)(asked.model_copy(update={"id": "q2"})) is None
    assert run.images_in(None)(asked) is None


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
    build_release(tmp_path / "source", catalogue, ModelSettings(folder=models_dir / "minilm"), None, isolated=False)
    monkeypatch.setattr(
        run.LocalApplication, "load", classmethod(lambda cls, *a, **k: LocalApplication(catalogue, encoder))
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


def test_questions_and_dataset_together_are_refused(tmp_path: Path) -> None:
    for arguments in ([], ["--questions", str(tmp_path), "--dataset", str(tmp_path)]):
        result = RUNNER.invoke(command.app, ["answers", *arguments])
        assert result.exit_code == 1
        assert "either --questions or --dataset" in result.stderr


def test_retrieval_prints_every_system_and_keeps_vectors_outside_the_dataset(
    tmp_path: Path, lineside_home: Path
) -> None:
    folder = write_folder(tmp_path / "pumps")
    before = sorted(folder.rglob("*"))
    table = RUNNER.invoke(command.app, ["retrieval", "--dataset", str(folder)])
    assert table.exit_code == 0, table.output
    assert all(word in table.stdout for word in ("dense", "lexical", "hybrid", "nDCG@10", "linear gain", "p95"))
    assert "passages encoded: 3 of 3" in table.stderr
    again = RUNNER.invoke(command.app, ["retrieval", "--dataset", str(folder), "--json"])
    assert "passages encoded" not in again.stderr
    figures = json.loads(again.stdout)
    assert figures["systems"]["hybrid"]["ndcg@10"] == 1.0
    assert set(figures["systems"]["dense"]) == {"ndcg@10", "recall@10", "recall@100", "mrr", "latency_ms"}
    assert (figures["documents"], figures["questions"], figures["gain"]) == (3, 2, "linear")
    assert sorted(folder.rglob("*")) == before


def test_a_bar_that_retrieval_misses_is_status_2_with_the_figures_printed(tmp_path: Path, lineside_home: Path) -> None:
    folder = write_folder(tmp_path / "pumps", qrels="q1\tnowhere\t1\nq2\tseal\t1\n")
    result = RUNNER.invoke(command.app, ["retrieval", "--dataset", str(folder), "--min-ndcg", "0.9"])
    assert result.exit_code == 2
    assert "below the bar 0.9" in result.stderr
    assert "hybrid" in result.stdout


def test_ids_are_searchable_only_on_request(tmp_path: Path, lineside_home: Path) -> None:
    corpus = [*CORPUS, {"_id": "4.12.3", "text": "Fit guards."}, {"_id": "4.12.4", "text": "Fit doors."}]
    queries = [*QUERIES, {"_id": "q3", "text": "What does 4.12.3 say?"}]
    folder = write_folder(tmp_path / "rules", corpus=corpus, queries=queries, qrels="q3\t4.12.3\t1\n")
    found = []
    for more in ([], ["--index-ids"]):
        result = RUNNER.invoke(command.app, ["retrieval", "--dataset", str(folder), "--json", *more])
        assert result.exit_code == 0, result.exception
        found.append(json.loads(result.stdout)["systems"]["lexical"]["mrr"])
    assert found == [0.0, 1.0]


def test_answers_to_a_corpus_cite_its_documents_verbatim(tmp_path: Path, lineside_home: Path) -> None:
    folder = write_folder(tmp_path / "pumps")
    result = RUNNER.invoke(command.app, ["answers", "--dataset", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert (figures["questions"], figures["with_gold_answer"]) == (2, 1)
    assert figures["cites_gold"] == figures["sentences_verbatim"] == figures["citations_valid"] == 1.0
    assert figures["sentences_supported"] == 1.0
    assert 0.5 < figures["token_recall"] <= 1
    table = RUNNER.invoke(command.app, ["answers", "--dataset", str(folder), "--limit", "1", "--show-failures"])
    assert "answers that cite a gold document" in table.stdout


def test_images_prints_accuracy_and_map_with_the_configured_encoder(tmp_path: Path, lineside_home: Path) -> None:
    rows = ["file,label"]
    for n in range(4):
        picture(n // 2).save(tmp_path / f"{n}.png")
        rows.append(f"{n}.png,label-{n // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    result = RUNNER.invoke(command.app, ["images", "--dataset", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert (figures["accuracy"], figures["map"], figures["model"]) == (1.0, 1.0, "joint-demo")
    missing = RUNNER.invoke(command.app, ["images", "--dataset", str(tmp_path), "--model", "nowhere"])
    assert missing.exit_code == 1
    assert "nowhere" in missing.stderr
