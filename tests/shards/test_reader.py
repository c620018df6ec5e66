from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.errors import DataError, IntegrityError, NotFound, ShardError
from lineside.shards import Shard, write_shard
from lineside.shards.manifest import MANIFEST_NAME
from tests.shards.knowledge import drive


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shard(tmp_path_factory.mktemp("written"), **drive().arguments()).path


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / written.name))


@given(st.data())
def test_one_flipped_bit_anywhere_is_noticed(written: Path, data: st.DataObject) -> None:
    files = sorted(p for p in written.rglob("*") if p.is_file() and p.stat().st_size)
    file = data.draw(st.sampled_from(files))
    intact = file.read_bytes()
    place = data.draw(st.integers(0, 8 * len(intact) - 1))
    damaged = bytearray(intact)
    damaged[place // 8] ^= 1 << place % 8
    try:
        file.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            Shard.open(written)
    finally:
        file.write_bytes(intact)


@given(st.data())
def test_a_truncated_file_is_noticed_without_hashing(written: Path, data: st.DataObject) -> None:
    files = sorted(p for p in written.rglob("*") if p.is_file() and p.stat().st_size)
    file = data.draw(st.sampled_from(files))
    intact = file.read_bytes()
    try:
        file.write_bytes(intact[: data.draw(st.integers(0, len(intact) - 1))])
        with pytest.raises(IntegrityError):
            Shard.open(written, verify=False)
    finally:
        file.write_bytes(intact)


def test_a_missing_file_is_noticed(copy: Path) -> None:
    (copy / "text.faiss").unlink()
    with pytest.raises(IntegrityError, match=r"text\.faiss"):
        Shard.open(copy)


def test_a_missing_shard_is_an_integrity_error(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        Shard.open(tmp_path / "nothing")


def test_a_manifest_made_for_other_content_is_noticed(copy: Path) -> None:
    _rewrite(copy, lambda manifest: manifest["counts"].update(passages=1))
    with pytest.raises(IntegrityError, match="not the address"):
        Shard.open(copy)


def test_an_unknown_format_is_named(copy: Path) -> None:
    _rewrite(copy, lambda manifest: manifest.update(format_version=99))
    with pytest.raises(ShardError, match="99"):
        Shard.open(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "..", ""])
def test_file_names_that_leave_the_shard_are_refused(copy: Path, name: str) -> None:
    _rewrite(copy, lambda m: m["files"].update({name: {"size": 0, "sha256": "0" * 64}}))
    with pytest.raises(DataError):
        Shard.open(copy)


def test_unknown_documents_and_rows_are_not_found(written: Path) -> None:
    shard = Shard.open(written)
    for look_up in (shard.document, shard.row_of, shard.image):
        with pytest.raises(NotFound):
            look_up("nothing")


def test_nothing_in_a_shard_is_a_pickle(written: Path) -> None:
    for file in written.rglob("*.npy"):
        assert b"'descr': '|O'" not in file.read_bytes()[:128]


def _rewrite(shard: Path, change: object) -> None:
    """Changes the manifest and makes its checksum right again, as an attacker without the id could."""
    path = shard / MANIFEST_NAME
    manifest = json.loads(path.read_bytes().split(b"\n")[0])
    change(manifest)
    body = json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")
