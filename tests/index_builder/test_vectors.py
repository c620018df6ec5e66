"""The vector store: what was written is found again, merged or not, damaged files are never used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.digests import SIZE, digest, join, split
from index_builder.vectors import PROBE, VectorSpace
from lineside.errors import IntegrityError, NotFound, ShardError
from lineside.objects import FolderStore


@pytest.fixture
def space(tmp_path: Path) -> VectorSpace:
    return VectorSpace(FolderStore(tmp_path / "store"), "text-x", tmp_path / "scratch")


def rows(*values: float) -> np.ndarray:
    return np.array([[value, -value] for value in values], np.float32)


def key(number: int) -> bytes:
    return digest(str(number))


def test_vectors_are_found_by_key_in_any_order_across_files(space: VectorSpace) -> None:
    space.write([key(1), key(2)], rows(1, 2))
    space.write([key(3)], rows(3))
    space.refresh()
    np.testing.assert_array_equal(space.lookup([key(3), key(1), key(3), key(2)]), rows(3, 1, 3, 2))
    assert space.unknown([key(4), key(2)]) == [key(4)]
    assert space.lookup([]).shape == (0, 2)


def test_a_missing_vector_is_an_error(space: VectorSpace) -> None:
    space.write([key(1)], rows(1))
    space.refresh()
    with pytest.raises(ShardError, match="1 vectors are missing"):
        space.lookup([key(1), key(9)])


def test_writing_the_same_twice_is_writing_once(space: VectorSpace) -> None:
    assert space.write([key(1)], rows(1)) == space.write([key(1)], rows(1))
    space.refresh()
    assert len(space.names) == 1


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8), min_size=1, max_size=12), st.sets(st.integers(0, 30))
)
def test_merging_keeps_what_is_referenced_once_and_drops_the_rest(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], used: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("v")
    space = VectorSpace(FolderStore(folder / "store"), "text-x", folder / "scratch")
    written = {number for file in files for number in file}
    for file in files:
        space.write([key(n) for n in file], rows(*file))
    space.write([PROBE], rows(0.5))
    space.merge([key(n) for n in used], files=0)
    kept = sorted(written & used)
    assert len(space) == len(kept) + 1
    np.testing.assert_array_equal(space.lookup([key(n) for n in kept]), rows(*kept).reshape(-1, 2))
    assert space.unknown([key(n) for n in sorted(written - used)]) == [key(n) for n in sorted(written - used)]


def test_few_files_without_garbage_are_left_alone(space: VectorSpace) -> None:
    space.write([key(1)], rows(1))
    space.write([key(2)], rows(2))
    space.refresh()
    names = space.names
    space.merge([key(1), key(2)])
    assert space.names == names


def test_a_large_file_is_stored_in_parts(space: VectorSpace) -> None:
    many = np.random.default_rng(1).normal(size=(6_000, 384)).astype(np.float32)
    keys = [key(n) for n in range(len(many))]
    space.write(keys, many)
    space.refresh()
    np.testing.assert_array_equal(space.lookup(keys[::-1]), many[::-1])


def test_a_damaged_file_is_never_used(space: VectorSpace, tmp_path: Path) -> None:
    name = space.write([key(1)], rows(1))
    path = tmp_path / "store" / "work" / "vectors" / "text-x" / f"{name}.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError):
        space.segments.table(name)
    assert space.segments.tables([name]) == {}
    with pytest.raises(NotFound):
        space.segments.table(name)


@given(st.lists(st.binary(min_size=SIZE, max_size=SIZE)))
def test_digests_are_joined_and_split(digests: list[bytes]) -> None:
    assert split(join(digests)) == digests


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_a_digest_knows_the_borders_of_its_parts(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)
