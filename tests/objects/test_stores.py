"""Folders and S3 behave alike: whole objects, conditional writes, sorted lists, one set of errors."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineside.errors import ConfigurationError, Conflict, InvalidRequest, LinesideError, NotFound, TooLarge
from lineside.objects import ObjectStore, open_store

STRANGE_KEYS = ["a b/ü%+&=?#/c.txt", "...", "-", "a/.hidden", "50%25", "x:y@z", "日本/語.pdf", "~tilde", "a'b\"c"]
BAD_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "../x",
    "a/../b",
    "a/..",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "a\\b",
    "a\nb",
    "\x00",
    "k" * 1025,
]


@pytest.fixture(params=["folder", "file-url", "s3", "s3-prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    if request.param == "folder":
        return open_store(tmp_path / "store")
    if request.param == "file-url":
        return open_store((tmp_path / "a store").as_uri())
    bucket = request.getfixturevalue("s3_server").create_bucket()
    return open_store(bucket if request.param == "s3" else f"{bucket}/plant 7/knowledge/")


def _keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_what_was_put_is_read_back(store: ObjectStore) -> None:
    for data in (b"", b"one", b"\x00\xff" * 1000):
        etag = store.put("a/b.bin", data)
        assert store.get("a/b.bin") == (data, etag)


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_strange_keys_are_kept_as_they_are(store: ObjectStore, key: str) -> None:
    store.put(key, b"here")
    assert store.get(key)[0] == b"here"
    assert _keys(store) == [key]
    store.delete(key)
    assert _keys(store) == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_that_leave_the_root_or_name_nothing_are_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.get(key),
        lambda: store.head(key),
        lambda: store.put(key, b""),
        lambda: store.create(key, b""),
        lambda: store.replace(key, b"", "etag"),
        lambda: store.upload(key, tmp_path / "file"),
        lambda: store.download(key, tmp_path / "file"),
        lambda: store.delete(key),
    ]
    for call in calls:
        with pytest.raises(InvalidRequest, match="cannot be an object's key"):
            call()


@pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//", "\n"])
def test_prefixes_that_no_key_can_have_are_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidRequest):
        list(store.list(prefix))


def test_what_is_not_there_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no/such"):
        store.get("no/such")
    with pytest.raises(NotFound, match="no/such"):
        store.download("no/such", tmp_path / "target")
    assert store.head("no/such") is None
    assert _keys(store) == []
    assert not (tmp_path / "target").exists()
    store.delete("no/such")


def test_a_folder_of_keys_is_not_an_object(store: ObjectStore) -> None:
    store.put("a/b", b"x")
    assert store.head("a") is None
    with pytest.raises(NotFound):
        store.get("a")


def test_head_tells_size_time_and_the_etag_of_the_content(store: ObjectStore) -> None:
    etag = store.put("a", b"four")
    info = store.head("a")
    assert info is not None
    assert (info.key, info.size, info.etag) == ("a", 4, etag)
    assert abs(datetime.now(UTC) - info.modified) < timedelta(minutes=5)
    assert store.put("a", b"FOUR") != etag


def test_more_than_allowed_is_not_read(store: ObjectStore) -> None:
    store.put("a", b"12345")
    assert store.get("a", max_bytes=5)[0] == b"12345"
    with pytest.raises(TooLarge, match=r"a has 5 bytes; 4 are allowed"):
        store.get("a", max_bytes=4)


def test_an_object_is_created_once(store: ObjectStore) -> None:
    etag = store.create("a/b", b"first")
    with pytest.raises(Conflict):
        store.create("a/b", b"second")
    assert store.get("a/b") == (b"first", etag)


def test_only_the_version_that_was_read_is_replaced(store: ObjectStore) -> None:
    first = store.create("a", b"1")
    second = store.replace("a", b"2", first)
    with pytest.raises(Conflict):
        store.replace("a", b"3", first)
    assert store.get("a") == (b"2", second)
    store.delete("a")
    with pytest.raises(Conflict):
        store.replace("a", b"3", second)
    assert store.head("a") is None


def test_of_many_creators_at_once_exactly_one_succeeds(store: ObjectStore) -> None:
    barrier = threading.Barrier(8)

    def create(n: int) -> bool:
        barrier.wait()
        try:
            store.create("a", str(n).encode())
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(8)))
    assert sum(outcomes) == 1
    assert store.get("a")[0] == str(outcomes.index(True)).encode()


def test_no_increment_of_many_replacers_is_lost(store: ObjectStore) -> None:
    store.create("counter", b"0")

    def increment(_: int) -> None:
        for _ in range(5):
            while True:
                data, etag = store.get("counter")
                try:
                    store.replace("counter", str(int(data) + 1).encode(), etag)
                    break
                except Conflict:
                    continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(increment, range(4)))
    assert store.get("counter")[0] == b"20"


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, 20_000_000])
def test_files_go_up_and_down_whole(store: ObjectStore, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "new folder" / "target"
    source.write_bytes(bytes(range(251)) * (size // 251) + b"x" * (size % 251))
    store.upload("big/file.bin", source)
    info = store.head("big/file.bin")
    assert info is not None
    assert info.size == size
    store.download("big/file.bin", target)
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert [info.etag for info in store.list()] == [info.etag]


def test_a_list_is_sorted_by_key_and_takes_any_beginning(store: ObjectStore) -> None:
    keys = ["a-b", "a.txt", "a/b", "a/c/d", "ab/c", "b", "Z", "ä"]
    for key in keys:
        store.put(key, key.encode())
    assert _keys(store) == sorted(keys)
    for prefix in ("a", "a/", "a-", "a/c", "a/c/", "a/c/d", "a/c/d/", "ab", "x", "ä"):
        assert _keys(store, prefix) == sorted(key for key in keys if key.startswith(prefix)), prefix


@pytest.mark.slow
def test_a_long_list_is_complete(store: ObjectStore) -> None:
    keys = [f"n/{n:04d}" for n in range(2100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b""), keys))
    assert _keys(store, "n/") == keys
    assert _keys(store, "n/20") == keys[2000:2100]


def test_a_store_opens_again_from_its_url_and_crosses_process_borders(store: ObjectStore) -> None:
    store.put("a", b"1")
    assert open_store(store.url).get("a")[0] == b"1"
    assert copy.deepcopy(store).get("a")[0] == b"1"


@given(key=st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_is_a_key_that_stays_below_the_root_or_is_refused(tmp_path: Path, key: str) -> None:
    root = tmp_path / "store"
    store = open_store(root)
    try:
        store.put(key, b"x")
    except LinesideError:
        return
    try:
        assert _keys(store) == [key]
        assert all(path.is_relative_to(root) for path in tmp_path.rglob("*") if path.is_file())
    finally:
        store.delete(key)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://",
        "s3:///key",
        "gs://bucket",
        "http://127.0.0.1/x",
        "s3://bucket/x?y=1",
        "s3://a:b@bucket",
        "file://host/x",
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_store(url)
