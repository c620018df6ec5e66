"""Sealed logs: whatever happens to a file, what is read is what was written, from its beginning."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.window.sealed_log import HEADER, SIZE, TAG_BYTES, LogReader, LogWriter, read_record
from lineside.errors import IntegrityError
from tests.edge.window.conftest import KEY

PLAINS = st.lists(st.binary(max_size=40), min_size=1, max_size=8)


def written(plains: list[bytes], *, purpose: bytes = b"frames", sequence: int = 7, context: bytes = b"") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        log = LogWriter(path, KEY, purpose, sequence, context)
        for plain in plains:
            log.append(plain)
        log.close()
        return path.read_bytes()


def read(data: bytes, *, purpose: bytes = b"frames", context: bytes = b"") -> list[tuple[int, bytes]]:
    try:
        return [(r.number, r.plain) for r in LogReader(data, KEY, purpose, context).records()]
    except IntegrityError:
        return []


def ends(plains: list[bytes]) -> list[int]:
    """Where each record ends."""
    found, end = [], HEADER.size
    for plain in plains:
        end += SIZE.size + len(plain) + TAG_BYTES
        found.append(end)
    return found


@given(PLAINS)
def test_what_was_written_is_read(plains: list[bytes]) -> None:
    assert read(written(plains)) == list(enumerate(plains))


@given(PLAINS, st.data())
def test_cut_anywhere_every_whole_record_is_read_and_nothing_else(plains: list[bytes], data: st.DataObject) -> None:
    whole = written(plains)
    length = data.draw(st.integers(0, len(whole)))
    expected = [(i, plain) for i, (plain, end) in enumerate(zip(plains, ends(plains), strict=True)) if end <= length]
    assert read(whole[:length]) == expected


@given(PLAINS, st.data())
def test_with_any_bit_flipped_all_before_it_is_read_and_nothing_wrong(plains: list[bytes], data: st.DataObject) -> None:
    damaged = bytearray(written(plains))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    found = read(bytes(damaged))
    before = [] if bit // 8 < HEADER.size else [i for i, end in enumerate(ends(plains)) if end <= bit // 8]
    assert [number for number, _ in found][: len(before)] == before
    assert all(plains[number] == plain for number, plain in found)
    assert len(found) < len(plains)


@given(PLAINS, st.binary(min_size=1, max_size=64))
def test_what_follows_the_last_record_is_not_read(plains: list[bytes], rest: bytes) -> None:
    reader = LogReader(written(plains) + rest, KEY, b"frames")
    assert [r.plain for r in reader.records()] == plains
    assert reader.torn


@given(PLAINS)
def test_records_of_another_file_purpose_or_context_do_not_open(plains: list[bytes]) -> None:
    one, other = written(plains), written(plains)
    assert read(one[: HEADER.size] + other[HEADER.size :]) == []
    assert read(one, purpose=b"images") == []
    assert read(one, context=b"another bucket") == []


def test_records_that_changed_places_do_not_open() -> None:
    data = written([b"first", b"other"])
    first, second = ends([b"first", b"other"])
    swapped = data[: HEADER.size] + data[first:second] + data[HEADER.size : first]
    assert read(swapped) == []


def test_a_damaged_record_between_sound_ones_is_passed_over_and_counted() -> None:
    data = bytearray(written([b"a", b"b", b"c"]))
    data[ends([b"a", b"b"])[1] - 1] ^= 1
    reader = LogReader(bytes(data), KEY, b"frames")
    assert [r.plain for r in reader.records()] == [b"a", b"c"]
    assert reader.damaged == 1
    assert not reader.torn


def test_equal_records_of_two_files_are_not_equal_bytes() -> None:
    assert written([b"the same"])[HEADER.size :] != written([b"the same"])[HEADER.size :]


def test_a_single_record_is_read_by_its_place(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "log", KEY, b"images", 1, b"salt")
    log.append(b"first")
    offset = log.append(b"second")
    assert read_record(tmp_path / "log", KEY, b"images", b"salt", number=1, offset=offset, size=6) == b"second"
    with pytest.raises(IntegrityError, match="damaged"):
        read_record(tmp_path / "log", KEY, b"images", b"salt", number=0, offset=offset, size=6)


def test_a_file_given_up_is_never_flushed_in_silence(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "log", KEY, b"frames", 1)
    log.append(b"unflushed")
    log.close()
    with pytest.raises(OSError, match="given up"):
        log.flush()
