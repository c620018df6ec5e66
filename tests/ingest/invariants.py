"""What must hold of every document and its passages, a word counter in place of a tokenizer, a small image."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from lineside.documents import Document, Passage


def count_words(texts: Sequence[str]) -> list[int]:
    """Stands for a tokenizer: exact and additive, like one that splits at white space first."""
    return [len(text.split()) for text in texts]


def png(width: int = 8, height: int = 8, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def check_spans(document: Document) -> None:
    """Every span lies inside the text; sections nest; pages follow each other; figures name their section."""
    size = len(document.text)
    by_id = {section.id: section for section in document.sections}
    assert len(by_id) == len(document.sections)
    for section in document.sections:
        assert 0 <= section.start <= section.end <= size
        assert section.path[-1] == section.title
    for a in document.sections:
        for b in document.sections:
            if a.start < b.start < a.end:
                assert b.end <= a.end
    before = 0
    for page in document.pages:
        assert before <= page.start <= page.end <= size
        before = page.end
    for table in document.tables:
        assert 0 <= table.start < table.end <= size
        assert document.text[table.start : table.end].strip()
    for figure in document.figures:
        assert 0 <= figure.start <= size
        if figure.section_id is not None:
            section = by_id[figure.section_id]
            assert section.start <= figure.start <= section.end
            assert figure.section_path == section.path


def check_passages(document: Document, passages: Sequence[Passage]) -> None:
    """Passages are verbatim spans inside one section and one page, and nothing but headings is left out."""
    covered = bytearray(len(document.text))
    by_id = {section.id: section for section in document.sections}
    pages = {page.number: page for page in document.pages}
    assert len({passage.id for passage in passages}) == len(passages)
    for passage in passages:
        assert passage.text == document.text[passage.start : passage.end]
        assert passage.text.strip() == passage.text != ""
        covered[passage.start : passage.end] = b"\1" * (passage.end - passage.start)
        if passage.section_id is not None:
            section = by_id[passage.section_id]
            assert section.start <= passage.start
            assert passage.end <= section.end
            assert passage.section_path == section.path
        if passage.page is not None:
            page = pages[passage.page]
            assert page.start <= passage.start
            assert passage.end <= page.end
    for section in document.sections:  # a heading's own line may be left to the path
        end = section.start + len(section.title)
        if document.text.startswith(section.title, section.start):
            covered[section.start : end] = b"\1" * (end - section.start)
    missing = [n for n, character in enumerate(document.text) if not character.isspace() and not covered[n]]
    assert not missing, document.text[missing[0] : missing[0] + 80]
