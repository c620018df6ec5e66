"""Incident reports: a document each, a bad one reported and skipped."""

from __future__ import annotations

import json

import pytest

from ingest.parse import parse
from ingest.source import SourceFile
from lineside.errors import ParseError

from .invariants import check_spans

REPORT = {
    "id": "IR-1",
    "title": "Seal leaked",
    "family": "pump",
    "time": "2025-01-02T03:04:00+00:00",
    "symptom": "Water on the floor.",
    "parts_replaced": ["MS-85", "O-ring"],
    "downtime_minutes": 12,
}


def _lines(*reports: object) -> bytes:
    return "\n".join(r if isinstance(r, str) else json.dumps(r) for r in reports).encode()


def test_a_report_is_a_document_with_one_section_named_by_its_id() -> None:
    (document,) = parse(SourceFile("pump/incidents.jsonl", _lines(REPORT))).documents
    check_spans(document)
    assert document.id == "pump.incidents.IR-1"
    assert (document.kind, document.family, document.title) == ("incident", "pump", "Seal leaked")
    assert document.time is not None
    assert document.time.isoformat() == "2025-01-02T03:04:00+00:00"
    assert [s.title for s in document.sections] == ["IR-1"]
    assert document.text.split("\n") == [
        "IR-1",
        "",
        "Seal leaked",
        "",
        "Time: 2025-01-02 03:04",
        "Symptom: Water on the floor.",
        "Parts replaced: MS-85, O-ring",
        "Downtime minutes: 12",
    ]


def test_a_new_report_leaves_the_versions_of_the_others() -> None:
    before = parse(SourceFile("p/i.jsonl", _lines(REPORT))).documents[0]
    after = parse(SourceFile("p/i.jsonl", _lines({**REPORT, "id": "IR-0"}, REPORT))).documents[1]
    assert before == after
    changed = parse(SourceFile("p/i.jsonl", _lines({**REPORT, "symptom": "None."}))).documents[0]
    assert changed.id == before.id
    assert changed.version != before.version


def test_bad_lines_are_reported_and_the_rest_is_read() -> None:
    parsed = parse(
        SourceFile("p/i.jsonl", _lines("{broken", "[1]", {"title": "no id"}, REPORT, REPORT, {"id": "E"}, ""))
    )
    assert [d.id for d in parsed.documents] == ["p.i.IR-1"]
    assert [w.split()[1] for w in parsed.warnings] == ["1", "2", "3", "5", "6"]


def test_a_file_without_a_usable_report_is_an_error() -> None:
    with pytest.raises(ParseError, match="no report that can be used; line 1"):
        parse(SourceFile("p/i.jsonl", b"{}\n"))


def test_csv_reports_read_by_their_header() -> None:
    text = 'id,title,time,symptom\nIR-1,Leak,2025-01-02,"Water, much."\nIR-2,Noise,never,\nIR-3,a,b,c,d\n'
    parsed = parse(SourceFile("pump/incidents.csv", text.encode()))
    assert [d.id for d in parsed.documents] == ["pump.incidents.csv.IR-1"]
    assert "Symptom: Water, much." in parsed.documents[0].text
    assert len(parsed.warnings) == 2
