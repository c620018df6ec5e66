"""Documents that nobody here wrote: all of them parse, and a cited page holds what the citation says."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ingest.asciidoc import _INLINE_IMAGE
from ingest.chunk import chunk
from ingest.images import check_image, is_svg
from ingest.limits import DEFAULT_LIMITS
from ingest.parse import is_document, parse
from ingest.source import folder_resolver, list_folder, read_file
from ingest.svg import render_svg
from lineside.documents import Document

from .invariants import check_passages, check_spans, count_words

pytestmark = pytest.mark.slow

Folder = Callable[[str], Path]
_BLOCK_IMAGE = re.compile(r"^image::(\S+?)\[", re.MULTILINE)

# Lines in the margins of the six PDFs, as their pages show them.
RUNNING = {
    "osha3157.pdf": ["A Guide for Protecting Workers from Woodworking Hazards\n\n", "Appendix D—Sample"],
    "osha3170.pdf": ["S A F E G U A R D I N G", "SAFEGUARDING EQUIPMENT AND PROTECTING EMPLOYEES FROM AMPUTATIONS"],
    "CELEX_32023R1230_EN_TXT.pdf": ["Official Journal of the European Union EN", "L 165/"],
    "sistema_cookbook1_end.pdf": ["SISTEMA Cookbook (Version 1.0)"],
    "Machine Guarding Checklist.pdf": ["NJ State AFL-CIO", "Page 1 of 2"],
    "oem-sp123_-en-p.pdf": ["Substantial Modifications PG"],
}


@cache
def _parsed(root: Path, path: str) -> tuple[Document, tuple[str, ...]]:
    parsed = parse(read_file(root, path), resolve=folder_resolver(root, path))
    return parsed.documents[0], parsed.warnings


@pytest.mark.parametrize("folder", ["linuxcnc", "marlin", "pdf"])
def test_everything_parses_and_every_span_holds(shared_data: Folder, folder: str) -> None:
    root = shared_data(folder)
    paths = [path for path in list_folder(root) if is_document(path)]
    assert len(paths) >= 6
    for path in paths:
        document, _ = _parsed(root, path)
        check_spans(document)
        check_passages(document, chunk(document, count_tokens=count_words, max_tokens=120))


def test_every_figure_link_that_resolves_gives_a_figure_with_its_section(shared_data: Folder) -> None:
    root = shared_data("linuxcnc")
    found = 0
    for path in (path for path in list_folder(root) if path.endswith(".adoc")):
        source = read_file(root, path).data.decode()
        resolve = folder_resolver(root, path)
        document, _ = _parsed(root, path)
        images = Counter(figure.image for figure in document.figures)
        for link in _BLOCK_IMAGE.findall(source) + [m[0] for m in _INLINE_IMAGE.findall(source)]:
            data = resolve(link)
            if data is None:
                continue
            image = (render_svg if is_svg(data) else check_image)(data, DEFAULT_LIMITS).data
            assert images[image] > 0, (path, link)
            images[image] -= 1
            found += 1
        assert all(figure.section_id for figure in document.figures)
    assert found > 240


def test_marlin_codes_are_found_with_their_parameters(shared_data: Folder) -> None:
    root = shared_data("marlin")
    document, _ = _parsed(root, "_gcode/M104.md")
    assert document.title == "Set Hotend Temperature"
    assert "Codes: M104" in document.text
    assert re.search(r"^Parameters: Tag: B; Optional: yes; Requires: AUTOTEMP; .*Maximum auto", document.text, re.M)


def test_the_cited_page_of_a_pdf_holds_the_passages_words(shared_data: Folder) -> None:
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    root = shared_data("pdf")
    passages = missed = 0
    for path in list_folder(root):
        document, _ = _parsed(root, path)
        pages: dict[int, str] = {}
        for passage in chunk(document, count_tokens=count_words, max_tokens=120):
            assert passage.page is not None
            if passage.page not in pages:
                number = str(passage.page)
                command = [tool, "-f", number, "-l", number, "-enc", "UTF-8", str(root / path), "-"]
                pages[passage.page] = subprocess.run(command, capture_output=True, check=True).stdout.decode()
            words, letters = set(_words(pages[passage.page])), "".join(_words(pages[passage.page]))
            passages += 1
            # A word divided at a line's end is found among the letters without their white space.
            missed += not all(word in words or word in letters for word in _words(passage.text))
    assert passages > 1_000
    assert missed / passages <= 0.02


def test_hardly_a_word_of_a_pdf_is_lost(shared_data: Folder) -> None:
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    root = shared_data("pdf")
    for path in list_folder(root):
        document, _ = _parsed(root, path)
        letters = "".join(_words(document.text))
        shown = subprocess.run([tool, "-enc", "UTF-8", str(root / path), "-"], capture_output=True, check=True)
        words = [word for word in _words(shown.stdout.decode()) if len(word) > 3]
        lost = sum(word not in letters for word in words)
        assert lost / len(words) <= 0.02, path


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


def test_no_running_header_or_footer_is_left(shared_data: Folder) -> None:
    root = shared_data("pdf")
    for path in list_folder(root):
        document, _ = _parsed(root, path)
        passages = chunk(document, count_tokens=count_words, max_tokens=120)
        for line in RUNNING[path]:
            kept = sum(line.strip() in passage.text for passage in passages if (passage.page or 0) > 7)
            assert kept == 0, (path, line)
        # Whatever stands alone on three pages or more in the same words is a running line.
        alone = Counter(passage.text for passage in passages if "\n" not in passage.text and len(passage.text) < 80)
        pages = {text: {p.page for p in passages if p.text == text} for text in alone}
        assert not [text for text, numbers in pages.items() if len(numbers) >= 4], path
