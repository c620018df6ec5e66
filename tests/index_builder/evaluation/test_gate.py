"""The bar before promotion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from index_builder.build import build_release
from index_builder.evaluation.gate import Bars, check_bars, check_release
from index_builder.settings import ModelSettings
from lineside.encoders import TextEncoder
from lineside.errors import BelowBar, DataError
from lineside.releases import Catalogue
from lineside.search import ReleaseIndex
from tests.index_builder.conftest import write_plant

ASKED = {
    "id": "q1",
    "question": "At which temperature is the bearing alarm raised?",
    "answerable": True,
    "gold": [{"document": "drive/manual.md", "section": "Bearing temperature"}],
    "facts": [["95"]],
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, text: ModelSettings) -> ReleaseIndex:
    root = tmp_path_factory.mktemp("gate")
    catalogue = Catalogue(root / "store")
    built = build_release(write_plant(root / "plant"), catalogue, text, None, isolated=False).release
    return ReleaseIndex.open(catalogue.paths(built), built.number)


def write_questions(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_release_that_reaches_its_bars_is_reported(
    tmp_path: Path, release: ReleaseIndex, text_encoder: TextEncoder
) -> None:
    image = {**ASKED, "id": "q2", "image_label": "leak"}
    file = write_questions(tmp_path / "questions.jsonl", ASKED, image)
    report = check_release(release, text_encoder, file, Bars(min_ndcg=0.9, min_recall=1.0))
    assert (report.ndcg_at_10, report.recall_at_10, report.mrr) == (1.0, 1.0, 1.0)
    assert (report.questions, report.left_out) == (1, 1)


def test_a_release_below_a_bar_is_refused(tmp_path: Path, release: ReleaseIndex, text_encoder: TextEncoder) -> None:
    wrong = {**ASKED, "id": "q2", "gold": [{"document": "pump/manual.md", "section": "No such section"}]}
    file = write_questions(tmp_path / "questions.jsonl", ASKED, wrong)
    with pytest.raises(BelowBar, match=r"recall@10 0.5000 is below the bar 0.9"):
        check_release(release, text_encoder, file, Bars(min_recall=0.9))


@pytest.mark.parametrize("name", ["drive/manual.md", "drive/manual.md#Bearing temperature"])
def test_judgements_of_a_folder_name_sources_and_sections(
    tmp_path: Path, release: ReleaseIndex, text_encoder: TextEncoder, name: str
) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq1\t{name}\t1\n")
    write_questions(tmp_path / "queries.jsonl", {"_id": "q1", "text": ASKED["question"]})
    assert check_release(release, text_encoder, tmp_path, Bars(min_ndcg=0.99)).ndcg_at_10 == 1.0


def test_judgements_that_name_nothing_in_the_release_are_an_error_of_the_questions(
    tmp_path: Path, release: ReleaseIndex, text_encoder: TextEncoder
) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("q1\tmanual-17\t1\n")
    write_questions(tmp_path / "queries.jsonl", {"_id": "q1", "text": ASKED["question"]})
    with pytest.raises(DataError, match="source paths or document ids"):
        check_release(release, text_encoder, tmp_path, Bars())


def test_questions_without_any_that_can_be_judged_are_an_error(
    tmp_path: Path, release: ReleaseIndex, text_encoder: TextEncoder
) -> None:
    file = write_questions(tmp_path / "q.jsonl", {"id": "q", "question": "?", "answerable": False})
    with pytest.raises(DataError, match="no question"):
        check_release(release, text_encoder, file, Bars())


def test_every_missed_bar_is_named() -> None:
    with pytest.raises(BelowBar, match=r"nDCG@10 0.3000 is below the bar 0.5; recall@10 0.4000 is below the bar 0.6"):
        check_bars(0.3, 0.4, Bars(min_ndcg=0.5, min_recall=0.6))
    check_bars(0.3, 0.4, Bars(min_ndcg=0.3))
    check_bars(0.0, 0.0, Bars())
