"""Ids are readable, URL-safe, stable and never collide."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ingest.identity import document_id, report_id, slug

_PATHS = st.lists(st.text("ab.- é~", min_size=1, max_size=4), min_size=1, max_size=3).map("/".join)


def test_document_id_reads_like_its_path() -> None:
    assert document_id("furnace/furnace-operation.md") == "furnace.furnace-operation.md"


def test_report_id_is_the_file_and_the_report() -> None:
    assert report_id("pump/incidents.jsonl", "IR-2025-0501") == "pump.incidents.IR-2025-0501"


def test_paths_that_read_alike_get_different_ids() -> None:
    paths = ["a/b/c.md", "a/b.c.md", "a.b/c.md", "a.b.c.md", "a/b/c/md", "a b/c.md", "a-b/c.md", "a?b/c.md"]
    assert len({document_id(path) for path in paths}) == len(paths)


@given(st.sets(_PATHS, min_size=2, max_size=6))
def test_ids_of_different_paths_differ(paths: set[str]) -> None:
    assert len({document_id(path) for path in paths}) == len(paths)


@given(st.text(min_size=1), st.text(min_size=1))
def test_ids_are_safe_in_a_url(path: str, report: str) -> None:
    for made in (document_id(path), report_id(path, report), slug(path)):
        assert re.fullmatch(r"[A-Za-z0-9._~-]+", made)
        assert len(made) < 400


@given(st.text())
def test_slug_is_short_lower_case_and_never_empty(title: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,60}", slug(title))
