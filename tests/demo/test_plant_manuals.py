"""The plant's own manuals find their figures and become PDFs that a parser has something to do with."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest

from demo.render_figures import render_figures
from demo.render_manuals import render_manuals

DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("figures")
    render_figures(out)
    return out


@pytest.fixture(scope="module")
def plant(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return render_manuals(DEMO / "knowledge", figures, tmp_path_factory.mktemp("plant"))


def test_plant_has_sixteen_manuals_and_an_incident_file_for_each_family(plant: list[Path]) -> None:
    assert sum(path.suffix in (".pdf", ".md", ".html") for path in plant) == 16
    assert sum(path.name == "incidents.jsonl" for path in plant) == 8


def test_pdf_manuals_have_pages_titles_and_bookmarks(plant: list[Path]) -> None:
    pdfs = [path for path in plant if path.suffix == ".pdf"]
    assert len(pdfs) == 5
    for path in pdfs:
        document = pypdfium2.PdfDocument(path)
        text = " ".join(" ".join(page.get_textpage().get_text_bounded() for page in document).split())
        assert len(document) >= 4, path.name
        assert document.get_metadata_value("Title") in text
        bookmarks = [bookmark.get_title() for bookmark in document.get_toc()]
        assert len(bookmarks) >= 8
        assert all(" ".join(title.split()) in text for title in bookmarks)
        assert "Figure 2: " in text
