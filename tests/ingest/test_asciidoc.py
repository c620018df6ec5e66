"""AsciiDoc as LinuxCNC writes it."""

from __future__ import annotations

from ingest.parse import parse
from ingest.source import SourceFile
from lineside.documents import Document

from .invariants import check_spans, png

MANUAL = """:lang: en
:unit: mm

[[cha:codes]]
= Codes (((index)))

// a comment
== Table [[anchor]]

[options="header",cols="1,2"]
|===
|Code | Meaning
|<<g1,G1>> | 'Straight' move
in {unit}
2+|across both
|===

.Spindle
image::images/spindle.png["The spindle",align="center"]

* 'M3' - start the
  spindle.
** nested

. first
. second

IP54:: dust
  proof

[NOTE]
Mind the +gap+, see link:other.html[the other
page].

----
S100 $0 <1>
----

|===
|a |b

|1 |2
|===

include::more.adoc[]
"""


def _parse(text: str) -> tuple[Document, tuple[str, ...]]:
    parsed = parse(SourceFile("cnc/g.adoc", text.encode()), resolve={"images/spindle.png": png()}.get)
    check_spans(parsed.documents[0])
    return parsed.documents[0], parsed.warnings


def test_headings_lose_anchors_and_index_terms() -> None:
    document, _ = _parse(MANUAL)
    assert [s.path for s in document.sections] == [("Codes",), ("Codes", "Table")]


def test_tables_with_and_without_header_options() -> None:
    document, _ = _parse(MANUAL)
    rows = [document.text[t.start : t.end].split("\n") for t in document.tables]
    assert rows == [
        ["Code: G1; Meaning: Straight move in mm", "Code: across both; Meaning: across both"],
        ["a: 1; b: 2"],
    ]


def test_lists_notes_and_listings_are_lines() -> None:
    lines = _parse(MANUAL)[0].text.split("\n")
    for line in (
        "M3 - start the spindle.",
        "nested",
        "1. first",
        "2. second",
        "IP54: dust proof",
        "Note: Mind the gap, see the other page.",
        "S100 $0",
    ):
        assert line in lines


def test_a_block_title_is_the_caption_of_its_figure() -> None:
    (figure,) = _parse(MANUAL)[0].figures
    assert figure.caption == "Spindle"
    assert figure.section_path == ("Codes", "Table")


def test_comments_attributes_and_includes_are_no_text() -> None:
    document, warnings = _parse(MANUAL)
    assert not any(word in document.text for word in ("comment", ":lang:", "include::", "[["))
    assert len(warnings) == 1
    assert "more.adoc" in warnings[0]


def test_identifiers_keep_their_underscores_and_stars() -> None:
    document, _ = _parse("Set `DISABLE_AUTO_G54` to 2 * 3 and run my_file_name.ngc now.")
    assert document.text == "Set DISABLE_AUTO_G54 to 2 * 3 and run my_file_name.ngc now."
