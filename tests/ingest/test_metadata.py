"""Front matter: known fields checked, the rest readable, nothing that can hurt."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingest.limits import DEFAULT_LIMITS
from ingest.metadata import front_matter_lines, readable_lines, split_front_matter
from lineside.errors import ParseError


def test_known_fields_are_taken_and_the_body_follows() -> None:
    metadata, body = split_front_matter(
        "---\ntitle: Pump\nfamily: pump\nkind: sop\ntime: 2025-03-01\nlang: de\n---\nText", DEFAULT_LIMITS
    )
    assert (metadata.title, metadata.family, metadata.kind, metadata.language) == ("Pump", "pump", "sop", "de")
    assert metadata.time == datetime(2025, 3, 1, tzinfo=UTC)
    assert body == "Text"


def test_a_text_without_front_matter_is_left_alone() -> None:
    for text in ("Text\n---\nmore", "---\nonly a rule above", "---\nA heading\n---\ntext"):
        assert split_front_matter(text, DEFAULT_LIMITS)[1] == text


@pytest.mark.parametrize(
    ("front_matter", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("- a\n- b", "name: value"),
        ("kind: novel", "use one of manual, sop, incident"),
        ("time: yesterday", "ISO 8601"),
        ("when: 2025-13-45", "not valid YAML"),
        ("a: &a [x, x]\nb: [*a, *a]", "alias"),
    ],
)
def test_bad_front_matter_says_what_is_wrong(front_matter: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        split_front_matter(f"---\n{front_matter}\n---\ntext", DEFAULT_LIMITS)


def test_unknown_tags_are_text_and_never_run() -> None:
    metadata, _ = split_front_matter("---\nrequires: !PIDTEMPBED\nx: !python/name:os.system a\n---\n", DEFAULT_LIMITS)
    assert metadata.fields["requires"] == "!PIDTEMPBED"
    assert metadata.fields["x"] == "!python/name:os.system a"


def test_lists_of_mappings_read_as_rows() -> None:
    rows = dict(readable_lines({"parameters": [{"tag": "S", "optional": True, "description": "Target <br/>`temp`"}]}))
    assert rows["Parameters"] == ["Parameters: Tag: S; Optional: yes; Description: Target temp"]


def test_a_code_and_what_it_does_are_one_row_and_the_other_fields_lines_below_it() -> None:
    fields = {
        "brief": "Set a new target hot end temperature.",
        "codes": ["M104"],
        "related": ["M109"],
        "parameters": [{"tag": "S", "description": "Target"}],
    }
    assert front_matter_lines(fields) == [
        "Codes: M104; Brief: Set a new target hot end temperature",
        "Related: M109",
        "Parameters: Tag: S; Description: Target",
    ]


def test_a_description_that_is_long_or_names_nothing_is_a_line_of_its_own() -> None:
    assert front_matter_lines({"about": "word " * 100, "codes": "M104"})[0] == "Codes: M104"
    assert front_matter_lines({"revision": "2", "summary": "All pumps."}) == ["Summary: All pumps.", "Revision: 2"]
