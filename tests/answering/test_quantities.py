"""Numbers and units as manuals write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.answering.claims import state
from lineside.answering.quantities import QUANTITY, read_quantity


@pytest.mark.parametrize(
    ("text", "low", "high", "unit", "kind"),
    [
        ("45 Nm", 45, 45, "nm", "torque"), ("45Nm", 45, 45, "nm", "torque"), ("45.5 N·m", 45.5, 45.5, "nm", "torque"),
        ("1,200 rpm", 1200, 1200, "rpm", "rotation"), ("3 200 kW", 3200, 3200, "kw", "power"),
        ("1,5 bar", 1.5, 1.5, "bar", "pressure"), ("10 to 20 bar", 10, 20, "bar", "pressure"),
        ("10-20 bar", 10, 20, "bar", "pressure"), ("10 bar to 20 bar", 10, 20, "bar", "pressure"),
        ("95 °C", 95, 95, "°c", "temperature"), ("95 degrees Celsius", 95, 95, "°c", "temperature"),
        ("-5 °C", -5, -5, "°c", "temperature"), ("two to three bar", 2, 3, "bar", "pressure"),
        ("4-20 mA", 4, 20, "ma", "current"), ("7.1 mm/s", 7.1, 7.1, "mm/s", "speed"), ("20%", 20, 20, "%", "share"),
        ("200 m3/h", 200, 200, "m3/h", "flow"), ("5 min", 5, 5, "min", "time"), ("5 bar/min", 5, 5, "bar/min", ""),
        ("four", 4, 4, "", ""), ("90°", 90, 90, "°", "angle"),
    ],
)  # fmt: skip
def test_a_quantity_is_read(text: str, low: float, high: float, unit: str, kind: str) -> None:
    match = QUANTITY.fullmatch(text)
    assert match is not None
    quantity = read_quantity(match)
    assert (quantity.low, quantity.high, quantity.unit, quantity.kind) == (low, high, unit, kind)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("at least 5 bar", "5 bar or more"), ("not more than 5 bar", "at most 5 bar"),
        ("above 5 bar", "more than 5 bar"),
        ("must not exceed 5 bar", "up to 5 bar"), ("between 5 and 7 bar", "5–7 bar"), ("five bar", "5.0 bar"),
        ("1 200 h", "1,200 hours"), ("about 5 bar", "5 bar"),
    ],
)  # fmt: skip
def test_two_ways_to_say_the_same(one: str, other: str) -> None:
    keys = [{t.key for t in state(f"Pressure {text}.").tokens if t.kind == "quantity"} for text in (one, other)]
    assert keys[0] == keys[1] != set()


@pytest.mark.parametrize("name", ["E-452", "M12", "6204-2RS", "4WE6", "GB-G201", "2025-03-04", "18/16/13", "1.2.3"])
def test_a_name_with_digits_is_no_quantity(name: str) -> None:
    assert [t.kind for t in state(f"See {name}.").tokens if t.key != "see"] == ["identifier"]


def test_a_unit_in_a_column_header_belongs_to_its_number() -> None:
    assert "45 nm" in {t.key for t in state("Torque (Nm): 45; Bolt: M12").tokens}


@given(st.text(alphabet="0123456789 ,.'-+±/:%abkN°C²³", max_size=20))
def test_no_arrangement_of_figures_is_beyond_reading(text: str) -> None:
    for match in QUANTITY.finditer(text):
        read_quantity(match)
    state(text)


def test_digits_after_a_nought_are_no_thousands() -> None:
    assert [read_quantity(m).low for m in QUANTITY.finditer("taper ratio 0 333")] == [0, 333]
