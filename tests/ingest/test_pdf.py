"""PDFs as equipment makers print them: columns, running lines, ruled tables, figures, outlines, damage."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ingest.chunk import chunk
from ingest.limits import ParseLimits
from ingest.parse import ParsedSource, parse
from ingest.source import SourceFile
from lineside.errors import ParseError

from .invariants import check_passages, check_spans, count_words

canvas = pytest.importorskip("reportlab.pdfgen.canvas")
ImageReader = pytest.importorskip("reportlab.lib.utils").ImageReader

WIDTH, HEIGHT = 595.0, 842.0


class Printer:
    """Draws text at a place counted from the top left, so that a test reads like the page looks."""

    def __init__(self, **options: object) -> None:
        self.buffer = io.BytesIO()
        self.canvas = canvas.Canvas(self.buffer, pagesize=(WIDTH, HEIGHT), **options)

    def text(self, x: float, y: float, text: str, font: str = "Helvetica", size: float = 10) -> None:
        self.canvas.setFont(font, size)
        self.canvas.drawString(x, HEIGHT - y, text)

    def lines(self, x: float, y: float, texts: list[str], leading: float = 12) -> None:
        for place, text in enumerate(texts):
            self.text(x, y + place * leading, text)

    def grid(self, xs: list[float], ys: list[float]) -> None:
        self.canvas.grid(xs, [HEIGHT - y for y in ys])

    def image(self, x: float, y: float, width: float, height: float) -> None:
        noise = Image.effect_noise((64, 64), 80).convert("RGB")
        self.canvas.drawImage(ImageReader(noise), x, HEIGHT - y - height, width, height)

    def page(self) -> None:
        self.canvas.showPage()

    def parse(self, limits: ParseLimits | None = None) -> ParsedSource:
        self.canvas.save()
        parsed = parse(SourceFile("pump/p.pdf", self.buffer.getvalue()), limits=limits or ParseLimits())
        check_spans(parsed.documents[0])
        check_passages(parsed.documents[0], chunk(parsed.documents[0], count_tokens=count_words))
        return parsed


LEFT = [
    "The left column starts the text here and",
    "goes on with words that fill its lines, for",
    "a reader reads it to the end before the",
]
RIGHT = [
    "right column, which has lines at the same",
    "height and must not be mixed into the left",
    "one, as careless readers of pages would.",
]


def test_two_columns_are_read_one_after_the_other() -> None:
    printer = Printer()
    printer.text(60, 120, "A headline across both of the columns of this page, in full", size=16)
    printer.lines(60, 160, LEFT)
    printer.lines(310, 160, RIGHT)
    text = parse_text(printer)
    assert " ".join(LEFT + RIGHT) in text.replace("\n\n", " ")


def parse_text(printer: Printer) -> str:
    return printer.parse().documents[0].text


def test_words_divided_at_a_lines_end_are_joined_and_compounds_keep_their_hyphen() -> None:
    printer = Printer()
    printer.lines(
        60, 200, ["Check the tempera-", "ture of the high-", "pressure side; the high-pressure pump stops first."]
    )
    assert "Check the temperature of the high-pressure side;" in parse_text(printer)


def test_running_lines_go_and_page_numbers_are_right() -> None:
    printer = Printer()
    for number in range(1, 6):
        printer.text(60, 40, "Norrbro strip mill")
        printer.text(400, 40, f"Section {'ABCDE'[number - 1]}, running title")
        printer.text(280, 815, f"Page {number} of 5")
        printer.text(60, 110, f"{number} Chapter number {number}", "Helvetica-Bold", 16)
        printer.lines(60, 140, [f"This is the text of page {number}, which stays.", "It has a second line."])
        printer.page()
    (document,) = printer.parse().documents
    assert "Norrbro" not in document.text
    assert "Page" not in document.text
    assert "running title" not in document.text
    for page in document.pages:
        assert f"text of page {page.number}," in document.text[page.start : page.end]
    assert [s.title for s in document.sections] == [f"{n} Chapter number {n}" for n in range(1, 6)]


def test_chapter_titles_on_top_of_their_pages_stay() -> None:
    printer = Printer()
    for number in ("II", "IV", "VII", "IX"):
        printer.text(260, 80, f"ANNEX {number}")
        printer.lines(60, 140, ["The annex says what has to be done.", "It has a second line."])
        printer.page()
    (document,) = printer.parse().documents
    assert [s.title for s in document.sections] == ["ANNEX II", "ANNEX IV", "ANNEX VII", "ANNEX IX"]


@pytest.mark.parametrize("columns_drawn", [True, False])
def test_a_ruled_table_gives_a_line_a_row(columns_drawn: bool) -> None:
    printer = Printer()
    printer.text(60, 100, "Before the table there is a sentence of running text, as usual.")
    xs, ys = [60.0, 130.0, 300.0, 500.0], [120.0, 140.0, 175.0, 195.0]
    if columns_drawn:
        printer.grid(xs, ys)
    else:
        for y in ys:
            printer.canvas.line(xs[0], HEIGHT - y, xs[-1], HEIGHT - y)
    for x, header in zip(xs, ["Code", "Meaning", "Action"], strict=False):
        printer.text(x + 4, 134, header, "Helvetica-Bold")
    for x, y, text in [
        (64, 155, "P-E33"),
        (134, 155, "Seal leaks into"),
        (134, 167, "the tray"),
        (304, 155, "Replace MS-85"),
    ]:
        printer.text(x, y, text)
    for x, text in [(64, "P-E34"), (304, "Call the shift")]:
        printer.text(x, 189, text)
    (document,) = printer.parse().documents
    (table,) = document.tables
    assert document.text[table.start : table.end].split("\n") == [
        "Code: P-E33; Meaning: Seal leaks into the tray; Action: Replace MS-85",
        "Code: P-E34; Action: Call the shift",
    ]


def test_a_table_that_goes_on_keeps_its_header() -> None:
    printer = Printer()
    for number in (1, 2):
        printer.grid([60, 130, 300], [200, 220, 240])
        for y, cells in (
            ((214, ("Code", "Meaning")), (234, ("E-1", "one")))
            if number == 1
            else ((214, ("E-2", "two")), (234, ("E-3", "three")))
        ):
            font = "Helvetica-Bold" if cells[0] == "Code" else "Helvetica"
            printer.text(64, y, cells[0], font)
            printer.text(134, y, cells[1], font)
        printer.page()
    lines = parse_text(printer).split("\n")
    assert [line for line in lines if line] == [
        "Code: E-1; Meaning: one",
        "Code: E-2; Meaning: two",
        "Code: E-3; Meaning: three",
    ]


def test_headings_nest_by_size_and_number_and_body_text_is_none() -> None:
    printer = Printer()
    printer.text(60, 130, "1 Safety", "Helvetica-Bold", 16)
    printer.lines(60, 150, ["Read this before you start the pump for the first time.", "It matters to you."])
    printer.text(60, 200, "1.1 Lockout", "Helvetica-Bold", 12)
    printer.lines(60, 220, ["Lock the switch. Then test that nothing moves any more.", "Only then open it."])
    printer.text(60, 260, "Tools", "Helvetica-Bold", 10)
    printer.lines(60, 280, ["A lock, a tag and a tester are all that is needed here.", "Bring them along."])
    (document,) = printer.parse().documents
    assert [s.path for s in document.sections] == [
        ("1 Safety",),
        ("1 Safety", "1.1 Lockout"),
        ("1 Safety", "1.1 Lockout", "Tools"),
    ]


def test_a_figure_has_the_nearest_caption_its_section_page_and_picture() -> None:
    printer = Printer()
    printer.page()
    printer.text(60, 130, "Seal", "Helvetica-Bold", 16)
    printer.lines(60, 150, ["The seal keeps the water inside the pump, as it should.", "Figure 1 shows it."])
    printer.image(100, 190, 200, 150)
    printer.text(100, 356, "Figure 1: The seal, cut open")
    printer.image(100, 420, 200, 150)
    printer.text(100, 586, "Figure 2: The ring")
    (document,) = printer.parse().documents
    first, second = document.figures
    assert (first.caption, second.caption) == ("Figure 1: The seal, cut open", "Figure 2: The ring")
    assert (first.page, first.section_path) == (2, ("Seal",))
    assert document.text[second.start :].startswith("Figure 2: The ring")
    picture = Image.open(io.BytesIO(first.image))
    assert picture.size == (400, 300)
    assert len(set(picture.convert("L").get_flattened_data())) > 50


def test_a_scanned_page_is_reported() -> None:
    printer = Printer()
    printer.image(0, 0, WIDTH, HEIGHT)
    parsed = printer.parse()
    assert any("OCR" in warning and "1" in warning for warning in parsed.warnings)


def test_a_turned_page_reads_the_same() -> None:
    printer = Printer()
    printer.canvas.setPageRotation(90)
    printer.canvas.translate(WIDTH, 0)
    printer.canvas.rotate(90)
    for place, line in enumerate(
        ["The first line of a turned page stands here,", "and the second one follows below it."]
    ):
        printer.canvas.drawString(60, 400 - 12 * place, line)
    assert parse_text(printer) == "The first line of a turned page stands here, and the second one follows below it."


def test_encrypted_and_oversized_files_say_what_to_do() -> None:
    encryption = pytest.importorskip("reportlab.lib.pdfencrypt")
    printer = Printer(encrypt=encryption.StandardEncryption("secret", canPrint=0))
    printer.text(60, 100, "secret")
    with pytest.raises(ParseError, match="remove its password"):
        printer.parse()
    printer = Printer()
    for _ in range(4):
        printer.text(60, 100, "page")
        printer.page()
    with pytest.raises(ParseError, match="4 pages, over the limit of 3"):
        printer.parse(ParseLimits(max_pages=3))


def _small_pdf() -> bytes:
    printer = Printer(pageCompression=0)
    printer.text(60, 100, "Some text of a page.")
    printer.grid([60, 100, 200], [120, 140, 160])
    printer.image(60, 200, 100, 100)
    printer.canvas.save()
    return printer.buffer.getvalue()


SMALL = _small_pdf()


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, len(SMALL)), st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=10)
)
def test_damage_raises_nothing_but_parse_error(length: int, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(SMALL)
    for place, value in changes:
        damaged[place] = value
    for data in (bytes(damaged[:length]), bytes(damaged)):
        try:
            check_spans(parse(SourceFile("a.pdf", data)).documents[0])
        except ParseError:
            continue
