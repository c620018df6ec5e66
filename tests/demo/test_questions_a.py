"""The questions about furnace, stand, drive and hydraulics agree with the sources that they are about.

So do those of the second held-out part, which are about every family.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from ingest.known_questions import holds_known_questions

KNOWLEDGE = Path(__file__).parents[2] / "demo" / "knowledge"
QUESTIONS = KNOWLEDGE.parent / "questions"
FAMILIES = ("furnace", "stand", "drive", "hydraulics")
LABELS = {
    *("flame-normal", "flame-yellow", "flame-out"),
    *("strip-clean", "strip-scratches", "strip-scale", "strip-edge-crack"),
    *("thermal-normal", "thermal-bearing-hot", "thermal-winding-hot"),
    *("gauge-normal", "gauge-low", "gauge-high", "hose-leak"),
}


def _load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


HALVES = {name: _load(QUESTIONS / f"{name}_a.jsonl") for name in ("tuning", "held_out")}
SECOND_HELD_OUT = _load(QUESTIONS / "held_out_c.jsonl")
EVERY = [pytest.param(question, id=question["id"]) for part in (*HALVES.values(), SECOND_HELD_OUT) for question in part]


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


def _markdown_lines(text: str) -> list[tuple[str | None, str]]:
    """(heading or None, content) for every line below the front matter; a table row gives one item per cell."""
    lines: list[tuple[str | None, str]] = []
    for line in text.split("\n---\n", 1)[1].splitlines():
        if heading := re.match(r"#+ (.+)", line):
            lines.append((heading[1], ""))
        else:
            lines.extend((None, cell) for cell in (line.split("|") if line.startswith("|") else [line]))
    return lines


def _html_lines(text: str) -> list[tuple[str | None, str]]:
    lines: list[tuple[str | None, str]] = []
    for element in html.document_fromstring(text).iter("h1", "h2", "h3", "p", "li", "td", "th"):
        words = element.text_content()
        lines.append((words, "") if element.tag.startswith("h") else (None, words))
    return lines


@cache
def sections(document: str) -> dict[str, str]:
    """Folded text of every section by its title, for incidents by their number; cells stand on lines of their own."""
    if document.endswith(".jsonl"):
        reports = _load(KNOWLEDGE / document)
        return {r["id"]: "\n".join(_fold(str(value)) for value in r.values()) for r in reports}
    path = KNOWLEDGE / (document + ".md" if document.endswith(".pdf") else document)
    lines = (_html_lines if document.endswith(".html") else _markdown_lines)(path.read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {"": []}
    title = ""
    for heading, content in lines:
        if heading is None:
            found[title].append(_fold(content))
        else:
            title = heading
            assert title not in found, f"{document} has two sections named {title}"
            found[title] = []
    return {name: "\n".join(content) for name, content in found.items()}


@pytest.mark.parametrize("question", EVERY)
def test_gold_sections_exist_and_hold_every_fact(question: dict[str, Any]) -> None:
    assert bool(question["gold"]) == bool(question["facts"]) == question["answerable"]
    for gold in question["gold"]:
        text = sections(gold["document"])[gold["section"]]
        for alternatives in question["facts"]:
            assert any(_fold(fact) in text for fact in alternatives), (gold, alternatives)


@pytest.mark.parametrize("question", [q for q in EVERY if not q.values[0]["answerable"]])
def test_codes_of_unanswerable_questions_occur_nowhere(question: dict[str, Any]) -> None:
    sources = (path for path in KNOWLEDGE.rglob("*") if path.is_file() and not holds_known_questions(path.name))
    plant = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for code in re.findall(r"\b[A-Z][A-Z0-9]*-[A-Z]\d+\b", question["question"]):
        assert code not in plant


def test_both_halves_are_distributed_equally() -> None:
    def shape(half: list[dict[str, Any]]) -> tuple[int, int, int]:
        return len(half), sum(q["image_label"] is not None for q in half), sum(not q["answerable"] for q in half)

    assert shape(HALVES["tuning"]) == shape(HALVES["held_out"]) == (24, 7, 5)


def test_every_label_is_asked_about_once() -> None:
    labels = [q["image_label"] for half in HALVES.values() for q in half if q["image_label"]]
    assert len(labels) == len(LABELS)
    assert set(labels) == LABELS


def test_no_question_is_asked_twice() -> None:
    for field in ("id", "question"):
        values = [q[field] for half in HALVES.values() for q in half]
        assert len(set(values)) == len(values)


def test_alarm_codes_are_explained_in_one_document_only() -> None:
    owners: dict[str, set[str]] = {}
    for path in sorted(KNOWLEDGE.rglob("*")):
        if path.suffix in {".md", ".html"}:
            rows = re.findall(r"(?:^\| |<tr><td>)([A-Z][A-Z0-9]*-[A-Z]\d{2,3})\b", path.read_text("utf-8"), re.M)
            for code in rows:
                owners.setdefault(code, set()).add(path.name)
    assert len(owners) >= 40
    assert {code: names for code, names in owners.items() if len(names) > 1} == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_incident_reports_are_complete_and_of_moderate_length(family: str) -> None:
    reports = _load(KNOWLEDGE / family / "incidents.jsonl")
    assert len({r["id"] for r in reports}) == len(reports) == 11
    for report in reports:
        assert report["family"] == family
        assert report["downtime_minutes"] >= 0
        words = " ".join(report.get(k, "") for k in ("title", "symptom", "cause", "action", "text")).split()
        assert 60 <= len(words) <= 110, report["id"]
