"""Reads judged corpora in BEIR layout (Thakur et al. 2021, "BEIR: a heterogeneous benchmark", github.com/beir-cellar).

corpus.jsonl     {"_id", "title", "text"}
queries.jsonl    {"_id", "text", "metadata"}
qrels/test.tsv   query-id, corpus-id, score, tab separated, usually with a header
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineside.documents import Document, Section
from lineside.errors import DataError

FAMILY = "evaluation"
LINE_BYTES_MAX = 64 * 2**20

# A rule number (4.12.3, §12), or letters and digits as one code (E-452, M104, HX-200/A). A bare number counts rows.
_CODE = re.compile(r"(?:§\s*\d|\d+\.\w|(?=\D*\d)(?=[\d\W_]*[^\W\d_]))[^\W_]*(?:[-./_:#][^\W_]+)*(?:\(\w{1,4}\))*")
_CODE_CHARS_MAX = 32


@dataclass(frozen=True, slots=True)
class Query:
    """A question and what the set says about it; `answer` is `metadata.answer` where there is one."""

    text: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Judgements:
    """Graded relevance: question id → document id → grade, and how many lines contradict another one."""

    grades: Mapping[str, Mapping[str, int]]
    contradictions: int


@dataclass(slots=True)
class Corpus:
    """The documents of a folder that hold any text, and what was found amiss."""

    documents: list[Document] = field(default_factory=list)
    empty: int = 0
    untitled: int = 0


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A folder in BEIR layout. `queries`: those that have a relevant document, in the file's order."""

    name: str
    corpus: Corpus
    queries: Mapping[str, Query]
    grades: Mapping[str, Mapping[str, int]]
    warnings: tuple[str, ...]


def read_judged_set(folder: Path, qrels: Path | None = None, *, index_ids: bool = False) -> JudgedSet:
    """Reads a folder; with `index_ids`, ids that look like codes or rule numbers become part of their titles.

    Judgements of documents that the corpus lacks stay, as in trec_eval: they can be asked for and not be found.

    Raises:
        DataError: a file is missing or malformed, an id occurs twice, or no question can be judged.
    """
    judged = read_qrels(qrels_file(folder, qrels))
    asked = read_queries(folder / "queries.jsonl")
    corpus = read_corpus(folder / "corpus.jsonl", index_ids=index_ids)
    if not corpus.documents:
        raise DataError(f"{folder / 'corpus.jsonl'} holds no document with any text")
    relevant = {q: grades for q, grades in judged.grades.items() if any(grade > 0 for grade in grades.values())}
    queries = {q: query for q, query in asked.items() if q in relevant and query.text.strip()}
    known = {document.id for document in corpus.documents}
    missing = [d for q in queries for d, grade in relevant[q].items() if grade > 0 and d not in known]
    counts = {
        "documents without text are left out": corpus.empty,
        "questions have no judgement and are left out": sum(q not in judged.grades for q in asked),
        "questions have no relevant document and are left out": len(judged.grades) - len(relevant),
        "questions have no text and are left out": sum(q in relevant and not asked[q].text.strip() for q in asked),
        "judged questions are not in queries.jsonl and are left out": sum(q not in asked for q in relevant),
        "judgements contradict another one; the higher grade counts": judged.contradictions,
        "relevance judgements name documents that are not in the corpus; they count as not found": len(missing),
    }
    if not queries:
        raise DataError(
            f"{folder}: no question of queries.jsonl has a relevant document in the judgements: "
            "do the ids of both files agree?"
        )
    return JudgedSet(
        name=folder.resolve().name,
        corpus=corpus,
        queries=queries,
        grades={q: relevant[q] for q in queries},
        warnings=tuple(f"{count} {what}" for what, count in counts.items() if count),
    )


def qrels_file(folder: Path, given: Path | None) -> Path:
    """The file of judgements: `qrels/test.tsv`, or the given one, as it stands or below the folder.

    Raises:
        DataError: there is no such file; the message names those that are there.
    """
    candidates = [folder / "qrels" / "test.tsv"] if given is None else [given, folder / given, folder / "qrels" / given]
    for file in candidates:
        if file.is_file():
            return file
    present = sorted(file.relative_to(folder).as_posix() for file in folder.glob("qrels/*.tsv"))
    there = f"choose one with --qrels: {', '.join(present)}" if present else "no qrels/*.tsv is there"
    raise DataError(f"{candidates[0]} is missing; {there}")


