"""The demo plant's known questions: read without a complaint, answers in the sources' words, none of a question set."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from pathlib import Path

import pytest

from ingest.parse import parse
from ingest.source import SourceFile

KNOWLEDGE = Path(__file__).parents[2] / "demo" / "knowledge"
FAMILIES = sorted(path.name for path in KNOWLEDGE.iterdir() if path.is_dir())


def _words(text: str) -> str:
    """Without marks of Markdown and HTML, white space and case."""
    text = re.sub(r"<[^>]+>|[*_`|#]", " ", html.unescape(text))
    return " ".join(text.split()).casefold()


@cache
def _source(name: str) -> str:
    path = KNOWLEDGE / (f"{name}.md" if name.endswith(".pdf") else name)
    text = path.read_text(encoding="utf-8")
    if name.endswith(".jsonl"):
        return _words("\n".join(" ".join(map(str, json.loads(line).values())) for line in text.splitlines()))
    return _words(text)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_questions_of_a_family_are_read_and_half_of_them_answered(family: str) -> None:
    path = KNOWLEDGE / family / "known.questions.jsonl"
    found = parse(SourceFile(f"{family}/{path.name}", path.read_bytes()))
    assert not found.warnings
    assert {question.family for question in found.questions} == {family}
    share = sum(question.answered for question in found.questions) / len(found.questions)
    assert 0.4 < share < 0.6


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_stand_in_the_document_that_is_named(family: str) -> None:
    lines = (KNOWLEDGE / family / "known.questions.jsonl").read_text(encoding="utf-8").splitlines()
    for record in map(json.loads, lines):
        assert record["answered"] == ("answer" in record)
        assert _words(record.get("answer", "")) in _source(record["document"]), record["question"]


def test_no_question_that_anything_is_measured_with_is_known_word_for_word() -> None:
    def plain(question: str) -> str:
        return " ".join(re.findall(r"\w+", question.casefold()))

    sets = sorted((KNOWLEDGE.parent / "questions").glob("*.jsonl"))
    asked = {plain(json.loads(line)["question"]) for path in sets for line in path.read_text("utf-8").splitlines()}
    known = {
        plain(json.loads(line)["question"])
        for family in FAMILIES
        for line in (KNOWLEDGE / family / "known.questions.jsonl").read_text("utf-8").splitlines()
    }
    assert len(asked) > 500
    assert not asked & known
