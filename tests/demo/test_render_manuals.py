"""Manuals become files that a plant would really have."""

from __future__ import annotations

import io
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from demo.manual_pdf import render_manual
from demo.render_manuals import render_manuals

HEAD = "---\ntitle: Pump care\nfamily: pump\nkind: manual\nrevision: 2.1\n{extra}---\n"
BODY = """# Pump care

## Seal limits

Keep the flush at 2 bar ≥ the casing pressure & below 8 °C.

| Code | Meaning |
|---|---|
| P-X1 | Seal **hot** |
| P-X2 | Flow low |

![Cut through the seal](figures/pump-seal.png)

### Steps

1. Stop the pump.
2. Close the valve.

"""


def _png(size: tuple[int, int] = (64, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (20, 90, 160)).save(buffer, "PNG")
    return buffer.getvalue()


def _render(body: str = BODY, extra: str = "") -> pypdfium2.PdfDocument:
    return pypdfium2.PdfDocument(render_manual(HEAD.format(extra=extra) + body, lambda _link: _png()))


def _text(document: pypdfium2.PdfDocument) -> str:
    return "\n".join(page.get_textpage().get_text_bounded() for page in document)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    family = tmp_path / "knowledge" / "pump"
    family.mkdir(parents=True)
    (family / "care.pdf.md").write_text(HEAD.format(extra="") + BODY, encoding="utf-8")
    (family / "short.md").write_text("# Short\n\n![A cut](figures/pump-seal.png)\n", encoding="utf-8")
    (family / "page.html").write_text('<figure><img src="figures/pump-curve.png"></figure>', encoding="utf-8")
    (family / "incidents.jsonl").write_text('{"id": "IR-1"}\n', encoding="utf-8")
    figures = tmp_path / "figures/pump"
    figures.mkdir(parents=True)
    (figures / "pump-seal.png").write_bytes(_png())
    (figures / "pump-curve.png").write_bytes(_png((80, 50)))
    return tmp_path


def test_pdf_sources_are_typeset_and_the_rest_is_copied_with_its_figures(
    plant: Path,
) -> None:
    written = render_manuals(plant / "knowledge", plant / "figures", plant / "out")
    assert [p.relative_to(plant / "out").as_posix() for p in written] == [
        "pump/care.pdf",
        "pump/incidents.jsonl",
        "pump/page.html",
        "pump/short.md",
    ]
    assert {p.name for p in (plant / "out/pump/figures").iterdir()} == {
        "pump-seal.png",
        "pump-curve.png",
    }
    assert (plant / "out/pump/care.pdf").read_bytes().startswith(b"%PDF-")


def test_same_sources_give_the_same_bytes_and_leave_files_untouched(
    plant: Path,
) -> None:
    first = render_manuals(plant / "knowledge", plant / "figures", plant / "out")
    times = [p.stat().st_mtime_ns for p in first]
    render_manuals(plant / "knowledge", plant / "figures", plant / "out")
    second = render_manuals(plant / "knowledge", plant / "figures", plant / "elsewhere")
    assert [p.stat().st_mtime_ns for p in first] == times
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_missing_figure_is_named(plant: Path) -> None:
    (plant / "figures/pump/pump-seal.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"pump/pump-seal\.png"):
        render_manuals(plant / "knowledge", plant / "figures", plant / "out")


def test_unusable_pdf_source_is_named(plant: Path) -> None:
    (plant / "knowledge/pump/bad.pdf.md").write_text("# No head\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"pump/bad\.pdf\.md: .*front matter"):
        render_manuals(plant / "knowledge", plant / "figures", plant / "out")


def test_every_page_has_running_header_and_numbered_footer() -> None:
    document = _render(BODY * 6)
    assert len(document) >= 3
    for number, page in enumerate(document, start=1):
        text = page.get_textpage().get_text_bounded()
        assert "Norrbro strip mill, line 2" in text
        assert "Revision 2.1" in text
        assert f"Page {number} of {len(document)}" in text


def test_title_is_in_the_metadata_and_headings_are_bookmarks() -> None:
    document = _render()
    assert document.get_metadata_value("Title") == "Pump care"
    assert [(b.level, b.get_title()) for b in document.get_toc()] == [
        (0, "Seal limits"),
        (1, "Steps"),
    ]


def test_text_of_tables_lists_figures_and_symbols_can_be_extracted() -> None:
    text = _text(_render())
    for expected in (
        "2 bar ≥ the casing pressure & below 8 °C",
        "P-X2",
        "Seal hot",
        "Figure 1: Cut through the seal",
    ):
        assert expected in text
    assert text.index("1.") < text.index("Stop the pump.") < text.index("Close the valve.")


def test_two_columns_stand_side_by_side() -> None:
    text_page = _render("## A\n\n" + "word " * 900, extra="columns: 2\n")[0].get_textpage()
    lefts = [text_page.get_rect(i)[0] for i in range(text_page.count_rects())]
    assert any(x < 100 for x in lefts)
    assert any(x > 300 for x in lefts)


def test_character_without_glyph_is_refused() -> None:
    with pytest.raises(ValueError, match="no glyph"):
        _render("## A\n\nA snowman ☃ stands here.\n")


def test_table_that_fills_pages_repeats_its_header() -> None:
    rows = "".join(f"| C-{i} | meaning {i} |\n" for i in range(120))
    document = _render("## Codes\n\n| Code | Meaning |\n|---|---|\n" + rows)
    assert len(document) >= 3
    assert all("Meaning" in page.get_textpage().get_text_bounded() for page in document)


def test_heading_stays_on_the_page_of_its_figure_or_paragraph() -> None:
    for filler in range(20, 60):
        document = _render("filler\n\n" * filler + "## Upper\n\n### Lower\n\n![Cut](figures/pump-seal.png)\n")
        pages = [page.get_textpage().get_text_bounded() for page in document]
        (home,) = (text for text in pages if "Upper" in text)
        assert "Lower" in home
        assert "Figure 1: Cut" in home
