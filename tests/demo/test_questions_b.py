"""The questions about pumps, conveyors, welder and coilers can be answered from the sections that they name.

So can those of the development and validation sets and of the second held-out part, which are about every family.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from markdown_it import MarkdownIt

from ingest.known_questions import holds_known_questions

DEMO = Path(__file__).parents[2] / "demo"
FAMILIES = ("pump", "conveyor", "welder", "coiler")
HALVES = ("tuning_b", "held_out_b")
MORE = ("development", "validation")
BROAD = "development_b"
PLAUSIBLE = "development_c"
SECOND_HELD_OUT = "held_out_c"
LABELS = {
    label
    for row in re.findall(r"^\| `\w+` \| (`.*`) \|$", (DEMO / "PLANT.md").read_text(encoding="utf-8"), re.MULTILINE)
    for label in re.findall(r"`([a-z-]+)`", row)
}
# Codes and part numbers such as P-E31, CV-A07, W1-E405, CL-Q70, IR-2025-0501, PN-4410-085.
CODE = re.compile(r"\b(?:P|CV|CL|W1)-[A-Z]\d{2,3}\b|\bPN-\d{4}-\d{3}\b")


def questions(half: str) -> list[dict[str, Any]]:
    lines = (DEMO / "questions" / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def fold(text: str) -> str:
    return " ".join(text.split()).casefold()


@cache
def sections(document: str) -> dict[str, str]:
    """Folded text by the innermost section's title; of incident reports, by their number."""
    source = DEMO / "knowledge" / document
    if document.endswith(".jsonl"):
        rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
        return {row["id"]: fold(" ".join(str(value) for value in row.values())) for row in rows}
    if document.endswith(".html"):
        page = source.read_text(encoding="utf-8")
    else:
        path = source if source.is_file() else source.with_name(source.name + ".md")
        body = path.read_text(encoding="utf-8").split("\n---\n", 1)[1]
        page = MarkdownIt("commonmark").enable("table").render(body)
    found: dict[str, str] = {}
    title = ""
    for element in html.fromstring(f"<div>{page}</div>").iter("h1", "h2", "h3", "p", "li", "td", "th", "figcaption"):
        text = fold(" ".join(element.itertext()))
        if element.tag in ("h1", "h2", "h3"):
            title = " ".join(element.text_content().split())
            assert title not in found, f"{document} has two sections {title!r}"
            found[title] = ""
        else:
            found[title] = f"{found.get(title, '')} {text}"
    return found


def documents() -> list[str]:
    paths = [path for family in FAMILIES for path in sorted((DEMO / "knowledge" / family).iterdir())]
    return [
        f"{path.parent.name}/{path.name.replace('.pdf.md', '.pdf')}"
        for path in paths
        if path.is_file() and not holds_known_questions(path.name)
    ]


@pytest.mark.parametrize("half", [*HALVES, *MORE, BROAD, PLAUSIBLE, SECOND_HELD_OUT])
def test_gold_sections_exist_and_facts_stand_in_them(half: str) -> None:
    for question in questions(half):
        texts = []
        for gold in question["gold"]:
            found = sections(gold["document"])
            assert gold["section"] in found, (question["id"], gold)
            texts.append(found[gold["section"]])
        for alternatives in question["facts"]:
            assert any(fold(fact) in text for fact in alternatives for text in texts), (question["id"], alternatives)
        for text in texts:  # any gold section alone must answer at least in part
            assert any(fold(fact) in text for alternatives in question["facts"] for fact in alternatives), question


@pytest.mark.parametrize("half", HALVES)
def test_each_half_has_images_unanswerable_questions_and_all_families(half: str) -> None:
    rows = questions(half)
    assert len(rows) == 24
    assert sum(row["image_label"] is not None for row in rows) == 7
    assert sum(not row["answerable"] for row in rows) == 5
    assert all(bool(row["gold"]) == bool(row["facts"]) == row["answerable"] for row in rows)
    assert {row["image_label"] for row in rows} - {None} <= LABELS
    assert Counter(row["id"].split("-")[0] for row in rows).keys() == {*FAMILIES, "general"}