def read_qrels(file: Path) -> Judgements:
    """Judgements from three columns (question, document, grade) or trec_eval's four, with or without a header.

    Of two grades of the same pair the higher one counts.

    Raises:
        DataError: a line is malformed.
    """
    found: dict[str, dict[str, int]] = {}
    order: tuple[int, int, int] | None = None
    contradictions = 0
    for number, line in _lines(file):
        cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
        if order is None:
            order = _columns(cells)
            if not _is_grade(cells[order[2]] if len(cells) > order[2] else ""):
                continue  # the header
        try:
            query, document, grade = (cells[place] for place in order)
            value = round(float(grade))
        except (IndexError, ValueError, OverflowError):
            raise DataError(f"{file}, line {number}: not query-id, corpus-id and score: {line[:80]!r}") from None
        grades = found.setdefault(query, {})
        contradictions += grades.get(document, value) != value
        grades[document] = max(value, grades.get(document, value))
    return Judgements(found, contradictions)


def _columns(cells: list[str]) -> tuple[int, int, int]:
    """Places of question, document and grade, from the first line."""
    names = [cell.casefold() for cell in cells]
    if {"query-id", "corpus-id", "score"} <= set(names):
        return names.index("query-id"), names.index("corpus-id"), names.index("score")
    return (0, 2, 3) if len(cells) == 4 else (0, 1, 2)


def _is_grade(cell: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(?:\.\d*)?", cell) is not None


def read_queries(file: Path) -> dict[str, Query]:
    """Questions by id, in the file's order.

    Raises:
        DataError: a line is malformed or an id occurs twice.
    """
    found: dict[str, Query] = {}
    for number, record in _records(file):
        name = _id(record, file, number)
        if name in found:
            raise DataError(f"{file}, line {number}: _id {name!r} occurs before")
        metadata = record.get("metadata")
        answer = metadata.get("answer") if isinstance(metadata, dict) else None
        found[name] = Query(_text(record, "text", file, number), answer if isinstance(answer, str) else None)
    return found


def read_corpus(file: Path, *, index_ids: bool = False) -> Corpus:
    """The documents in the file's order; those without title and text are only counted.

    Raises:
        DataError: a line is malformed or an id occurs twice.
    """
    corpus = Corpus()
    seen: Counter[str] = Counter()
    for number, record in _records(file):
        name = _id(record, file, number)
        seen[name] += 1
        if seen[name] > 1:
            raise DataError(f"{file}, line {number}: _id {name!r} occurs before")
        title = " ".join(_text(record, "title", file, number).split())
        text = _text(record, "text", file, number).strip()
        corpus.untitled += not title
        if not title and not text:
            corpus.empty += 1
            continue
        corpus.documents.append(_document(name, title, text, index_ids))
    return corpus


def is_code(name: str) -> bool:
    """Whether an id is something that people write in questions: a rule number or a code."""
    return len(name) <= _CODE_CHARS_MAX and _CODE.fullmatch(name) is not None


def _document(name: str, title: str, text: str, index_ids: bool) -> Document:
    if title and text.startswith(title) and len(text) > len(title):
        text = text[len(title) :].strip()  # the title is the heading; twice would count twice
    if index_ids and is_code(name) and not title.startswith(name):
        title = f"{name} {title}".strip()
    body = f"{title}\n{text}" if title else text
    section = Section(id="s1", title=title, level=1, path=(title,), start=0, end=len(body))
    return Document(
        id=name,
        title=title,
        version="0" * 12,
        family=FAMILY,
        source=name,
        text=body,
        sections=(section,) if title else (),
    )


def _records(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(file):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{file}, line {number}: not JSON: {error}") from None
        if not isinstance(record, dict):
            raise DataError(f"{file}, line {number}: not an object with _id and text")
        yield number, record


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Non-blank lines with their numbers; a long file is never in memory as a whole."""
    try:
        with file.open("rb") as stream:
            number = 0
            while line := stream.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise DataError(f"{file}, line {number}: over the limit of {LINE_BYTES_MAX:,} bytes")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                if text.strip():
                    yield number, text
    except FileNotFoundError:
        raise DataError(
            f"{file} is missing: a folder in BEIR layout holds corpus.jsonl, queries.jsonl, qrels/"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}, line {number}: not UTF-8: {error.reason}") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}") from error


def _id(record: Mapping[str, Any], file: Path, number: int) -> str:
    name = record.get("_id", record.get("id"))
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise DataError(f"{file}, line {number}: _id is missing or neither text nor a number")
    return str(name).strip()


def _text(record: Mapping[str, Any], key: str, file: Path, number: int) -> str:
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{file}, line {number}: {key} is not text")
    return value.replace("\0", " ").encode("utf-8", "replace").decode()  # JSON can spell half a character
