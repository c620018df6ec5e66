"""Which codes a corpus is taken to define."""

from __future__ import annotations

import pytest

from benchmarks.codes import codes_of_heading, rows_of_codes


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("G92 Coordinate System Offset", ["G92"]),
        ("M3, M4, M5 Spindle Control", ["M3", "M4", "M5"]),
        ("M98 and M99", ["M98", "M99"]),
        ("G5.2 G5.3 NURBS Block", ["G5.2", "G5.3"]),
        ("E-452 Overcurrent", ["E-452"]),
        ("G10 L10 Set Tool Table", ["G10"]),  # an argument is no code
        ("G38.n Straight Probe", []),
        ("Alarm codes of F1", []),
    ],
)
def test_a_heading_defines_the_codes_that_it_begins_with(heading: str, codes: list[str]) -> None:
    assert codes_of_heading(heading) == codes


@pytest.mark.parametrize(
    ("row", "codes"),
    [
        ("Code: HYD-A14; Meaning: Pressure too low; Action: Check the pump", ["HYD-A14"]),
        ("Alarm no.: 412; Meaning: Overtravel", ["412"]),
        ("Code: G20 G21; Description: Units", ["G20", "G21"]),
        ("Code: G10 L1; Description: Set Tool Table", ["G10"]),
        ("Code: G54-G59.3; Description: Select Coordinate System", []),  # a range
        ("Letter: A; Meaning: A axis of machine", []),
        ("Code: none; Meaning: nothing", []),
    ],
)
def test_a_row_of_a_table_of_codes_defines_those_of_its_first_column(row: str, codes: list[str]) -> None:
    assert [code for code, _ in rows_of_codes(f"Alarms\n{row}")] == codes
