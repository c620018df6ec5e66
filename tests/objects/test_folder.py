"""What only a folder has to mind: temporary files, locks, permissions, other processes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lineside.errors import StoreUnavailable
from lineside.objects import FolderStore, open_store


def test_nothing_but_objects_is_left_and_deleted_folders_go(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put("a/b/c", b"1")
    store.create("a/d", b"1")
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {"a", "a/b", "a/b/c", "a/d"}
    store.delete("a/b/c")
    store.delete("a/d")
    assert list(tmp_path.iterdir()) == []


def test_lists_pass_over_locks_unfinished_files_and_linked_folders(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.replace("a", b"2", store.put("a", b"1"))
    (tmp_path / "store" / ".writing-x").write_bytes(b"half")
    (tmp_path / "store" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert [info.key for info in store.list()] == ["a"]


def test_a_failed_write_leaves_the_old_object_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    store.put("a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable, match=r"No space left on device; check .* free space"):
            store.put("a", b"new")
    assert store.get("a")[0] == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_killed_writers_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("shards/a", b"1")
    for name in ("old", "young"):
        folder = tmp_path / "shards" / f".writing-{name}"
        folder.mkdir()
        (folder / "text.faiss").write_bytes(b"half")
        (tmp_path / f".writing-{name}").write_bytes(b"half")
    for path in (tmp_path / "shards" / ".writing-old", tmp_path / ".writing-old"):
        os.utime(path, (0, 0))
    store.sweep(datetime.now(UTC) - timedelta(hours=1))
    left = {path.name for path in tmp_path.rglob("*") if path.name.startswith(".writing-")}
    assert left == {".writing-young"}
    assert store.get("shards/a")[0] == b"1"
