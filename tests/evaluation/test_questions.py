"""Question sets: their format, their halves, and what counts as gold and as a stated fact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lineside.errors import DataError
from lineside.evaluation import GoldSection, Question, read_questions
from lineside.schema import Evidence


def question(**changes: Any) -> dict[str, Any]:
    return {
        "id": "q1",
        "question": "How hot may it get?",
        "answerable": True,
        "gold": [{"document": "pump/manual.md", "section": "Limits"}],
        "facts": [["82 °C"]],
    } | changes


def write(path: Path, *questions: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(q) for q in questions) + "\n\n", encoding="utf-8")
    return path


def passage(**changes: Any) -> Evidence:
    fields: dict[str, Any] = {
        "n": 1,
        "id": "p1",
        "kind": "passage",
        "family": "pump",
        "score": 1.0,
        "text": "The bearing may reach 82 °C.",
        "source": "pump/manual.md",
        "section_path": ("Rinse pump", "Limits"),
    }
    return Evidence(**(fields | changes))


def test_the_file_name_tells_the_half(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "tuning_a.jsonl", question()),
        write(tmp_path / "held_out_a.jsonl", question(id="q2"), question(id="q3")),
        write(tmp_path / "development.jsonl", question(id="q4")),
        write(tmp_path / "validation.jsonl", question(id="q5")),
    ]
    found = read_questions(files)
    assert {half: [q.id for q in asked] for half, asked in found.items()} == {
        "tuning": ["q1"],
        "held-out": ["q2", "q3"],
        "development": ["q4"],
        "validation": ["q5"],
    }


@pytest.mark.parametrize(
    "broken",
    [
        question(facts=[]),
        question(facts=[[]]),
        question(gold=[]),
        question(answerable=False),
        question(surprise=1),
        {"id": "q1"},
    ],
)
def test_a_malformed_question_is_reported_by_file_and_line_and_not_quoted(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    file = write(tmp_path / "held_out_a.jsonl", question(id="q0"), broken)
    with pytest.raises(DataError, match=r"held_out_a\.jsonl, line 2") as caught:
        read_questions([file])
    assert "How hot" not in str(caught.value)


def test_an_id_occurs_once_over_all_files(tmp_path: Path) -> None:
    files = [write(tmp_path / name, question()) for name in ("tuning_a.jsonl", "held_out_a.jsonl")]
    with pytest.raises(DataError, match="its id occurs before"):
        read_questions(files)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_questions([tmp_path / "tuning_a.jsonl"])


def test_kinds_follow_from_the_image_and_from_answerability() -> None:
    assert Question(**question()).kind == "text"
    assert Question(**question(image_label="seal-leak")).kind == "image"
    assert Question(**question(answerable=False, gold=[], facts=[], image_label="seal-leak")).kind == "unanswerable"


def test_a_fact_is_stated_by_any_of_its_wordings_whatever_the_case_and_the_white_space() -> None:
    asked = Question(**question(facts=[["82 °C", "82 degrees"], ["reduce the load"]]))
    assert asked.missing_facts("At 82\u202f°C  Reduce\nthe load.") == ()
    assert asked.missing_facts("It may reach 82 Degrees.") == (("reduce the load",),)
    assert asked.missing_facts("") == asked.facts


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (passage(), True),
        (passage(section_path=("Rinse pump", "LIMITS", "Bearing")), True),
        (passage(section_path=("Rinse pump",)), False),
        (passage(source="pump/other.md"), False),
        (passage(kind="figure"), False),
    ],
)
def test_gold_is_a_passage_of_the_named_section_in_the_named_document(evidence: Evidence, expected: bool) -> None:
    assert GoldSection(document="pump/manual.md", section="Limits").holds(evidence) is expected
