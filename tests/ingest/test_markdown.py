"""Markdown becomes sections, lines, rows and figures that are spans of one text."""

from __future__ import annotations

from ingest.parse import parse
from ingest.source import SourceFile
from lineside.documents import Document

from .invariants import check_spans, png

MANUAL = """---
title: Pump P-101
codes: [P-E33]
---
Intro line one
wraps here.

## Seal

Tighten to **25 Nm**, see [the table](#codes).

- first
- second
  continued

3. close the valve
4. open the drain

| Code | Meaning | Action |
|------|---------|--------|
| P-E33 | Seal `leak` | Replace MS-85 |
| P-E34 | | Call |

### Drawing

![The seal, cut open](figures/seal.png "Seal in section")

```text
SET 1
SET 2
```
"""


def _parse(text: str, **images: bytes) -> tuple[Document, tuple[str, ...]]:
    files = {name.replace("__", "/") + ".png": data for name, data in images.items()}
    parsed = parse(SourceFile("pump/p.md", text.encode()), resolve=files.get)
    check_spans(parsed.documents[0])
    return parsed.documents[0], parsed.warnings


def test_sections_nest_and_start_with_their_heading_line() -> None:
    document, _ = _parse(MANUAL, figures__seal=png())
    assert [s.path for s in document.sections] == [
        ("Pump P-101",),
        ("Pump P-101", "Seal"),
        ("Pump P-101", "Seal", "Drawing"),
    ]
    for section in document.sections:
        assert document.text[section.start :].startswith(section.title + "\n")
    assert document.title == "Pump P-101"
    assert document.family == "pump"


def test_paragraphs_and_items_are_single_lines_and_numbers_stay() -> None:
    lines = _parse(MANUAL)[0].text.split("\n")
    assert "Intro line one wraps here." in lines
    assert "Tighten to 25 Nm, see the table." in lines
    assert {"first", "second continued", "3. close the valve", "4. open the drain"} <= set(lines)
    assert {"SET 1", "SET 2", "Codes: P-E33"} <= set(lines)


def test_a_table_row_is_understood_alone() -> None:
    document, _ = _parse(MANUAL)
    (table,) = document.tables
    assert document.text[table.start : table.end].split("\n") == [
        "Code: P-E33; Meaning: Seal leak; Action: Replace MS-85",
        "Code: P-E34; Action: Call",
    ]


def test_a_figure_has_its_caption_its_section_and_its_place() -> None:
    document, warnings = _parse(MANUAL, figures__seal=png())
    (figure,) = document.figures
    assert figure.caption == "Seal in section"
    assert figure.section_path[-1] == "Drawing"
    assert document.text[figure.start :].startswith("Seal in section")
    assert figure.media_type == "image/png"
    assert figure.image == png()
    assert warnings == ()


def test_a_figure_that_is_missing_damaged_or_remote_is_reported_and_its_caption_kept() -> None:
    text = "![gone](gone.png) \n\n![bad](bad.png)\n\n![far](https://example.org/x.png)\n\n![up](../../up.png)"
    document, warnings = _parse(text, bad=b"\x89PNG\r\n\x1a\n broken")
    assert document.figures == ()
    assert len(warnings) == 4
    assert all(word in document.text for word in ("gone", "bad", "far", "up"))


def test_front_matter_title_gives_way_to_the_same_heading_in_the_text() -> None:
    document, _ = _parse("---\ntitle: Guide\n---\n# Guide\n\ntext")
    assert document.text.count("Guide") == 1
    assert [s.level for s in document.sections] == [1]


def test_headings_of_the_same_name_get_ids_of_their_own() -> None:
    document, _ = _parse("# A\n## Check\nx\n## Check\ny\n## Check 2\nz")
    assert [s.id for s in document.sections] == ["a", "check", "check-2", "check-2-2"]


def test_text_before_the_first_heading_belongs_to_a_section_named_like_the_document() -> None:
    document, _ = _parse("Warning first.\n\n# Pump\n\ntext")
    assert document.sections[0].title == "Pump"
    assert document.text[document.sections[0].start : document.sections[0].end] == "Warning first."


def test_a_drawing_is_drawn() -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="2"><rect width="4" height="2" fill="red"/></svg>'
    parsed = parse(SourceFile("pump/p.md", b"![d](d.svg)"), resolve={"d.svg": svg}.get)
    (figure,) = parsed.documents[0].figures
    assert (figure.media_type, figure.caption, parsed.warnings) == ("image/png", "d", ())


def test_html_inside_markdown_is_read() -> None:
    document, _ = _parse(
        "<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>\n\n<!-- not this -->"
    )
    assert document.text == "A: 1; B: 2"
