"""Known questions: one object a line; a bad one is reported and skipped."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.limits import ParseLimits
from ingest.parse import is_document, parse
from ingest.source import SourceFile
from lineside.errors import ParseError

PATH = "pump/asked.questions.jsonl"
HEAVY = {"question": "How heavy is the drum?", "answered": False, "section": "Drum"}
KIT = {"question": "Which seal kit is used?", "answered": True, "answer": "HX-200/A"}


def _file(*records: object, path: str = PATH) -> SourceFile:
    return SourceFile(path, "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records).encode())


def test_questions_belong_to_the_family_of_their_folder_or_to_the_one_they_name() -> None:
    found = parse(_file(HEAVY, KIT, {**KIT, "family": "drive"}))
    assert found.documents == ()
    assert [(q.family, q.text, q.answered) for q in found.questions] == [
        ("pump", "How heavy is the drum?", False),
        ("pump", "Which seal kit is used?", True),
        ("drive", "Which seal kit is used?", True),
    ]
    assert {q.source for q in found.questions} == {PATH}
    assert is_document(PATH)


def test_other_json_lines_are_reports_as_before() -> None:
    assert parse(_file({"id": "IR-1", "title": "Leak"}, path="pump/questions.jsonl")).questions == ()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "is not JSON"),
        ([1], "not a JSON object"),
        ({"answered": True}, "has no 'question'"),
        ({"question": " \u200b ", "answered": True}, "has no 'question'"),
        ({"question": "Why?"}, "neither true nor false"),
        ({"question": "Why?", "answered": "no"}, "neither true nor false"),
        ({"question": "Why? " * 300, "answered": True}, "over 1000 characters"),
        ({**HEAVY, "answered": True}, "occurs twice, answered and not: decide"),
    ],
)
def test_a_bad_line_is_reported_and_the_rest_is_read(bad: object, said: str) -> None:
    found = parse(_file(HEAVY, bad, KIT))
    assert [q.text for q in found.questions] == [HEAVY["question"], KIT["question"]]
    (warning,) = found.warnings
    assert warning.startswith("line 2 was left out")
    assert said in warning


def test_a_file_without_a_usable_question_and_one_with_too_many_are_refused() -> None:
    with pytest.raises(ParseError, match="holds no question that can be used; line 1"):
        parse(_file("{"))
    with pytest.raises(ParseError, match="over 1 questions: split"):
        parse(_file(HEAVY, KIT), limits=ParseLimits(max_known_questions=1))


@given(st.lists(st.one_of(st.text(), st.dictionaries(st.sampled_from(["question", "answered", "family"]), st.text()))))
def test_whatever_the_lines_are_it_is_read_or_refused(lines: list[object]) -> None:
    try:
        found = parse(_file(*lines))
    except ParseError:
        return
    assert all(q.text for q in found.questions)
