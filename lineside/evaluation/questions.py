"""Question sets: what is asked, where the answer stands, and which facts a right answer states."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lineside.errors import DataError
from lineside.schema import Evidence

Half = Literal["tuning", "development", "validation", "held-out"]
"""The parts of a question set: two to tune on and to look at, two of which only totals are read."""
Kind = Literal["text", "image", "unanswerable"]

HELD_OUT_PREFIX = "held_out"
_HALVES: tuple[tuple[str, Half], ...] = (
    (HELD_OUT_PREFIX, "held-out"),
    ("validation", "validation"),
    ("development", "development"),
)


class GoldSection(BaseModel):
    """A section that answers a question: its title, the innermost; for an incident its number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: str = Field(min_length=1, description="the document's source path")
    section: str = Field(min_length=1)

    def holds(self, evidence: Evidence) -> bool:
        """Whether a passage belongs to this section."""
        return (
            evidence.kind == "passage"
            and evidence.source == self.document
            and _folded(self.section) in map(_folded, evidence.section_path)
        )


class Question(BaseModel):
    """One question of a set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    family: str | None = None
    image_label: str | None = Field(None, description="the question comes with a frame of this label")
    answerable: bool
    gold: tuple[GoldSection, ...] = Field((), description="any of them answers the question")
    facts: tuple[tuple[str, ...], ...] = Field((), description="a right answer has one wording of every fact")

    @model_validator(mode="after")
    def _gold_where_answerable(self) -> Question:
        if self.answerable != bool(self.gold) or self.answerable != bool(self.facts) or not all(self.facts):
            raise ValueError("an answerable question needs gold and facts, an unanswerable one has neither")
        return self

    @property
    def kind(self) -> Kind:
        if not self.answerable:
            return "unanswerable"
        return "text" if self.image_label is None else "image"

    def missing_facts(self, text: str) -> tuple[tuple[str, ...], ...]:
        """The facts of which no wording occurs in `text`, case and white space folded."""
        folded = _folded(text)
        return tuple(fact for fact in self.facts if not any(_folded(wording) in folded for wording in fact))


def read_questions(files: Iterable[Path]) -> dict[Half, list[Question]]:
    """Questions by half, told by the beginning of the file's name (`held_out`, `validation`, `development`).

    Any other file belongs to the tuning half.

    Raises:
        DataError: a file cannot be read, a line is malformed or an id occurs twice.
    """
    found: dict[Half, list[Question]] = {}
    seen: set[str] = set()
    for file in files:
        half: Half = next((half for prefix, half in _HALVES if file.name.startswith(prefix)), "tuning")
        for number, line in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            try:
                question = Question.model_validate_json(line)
            except ValidationError as error:
                # The input is left out of the message: a held-out question must not show.
                problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
                raise DataError(f"{file}, line {number}: {problems}") from None
            if question.id in seen:
                raise DataError(f"{file}, line {number}: its id occurs before")
            seen.add(question.id)
            found.setdefault(half, []).append(question)
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
