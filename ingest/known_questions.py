"""Known questions: what people have asked of a family's documents, and whether these answer it. JSON lines.

    {"question": "How heavy is the drum?", "answered": false}

Whoever looked a question up writes down what came of it: the data team, the authors of the manuals, or a language model
that has read them. Further fields (where the answer stands, who looked) are for people and are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.builder import fold_line
from ingest.limits import ParseLimits
from ingest.records import Record, json_lines, usable
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
    """A question that cannot be used, or contradicts one before it, is left out with a warning.

    Raises: ParseError when the file holds no question that can be used, or too many.
    """
    seen: dict[tuple[str, str], bool] = {}

    def make(record: Record) -> KnownQuestion:
        question = _question(path, record, family_rules, limits)
        before = seen.setdefault((question.family, question.text), question.answered)
        if before is not question.answered:
            raise ParseError(f"{question.text[:80]!r} occurs twice, answered and not: decide")
        return question

    return KnownQuestions(*usable(json_lines(text), make, limit=limits.max_known_questions, what="question"))


def _question(path: str, record: Record, family_rules: Mapping[str, str] | None, limits: ParseLimits) -> KnownQuestion:
    text, answered = record.get("question"), record.get("answered")
    if not isinstance(text, str) or not (text := fold_line(text)):
        raise ParseError("has no 'question'")
    if len(text) > limits.max_known_question_chars:
        raise ParseError(f"is over {limits.max_known_question_chars} characters: shorten the question")
    if not isinstance(answered, bool):
        raise ParseError("'answered' is neither true nor false")
    return KnownQuestion(family=family_of(path, record, family_rules), text=text, answered=answered, source=path)