def test_no_question_or_id_occurs_twice() -> None:
    every = (*HALVES, *MORE, BROAD, PLAUSIBLE, SECOND_HELD_OUT, "tuning_a", "held_out_a")
    rows = [row for half in every for row in questions(half)]
    assert len({row["id"] for row in rows}) == len({fold(row["question"]) for row in rows}) == len(rows)


def test_development_and_validation_ask_alike_about_every_family() -> None:
    shapes = []
    for rows in map(questions, MORE):
        asked = Counter(row["id"].split("-")[0] for row in rows if row["answerable"])
        assert {row["image_label"] for row in rows} - {None} <= LABELS
        assert all(bool(row["gold"]) == bool(row["facts"]) == row["answerable"] for row in rows)
        shapes.append((asked, sum(not row["answerable"] for row in rows)))
    assert shapes[0] == shapes[1]
    assert len(shapes[0][0]) == 8


def test_broad_development_set_asks_about_every_family_often() -> None:
    rows = questions(BROAD)
    asked = Counter(row["id"].split("-")[0] for row in rows if row["answerable"])
    assert len(asked) == 8
    assert min(asked.values()) >= 10
    assert sum(not row["answerable"] for row in rows) >= 25
    assert {row["image_label"] for row in rows} - {None} <= LABELS


def test_second_held_out_part_measures_every_family_alike() -> None:
    rows = questions(SECOND_HELD_OUT)
    families = {document.parent.name for document in (DEMO / "knowledge").glob("*/incidents.jsonl")}
    for asked, times in (
        ([row for row in rows if row["answerable"]], 9),
        ([row for row in rows if row["image_label"] is not None], 2),
        ([row for row in rows if not row["answerable"]], 3),
    ):
        assert Counter(row["id"].split("-")[0] for row in asked) == dict.fromkeys(families, times)
    assert {row["image_label"] for row in rows} - {None} <= LABELS
    assert all(bool(row["gold"]) == bool(row["facts"]) == row["answerable"] for row in rows)


def test_plausible_questions_ask_alike_for_what_is_stated_and_what_is_not() -> None:
    rows = questions(PLAUSIBLE)
    for answerable, least in ((True, 16), (False, 18)):
        asked = Counter(row["id"].split("-")[0] for row in rows if row["answerable"] is answerable)
        assert min(asked[family] for family in asked.keys() - {"general"}) >= least
        assert len(asked.keys() - {"general"}) == 8


def test_codes_in_plausible_unanswerable_questions_are_known() -> None:
    knowledge = " ".join(text for document in documents() for text in sections(document).values())
    codes = [c for row in questions(PLAUSIBLE) if not row["answerable"] for c in CODE.findall(row["question"])]
    assert len(codes) >= 5
    assert all(fold(code) in knowledge for code in codes)


def test_codes_asked_about_in_unanswerable_questions_occur_nowhere() -> None:
    knowledge = " ".join(text for document in documents() for text in sections(document).values())
    for row in (row for half in (*HALVES, BROAD) for row in questions(half) if not row["answerable"]):
        for code in CODE.findall(row["question"]):
            assert fold(code) not in knowledge


@pytest.mark.parametrize("family", FAMILIES)
def test_every_code_and_part_number_is_defined_once(family: str) -> None:
    defined: Counter[str] = Counter()
    for path in (DEMO / "knowledge" / family).iterdir():
        text = path.read_text(encoding="utf-8") if path.suffix in (".md", ".html") else ""
        cells = re.findall(r"^\| *([^|]+?) *\||<tr><td>([^<]+)</td>", text, re.MULTILINE)
        defined.update(cell for pair in cells for cell in pair if CODE.fullmatch(cell))
    assert len(defined) >= 20
    assert [code for code, times in defined.items() if times > 1] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_incident_reports_are_complete_and_short(family: str) -> None:
    rows = [json.loads(line) for line in (DEMO / "knowledge" / family / "incidents.jsonl").read_text().splitlines()]
    assert len(rows) == len({row["id"] for row in rows}) == 11
    for row in rows:
        words = " ".join(row[key] for key in ("title", "symptom", "cause", "action")).split()
        assert 60 <= len(words) <= 115, row["id"]
        assert row["family"] == family
        assert isinstance(row["downtime_minutes"], int)
