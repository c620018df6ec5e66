"""Known questions: what people have asked of a family's documents, and whether these answer it. JSON lines.

    {"question": "How heavy is the drum?", "answered": false}

Whoever looked a question up writes down what came of it: the data team, the authors of the manuals, or a language model
that has read them. Further fields (where the answer stands, who looked) are for people and are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.builder import fold_line
from ingest.json_lines import json_lines
from ingest.limits import ParseLimits
from ingest.source import family_of
from lineside.documents import KnownQuestion
from lineside.errors import ParseError

SUFFIX = ".questions.jsonl"


@dataclass(frozen=True, slots=True)
class KnownQuestions:
    """The questions of one file and what was left out of it."""

    questions: tuple[KnownQuestion, ...]
    warnings: tuple[str, ...]


def holds_known_questions(path: str) -> bool:
    """Whether a file of this name is read as known questions, not as reports."""
    return path.lower().endswith(SUFFIX)


def parse_known_questions(
    path: str, text: str, *, family_rules: Mapping[str, str] | None, limits: ParseLimits
) -> KnownQuestions:
    """A question that cannot be used, or that the file has already, is left out with a warning.

    Raises: ParseError when the file holds no question that can be used, or too many.
    """
    found: dict[tuple[str, str], KnownQuestion] = {}
    warnings: list[str] = []
    count = 0
    for line, record in json_lines(text):
        count += 1
        if count > limits.max_known_questions:
            raise ParseError(f"holds over {limits.max_known_questions} questions: split the file")
        try:
            if isinstance(record, ParseError):
                raise record
            question = _question(path, record, family_rules, limits)
            key = (question.family, question.text)
            if key in found:
                same = found[key].answered == question.answered
                said = "remove one" if same else "and is answered in one place only: decide"
                raise ParseError(f"{question.text[:80]!r} occurs twice: {said}")
        except ParseError as error:
            warnings.append(f"line {line} was left out: {error}")
        else:
            found[key] = question
    if count and not found:
        raise ParseError(f"holds no question that can be used; {warnings[0]}")
    return KnownQuestions(tuple(found.values()), tuple(warnings))


def _question(
    path: str, record: Mapping[str, Any], family_rules: Mapping[str, str] | None, limits: ParseLimits
) -> KnownQuestion:
    text, answered = record.get("question"), record.get("answered")
    if not isinstance(text, str) or not (text := fold_line(text)):
        raise ParseError("has no 'question'")
    if len(text) > limits.max_known_question_chars:
        raise ParseError(f"is over {limits.max_known_question_chars} characters: shorten the question")
    if not isinstance(answered, bool):
        raise ParseError("'answered' is neither true nor false")
    return KnownQuestion(family=family_of(path, record, family_rules), text=text, answered=answered, source=path)
