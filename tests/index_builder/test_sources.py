"""What a source holds: names that cannot be used are reported, changes are seen, nothing outside is read."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import pytest

from index_builder.sources import open_source
from ingest.limits import ParseLimits
from lineside.errors import ConfigurationError, DataError, StoreUnavailable
from tests.s3_server import S3Server

LIMITS = ParseLimits(max_source_bytes=1_000)


def test_a_folder_is_listed_without_hidden_files_and_with_etags_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.md").write_text("one")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "c.md").write_text("no")
    first = open_source(tmp_path).list()
    assert [*first.objects] == ["a/b.md"]
    os.utime(tmp_path / "a" / "b.md", (1, 1))
    assert open_source(tmp_path).list().signature == first.signature
    (tmp_path / "a" / "b.md").write_text("two")
    second = open_source(f"file://{tmp_path}").list()
    assert second.signature != first.signature
    assert open_source(tmp_path).read("a/b.md", LIMITS).etag == second.etag("a/b.md")
    assert second.etag("nothing") == ""


def test_a_name_that_is_no_text_is_a_row_of_the_report(tmp_path: Path) -> None:
    (Path(os.fsencode(tmp_path).decode()) / os.fsdecode(b"\xff.md")).write_text("x")
    (tmp_path / "good.md").write_text("x")
    found = open_source(tmp_path).list()
    assert [*found.objects] == ["good.md"]
    assert "not UTF-8" in str(found.errors[0])
    assert found.errors[0].path.encode()


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as stream:
        stream.truncate(5 * 2**30)
    found = open_source(tmp_path).list()
    assert found.objects["huge.txt"].size == 5 * 2**30
    read = open_source(tmp_path).read("huge.txt", LIMITS)
    assert read.file.data == b""
    assert "over the limit" in str(read.file.error)


def test_unknown_schemes_and_absent_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="names no source"):
        open_source("ftp://plant/manuals")
    with pytest.raises(DataError, match="is not a folder"):
        open_source(tmp_path / "nothing").list()


@pytest.mark.integration
def test_a_bucket_with_keys_that_are_no_paths_is_listed_without_them(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    bucket = s3_server.create_bucket()
    s3 = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1")
    names = ["a b/ü %20#.md", "big.txt", "folder/", ".hidden/x.md", "../../x", "a//b.md", "c\\d.md", "e/./f.md"]
    for name in names:
        s3.put_object(
            Bucket=bucket.removeprefix("s3://"), Key=f"src/{name}", Body=b"" if name[-1] == "/" else b"x" * 2_000
        )
    s3.put_object(Bucket=bucket.removeprefix("s3://"), Key="srcs/other.md", Body=b"not below src/")
    source = open_source(f"{bucket}/src/")
    listing = source.list()
    assert [*listing.objects] == ["a b/ü %20#.md", "big.txt"]
    assert [error.path for error in listing.errors] == ["../../x", "a//b.md", "c\\d.md", "e/./f.md"]
    assert all(error.advice == "rename the object" for error in listing.errors)
    read = source.read("a b/ü %20#.md", ParseLimits())
    assert (read.file.data, read.etag) == (b"x" * 2_000, listing.etag("a b/ü %20#.md"))
    large = source.read("big.txt", LIMITS)
    assert (large.file.data, large.etag) == (b"", listing.etag("big.txt"))
    assert "split it" in str(large.file.error)
    assert "run again" in str(source.read("gone.md", LIMITS).file.error)


@pytest.mark.integration
def test_an_absent_bucket_and_an_absent_server_are_told_apart(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match="bucket nothing-here is not there"):
        open_source("s3://nothing-here/src").list()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="cannot be listed"):
        open_source("s3://nothing-here/src").list()
