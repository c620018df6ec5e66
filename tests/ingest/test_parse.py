"""The one door: every input gives documents whose spans hold, or a ParseError that says what to do."""

from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from docx import Document as new_docx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.chunk import chunk
from ingest.limits import ParseLimits
from ingest.parse import DOCUMENT_EXTENSIONS, is_document, parse
from ingest.source import SourceFile
from lineside.errors import ParseError

from .invariants import check_passages, check_spans, count_words, png

_FRAGMENTS = st.sampled_from(
    [
        "# T\n", "## A\n", "== B\n", "= C\n", "---\n", "title: x\n", "|===\n", "|a |b\n", "| a | b |\n", "|---|---|\n",
        "----\n", "* item\n", "1. one\n", "- x\n", "\n", "\n\n", "text. More text! ", "E-452 ", "<table><tr><td>a</td>",
        "<h2>h</h2>", "<p>", "</p>", "<ul><li>i", "image::a.png[x]\n", "![c](a.png)", "((( ", "2+|c\n", "\t", "é ß ™ ",
        "[[a]]\n", "{x}", "<<a,b>>", "```\n", "> q\n", "term:: d\n", "NOTE: n\n", ".T\n", "&amp;", "=====\n", "....\n",
        "\u2028", "\u00a0", "\ufeff", '{"id": "1", "a": "b"}\n', "id,title\n1,x\n",
    ]
)  # fmt: skip
_TEXT_EXTENSIONS = sorted(DOCUMENT_EXTENSIONS - {".pdf", ".docx"})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(DOCUMENT_EXTENSIONS)),
    st.binary(max_size=300),
    st.sampled_from([b"", b"%PDF-1.4\n", b"PK\3\4"]),
)
def test_random_bytes_raise_nothing_but_parse_error(extension: str, data: bytes, start: bytes) -> None:
    source = SourceFile("f/x" + extension, start + data)
    try:
        parsed = parse(source)
    except ParseError:
        with pytest.raises(ParseError, match=r"^f/x\.\w+: \S"):
            parse(source)
        return
    for document in parsed.documents:
        check_spans(document)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_TEXT_EXTENSIONS), st.lists(_FRAGMENTS | st.text(max_size=8), max_size=30), st.integers(16, 60))
def test_any_mixture_of_markup_keeps_every_span_exact(extension: str, pieces: list[str], size: int) -> None:
    source = SourceFile("f/x" + extension, "".join(pieces).encode("utf-8", "surrogatepass"))
    try:
        parsed = parse(source, resolve={"a.png": png()}.get)
    except ParseError:
        return
    assert parse(source, resolve={"a.png": png()}.get) == parsed
    for document in parsed.documents:
        check_spans(document)
        check_passages(document, chunk(document, count_tokens=count_words, max_tokens=size))


@pytest.mark.parametrize(
    ("path", "data", "message"),
    [
        ("a.xlsx", b"PK", "extension is not read: use one of"),
        ("a", b"x", "no extension"),
        ("a.md", b" \n ", "is empty"),
        ("a.md", b"text \x00 text", "control bytes"),
        ("a.md", b"\x81\x8d\x8f text", "neither UTF-8 nor Windows-1252"),
        ("a.txt", bytes(range(0xC0, 0x100)) * 3, "too few letters"),
        ("a.pdf", b"hello", "is not a PDF"),
        ("a.pdf", b"%PDF-1.7\n1 0 obj\n<<", "damaged or cut short"),
        ("a.docx", b"PK\x03\x04 cut", "not a DOCX archive, or is cut short"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "remove its password"),
        ("a.jsonl", b"{}", "no report that can be used"),
    ],
)
def test_the_message_says_what_is_wrong(path: str, data: bytes, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        parse(SourceFile(path, data))
    assert str(caught.value).startswith(path + ": ")


def test_windows_text_and_byte_order_marks_are_read() -> None:
    for encoding in ("cp1252", "utf-8-sig", "utf-16"):
        data = "Höchste Temperatur 25 °C".encode(encoding)
        assert parse(SourceFile("a.txt", data)).documents[0].text == "Höchste Temperatur 25 °C"


def test_frame_labels_are_no_document() -> None:
    assert not is_document("frames/pump/labels.csv")
    assert is_document("pump/incidents.csv")


def test_a_text_over_the_limit_is_refused() -> None:
    with pytest.raises(ParseError, match="limit of 100 characters"):
        parse(SourceFile("a.txt", b"word " * 50), limits=ParseLimits(max_text_chars=100))


def _docx() -> bytes:
    document = new_docx()
    document.add_heading("Press", 1)
    document.add_paragraph("Before use, read this.")
    document.add_heading("Codes", 2)
    document.add_paragraph("first", style="List Number")
    table = document.add_table(2, 3)
    for place, text in enumerate(["Code", "Meaning", "Action", "E-452", "Overload", "Stop"]):
        table.rows[place // 3].cells[place % 3].text = text
    document.add_picture(io.BytesIO(png()))
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_docx_headings_tables_and_pictures() -> None:
    parsed = parse(SourceFile("press/guide.docx", _docx()))
    (document,) = parsed.documents
    check_spans(document)
    assert [s.path for s in document.sections] == [("Press",), ("Press", "Codes")]
    assert "Code: E-452; Meaning: Overload; Action: Stop" in document.text.split("\n")
    assert [f.section_path[-1] for f in document.figures] == ["Codes"]
    assert parsed.warnings == ()


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 20_000_000)
    with pytest.raises(ParseError, match="times its size"):
        parse(SourceFile("a.docx", buffer.getvalue()))
    with pytest.raises(ParseError, match="unpacks to 20000000 bytes"):
        parse(SourceFile("a.docx", buffer.getvalue()), limits=ParseLimits(max_unpacked_bytes=1_000_000))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_docx_raises_nothing_but_parse_error(data: st.DataObject) -> None:
    damaged = bytearray(_docx())
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ParseError):
        parse(SourceFile("a.docx", bytes(damaged)))
