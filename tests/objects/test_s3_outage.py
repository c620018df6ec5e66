"""An S3 server that is away, refuses or has no such bucket: a bounded wait, then a message that says what to check."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lineside.errors import StoreUnavailable
from lineside.objects import ObjectStore, StoreLimits, open_store
from tests.s3_server import S3Server

QUICK = StoreLimits(connect_s=0.5, request_s=0.5, retries=2, retry_s=2)


def _calls(store: ObjectStore, folder: Path) -> list[Callable[[], object]]:
    (folder / "file").write_bytes(b"x")
    return [
        lambda: store.get("a"),
        lambda: store.head("a"),
        lambda: store.put("a", b""),
        lambda: store.create("a", b""),
        lambda: store.replace("a", b"", '"etag"'),
        lambda: store.upload("a", folder / "file"),
        lambda: store.download("a", folder / "target"),
        lambda: list(store.list()),
        lambda: store.delete("a"),
    ]


@pytest.fixture
def deaf_endpoint() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_is_gone_is_said_to_be(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    for call in _calls(open_store("s3://bucket", QUICK), tmp_path):
        with pytest.raises(
            StoreUnavailable, match=f"s3://bucket at {endpoint} cannot be used: check that it can be reached"
        ):
            call()
    assert not (tmp_path / "target").exists()


def test_a_server_that_never_answers_is_given_up(
    s3_server: S3Server, deaf_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", deaf_endpoint)
    for call in _calls(open_store("s3://bucket", QUICK), tmp_path):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            call()
        assert time.monotonic() - started < 30  # not for ever; the limits add up to some 2 s


def test_a_bucket_that_is_not_there_is_named(s3_server: S3Server, tmp_path: Path) -> None:
    for call in _calls(open_store("s3://nobody-made-this/prefix"), tmp_path):
        with pytest.raises(StoreUnavailable, match="bucket nobody-made-this does not exist there"):
            call()


def test_a_server_that_comes_back_within_the_retries_is_not_noticed(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3Server(tmp_path)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        bucket = server.create_bucket()
        store = open_store(bucket, StoreLimits(retries=40, retry_s=60))
        store.put("a", b"1")
        server.stop()
        with pytest.raises(StoreUnavailable):
            open_store(bucket, QUICK).get("a")
        server.start()
        with pytest.raises(StoreUnavailable, match="does not exist"):
            store.get("a")  # moto forgets what it held: the answer shows that the server was reached again
    finally:
        server.stop()
