"""Folders in BEIR layout, as they come."""

from __future__ import annotations

from pathlib import Path

import pytest

from index_builder.evaluation.beir import is_code, read_judged_set, read_qrels
from lineside.errors import DataError
from tests.index_builder.evaluation.folders import CORPUS, QRELS, QUERIES, write_folder


def test_a_folder_is_read_with_grades_titles_and_gold_answers(tmp_path: Path) -> None:
    judged = read_judged_set(write_folder(tmp_path / "pumps"))
    assert judged.name == "pumps"
    assert [d.title for d in judged.corpus.documents] == ["Coupling", "Seal", "Filter"]
    assert judged.grades == {"q1": {"coupling": 1}, "q2": {"seal": 2}}
    assert judged.queries["q1"].answer == "Tighten the coupling bolts to 47 Nm."
    assert judged.queries["q2"].answer is None
    assert judged.warnings == ()


def test_a_text_that_repeats_its_title_holds_it_once(tmp_path: Path) -> None:
    corpus = [{"_id": "seal", "title": "Seal", "text": "Seal Replace it."}, *CORPUS[:1]]
    judged = read_judged_set(write_folder(tmp_path, corpus=corpus))
    assert judged.corpus.documents[0].text == "Seal\nReplace it."


def test_missing_titles_and_empty_texts_are_no_errors(tmp_path: Path) -> None:
    corpus = [
        {"_id": "coupling", "text": "47 Nm"},
        {"_id": "seal", "title": None, "text": ""},
        {"_id": 7, "title": "Filter", "text": None},
    ]
    judged = read_judged_set(write_folder(tmp_path, corpus=corpus))
    assert [d.id for d in judged.corpus.documents] == ["coupling", "7"]
    assert "1 documents without text are left out" in judged.warnings


def test_what_cannot_be_judged_is_counted(tmp_path: Path) -> None:
    queries = [*QUERIES, {"_id": "q3", "text": "Nobody judged this"}, {"_id": "q4", "text": " "}]
    qrels = QRELS + "q1\tnowhere\t1\nq2\tfilter\t0\nq4\tseal\t1\nq9\tseal\t1\nq8\tseal\t0\n"
    judged = read_judged_set(write_folder(tmp_path, queries=queries, qrels=qrels))
    assert list(judged.queries) == ["q1", "q2"]
    assert set(judged.warnings) == {
        "1 questions have no judgement and are left out",
        "1 questions have no relevant document and are left out",
        "1 questions have no text and are left out",
        "1 judged questions are not in queries.jsonl and are left out",
        "1 relevance judgements name documents that are not in the corpus; they count as not found",
    }


@pytest.mark.parametrize("name", ["corpus", "queries"])
def test_an_id_that_occurs_twice_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    twice = {"corpus": [*CORPUS, CORPUS[0]]} if name == "corpus" else {"queries": [*QUERIES, QUERIES[0]]}
    with pytest.raises(DataError, match=f"{name}.jsonl, line .*'(coupling|q1)' occurs before"):
        read_judged_set(write_folder(tmp_path, **twice))


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "line 4: not JSON"), ("[1]", "line 4: not an object"), ('{"text": "x"}', "line 4: _id is missing")],
)
def test_a_malformed_line_is_an_error_that_names_it(tmp_path: Path, line: str, message: str) -> None:
    folder = write_folder(tmp_path)
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message):
        read_judged_set(folder)


def test_text_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "\xff"}\n')
    with pytest.raises(DataError, match="line 1: not UTF-8"):
        read_judged_set(folder)


@pytest.mark.parametrize(
    "lines",
    [
        "query-id\tcorpus-id\tscore\nq\td\t2\n",
        "corpus-id\tquery-id\tscore\nd\tq\t2\n",
        "q\td\t2\n",
        "q 0 d 2\n",
        "\ufeffquery-id\tcorpus-id\tscore\r\nq\td\t2.0\r\n\r\n",
    ],
)
def test_judgements_are_read_with_and_without_a_header(tmp_path: Path, lines: str) -> None:
    file = tmp_path / "test.tsv"
    file.write_text(lines, encoding="utf-8", newline="")
    assert read_qrels(file).grades == {"q": {"d": 2}}


def test_of_contradicting_judgements_the_higher_grade_counts(tmp_path: Path) -> None:
    judged = read_judged_set(write_folder(tmp_path, qrels=QRELS + "q1\tcoupling\t3\nq1\tcoupling\t0\n"))
    assert judged.grades["q1"] == {"coupling": 3}
    assert "2 judgements contradict another one; the higher grade counts" in judged.warnings


def test_another_file_of_judgements_is_found_by_its_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "qrels" / "dev.tsv").write_text("q1\tfilter\t1\n")
    assert read_judged_set(folder, Path("dev.tsv")).grades == {"q1": {"filter": 1}}
    with pytest.raises(DataError, match=r"qrels/dev\.tsv, qrels/test\.tsv"):
        read_judged_set(folder, Path("train.tsv"))


def test_judgements_of_other_questions_are_an_error_not_a_zero(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do the ids of both files agree"):
        read_judged_set(write_folder(tmp_path, qrels="x\tcoupling\t1\n"))


def test_ids_that_look_like_codes_become_part_of_the_title_on_request(tmp_path: Path) -> None:
    corpus = [*CORPUS, {"_id": "4.12.3", "title": "Guards", "text": "Fit guards."}, {"_id": "5.1", "text": "Doors."}]
    folder = write_folder(tmp_path, corpus=corpus)
    titles = {d.id: d.title for d in read_judged_set(folder, index_ids=True).corpus.documents}
    assert (titles["4.12.3"], titles["5.1"], titles["seal"]) == ("4.12.3 Guards", "5.1", "Seal")
    assert read_judged_set(folder).corpus.documents[3].title == "Guards"


@pytest.mark.parametrize(
    "name", ["4.12.3", "4.2", "E-452", "M104", "HX-200/A", "§12", "V.1.2.3", "A.1.b", "1910.212(a)"]
)
def test_rule_numbers_and_codes_are_codes(name: str) -> None:
    assert is_code(name)


@pytest.mark.parametrize("name", ["184", "coupling", "how-to", "", "a b 1", "x" * 20 + "1" * 20])
def test_words_and_row_numbers_are_not(name: str) -> None:
    assert not is_code(name)
