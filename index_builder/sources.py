"""What a source holds now: every object with its size and etag, and the names that cannot be used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from ingest.limits import ParseLimits
from ingest.source import SourceFile, list_folder, read_file
from lineside.errors import ConfigurationError, DataError, NotFound, StoreUnavailable, TooLarge
from lineside.objects import ObjectStore, open_store
from lineside.runs import FileError

_HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceObject:
    """A file of the source. `etag` changes whenever the content does."""

    path: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All files by path, in order, and what of the source cannot be one."""

    objects: Mapping[str, SourceObject]
    errors: tuple[FileError, ...] = ()

    def etag(self, path: str) -> str:
        """Empty where there is no such file."""
        found = self.objects.get(path)
        return found.etag if found else ""

    @property
    def signature(self) -> str:
        """Changes whenever any file does."""
        digest = hashlib.sha256()
        for item in self.objects.values():
            digest.update(f"{item.path}\0{item.etag}\0{item.size}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file's bytes (or its error) and the etag of what was read."""

    file: SourceFile
    etag: str


class Source(Protocol):
    """Where documents, images and labels come from. May cross a process border by its URL."""

    url: str

    def list(self) -> Listing:
        """Raises DataError where there is no such source, StoreUnavailable where it does not answer."""
        ...

    def read(self, path: str, limits: ParseLimits) -> ReadFile:
        """A file that is gone, too large or unreadable comes with its `error`. Raises StoreUnavailable."""
        ...


def open_source(url: str | Path) -> Source:
    """Raises ConfigurationError where the URL names neither a folder nor a bucket."""
    text = str(url)
    if text.startswith("s3://"):
        return BucketSource(text)
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    elif "://" in text:
        raise ConfigurationError(f"{text} names no source: give a folder or s3://bucket/prefix")
    return FolderSource(Path(text))


class FolderSource:
    """A folder; hidden files and links that lead out of it are no part of it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)

    def list(self) -> Listing:
        if not self.root.is_dir():
            raise DataError(f"{self.root} is not a folder")
        found: dict[str, SourceObject] = {}
        errors: list[FileError] = []
        for path in list_folder(self.root):
            if problem := _unusable(path):
                shown = path.encode("utf-8", "replace").decode()
                errors.append(FileError.of(shown, f"the name {problem}: rename the file"))
                continue
            size, etag = self._state(path)
            found[path] = SourceObject(path, size, etag)
        return Listing(found, tuple(errors))

    def read(self, path: str, limits: ParseLimits) -> ReadFile:
        # Before the content: a change in between makes the etag too old, and the file is read again next time.
        _, etag = self._state(path)
        return ReadFile(read_file(self.root, path, limits), etag)

    def _state(self, path: str) -> tuple[int, str]:
        """Size and etag: of the content of small files; large ones are not read for it."""
        try:
            with (self.root / path).open("rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_size <= _HASHED_BYTES:
                    return status.st_size, hashlib.file_digest(stream, "sha256").hexdigest()
                return status.st_size, f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
        except OSError:  # a broken link or an unreadable file: reading it will say what is wrong
            return 0, "unreadable"


@dataclass(slots=True)
class BucketSource:
    """Objects below a prefix of an S3 bucket.

    It lists with boto3: the store's own listing stops at the first key that is no path (`../../x`), and in a bucket
    that people fill by hand such a key may cost a row in the report, not the run.
    """

    url: str
    _store: ObjectStore | None = field(default=None, init=False)

    def list(self) -> Listing:
        parts = urlsplit(self.url)
        prefix = unquote(parts.path).strip("/")
        prefix = f"{prefix}/" if prefix else ""
        found: dict[str, SourceObject] = {}
        errors: list[FileError] = []
        for item in _pages(parts.netloc, prefix):
            path = item["Key"][len(prefix) :]
            if not path or (path.endswith("/") and not item["Size"]):
                continue  # what consoles make for a folder
            parts_of_path = path.split("/")
            if problem := _unusable(path):
                errors.append(FileError.of(path, f"the name {path[:200]!r} {problem}: rename the object"))
            elif not any(part.startswith(".") for part in parts_of_path):
                found[path] = SourceObject(path, int(item["Size"]), str(item["ETag"]).strip('"'))
        return Listing(dict(sorted(found.items())), tuple(errors))

    def read(self, path: str, limits: ParseLimits) -> ReadFile:
        if self._store is None:
            self._store = open_store(self.url)
        try:
            data, etag = self._store.get(path, limits.max_source_bytes)
        except TooLarge as error:
            known = self._store.head(path)
            return ReadFile(
                SourceFile(path, b"", f"{error}: split it or raise the limit"), known.etag.strip('"') if known else ""
            )
        except NotFound:
            return ReadFile(SourceFile(path, b"", "vanished while it was indexed: run again"), "")
        return ReadFile(SourceFile(path, data), etag.strip('"'))


def _unusable(path: str) -> str:
    """What is wrong with a key as a path below the root; empty where nothing is."""
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "leads out of the source or has an empty part"
    if any(character < " " or character in "\x7f\\" or "\ud800" <= character <= "\udfff" for character in path):
        return "holds control characters, backslashes or bytes that are not UTF-8"
    if len(path.encode("utf-8", "surrogatepass")) > 900:
        return "is longer than 900 bytes"
    return ""


def _pages(bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    config = Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 5, "mode": "standard"})
    try:
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name=os.environ.get("AWS_REGION") or None, config=config
        )
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", [])
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "NoSuchBucket":
            raise DataError(f"bucket {bucket} is not there: create it, or correct the source's URL") from error
        raise StoreUnavailable(f"s3://{bucket}/{prefix} cannot be listed: {error}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(
            f"s3://{bucket}/{prefix} at {endpoint or 'AWS'} cannot be listed: {error}; check AWS_ENDPOINT_URL, "
            "AWS_REGION and the credentials"
        ) from error
