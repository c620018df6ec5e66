"""Files in memory: whole, sealed, without a name, gone when they are closed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import pytest

from edge.sync.memory import MemoryFiles
from lineside.errors import ConfigurationError, IntegrityError


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def files() -> Iterator[MemoryFiles]:
    with MemoryFiles("shard of the pump") as files:
        yield files


def test_file_is_read_by_its_path(files: MemoryFiles) -> None:
    files.write("a/b.npy", [b"one", b"two"], size=6, sha256=sha256(b"onetwo"))
    assert files.path("a/b.npy").read_bytes() == b"onetwo"
    assert files.size("a/b.npy") == 6


def test_empty_file_is_a_file(files: MemoryFiles) -> None:
    files.write("empty", [], size=0, sha256=sha256(b""))
    assert files.read("empty") == b""


def test_file_cannot_be_changed_once_it_was_verified(files: MemoryFiles) -> None:
    files.write("a", [b"content"], size=7, sha256=sha256(b"content"))
    with pytest.raises(PermissionError):
        files.path("a").write_bytes(b"other")
    descriptor = os.open(files.path("a"), os.O_RDWR)
    try:
        with pytest.raises(PermissionError):
            os.write(descriptor, b"x")
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("parts", "size"), [([b"conten"], 7), ([b"content!"], 7), ([b"c0ntent"], 7)])
def test_other_content_is_refused_and_leaves_nothing(files: MemoryFiles, parts: list[bytes], size: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(IntegrityError):
        files.write("a", parts, size=size, sha256=sha256(b"content"))
    with pytest.raises(IntegrityError, match="no file a"):
        files.path("a")
    assert len(os.listdir("/proc/self/fd")) == before


def test_file_that_is_too_long_is_not_read_to_its_end(files: MemoryFiles) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1_000)

    with pytest.raises(IntegrityError):
        files.write("a", endless(), size=10_000, sha256=sha256(b""))


def test_closed_files_are_gone(files: MemoryFiles) -> None:
    files.write("a", [b"content"], size=7, sha256=sha256(b"content"))
    path = files.path("a")
    files.close()
    assert not path.exists()


def test_nothing_appears_in_a_file_system(files: MemoryFiles) -> None:
    files.write("a", [b"content"], size=7, sha256=sha256(b"content"))
    assert os.readlink(files.path("a")).startswith("/memfd:lineside")


def test_platform_without_anonymous_memory_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(ConfigurationError, match="Linux"):
        MemoryFiles("shard")
