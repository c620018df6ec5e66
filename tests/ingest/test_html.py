"""HTML: what a reader reads, without navigation and scripts."""

from __future__ import annotations

import base64

import pytest

from ingest.parse import parse
from ingest.source import SourceFile
from lineside.documents import Document
from lineside.errors import ParseError

from .invariants import check_spans, png

PAGE = """<!doctype html><html lang="en"><head><title>Welder W1</title><meta name="family" content="welder">
<style>p{}</style><script>var hidden = "no";</script></head><body><nav><a href="#x">Menu entry</a></nav>
<h1>Welder <em>W1</em></h1><p>First<br>second &amp; third.</p>
<h2>Codes</h2><table><caption>Trip codes</caption><thead><tr><th>Code</th><th colspan="2">Value</th></tr></thead>
<tr><td rowspan="2">W-1</td><td>10</td><td>bar</td></tr><tr><td>20</td><td>psi</td></tr></table>
<figure><img src="f.png" alt="alt"><figcaption>Layout of <b>W1</b></figcaption></figure>
<ol start="3"><li>open<ul><li>inner</li></ul></li><li>close</li></ol><dl><dt>IP54</dt><dd>dust</dd></dl>
<pre>A 1
B 2</pre><div>loose <span>text</span><p>block</p>tail</div></body></html>"""


def _parse(text: str) -> Document:
    parsed = parse(SourceFile("w/page.html", text.encode()), resolve={"f.png": png()}.get)
    check_spans(parsed.documents[0])
    return parsed.documents[0]


def test_headings_metadata_and_family() -> None:
    document = _parse(PAGE)
    assert document.title == "Welder W1"
    assert document.family == "welder"
    assert [s.path for s in document.sections] == [("Welder W1",), ("Welder W1", "Codes")]


def test_navigation_scripts_and_styles_are_left_out() -> None:
    text = _parse(PAGE).text
    assert not any(word in text for word in ("Menu", "hidden", "p{}"))


def test_lists_code_and_loose_text_are_lines() -> None:
    lines = _parse(PAGE).text.split("\n")
    expected = [
        "First second & third.",
        "3. open",
        "inner",
        "4. close",
        "IP54: dust",
        "A 1",
        "B 2",
        "loose text",
        "block",
    ]
    assert [line for line in lines if line in expected] == expected
    assert lines[-1] == "tail"


def test_spanned_cells_are_repeated_in_every_row() -> None:
    document = _parse(PAGE)
    (table,) = document.tables
    assert document.text[table.start : table.end].split("\n") == [
        "Trip codes",
        "Code: W-1; Value: 10; Value: bar",
        "Code: W-1; Value: 20; Value: psi",
    ]


def test_figure_takes_its_caption_from_figcaption() -> None:
    (figure,) = _parse(PAGE).figures
    assert figure.caption == "Layout of W1"
    assert figure.section_path[-1] == "Codes"


def test_an_inline_image_is_read_from_its_data_url() -> None:
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert len(_parse(f"<p>x</p><img src='{url}' alt='dot'>").figures) == 1


def test_nesting_that_cannot_be_read_is_an_error_and_not_a_silent_cut() -> None:
    assert _parse("<b>" * 150 + "x" + "</b>" * 150).text == "x"
    for tag in ("b", "div"):
        with pytest.raises(ParseError, match="nested"):
            _parse(f"<{tag}>" * 3000 + "x" + f"</{tag}>" * 3000)


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><p>&b;</p>'
    assert "aaaaaaaa" not in _parse(bomb + "<p>ok</p>").text
