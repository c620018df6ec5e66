"""Objects as files below a folder. Its writers may be different processes of one machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lineside.errors import Conflict, NotFound, StoreUnavailable, TooLarge
from lineside.objects.contract import ObjectInfo, ObjectStore
from lineside.objects.keys import check_key, check_prefix

_HASHED_BYTES = 1 << 20
_TEMPORARY = ".writing-"
_LOCK = ".lock"


class FolderStore:
    """Files appear whole, by link or rename; `replace` holds a lock, so that compare and swap are one step.

    An etag is the SHA-256 of the content up to 1 MiB, and beyond it of inode, size and time of change: listing large
    files must not read them, and what is replaced conditionally is small.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def url(self) -> str:
        return str(self.root)

    def __repr__(self) -> str:
        return f"FolderStore({self.url!r})"

    def __reduce__(self) -> tuple[type[FolderStore], tuple[Path]]:
        return (FolderStore, (self.root,))

    def get(self, key: str, max_bytes: int | None = None) -> tuple[bytes, str]:
        with self._errors(key), self.path(key).open("rb") as stream:
            status = os.fstat(stream.fileno())
            if max_bytes is not None and status.st_size > max_bytes:
                raise TooLarge(f"{key} has {status.st_size} bytes; {max_bytes} are allowed")
            data = stream.read()
        return data, _etag(status, data)

    def head(self, key: str) -> ObjectInfo | None:
        try:
            return self._info(key, self.path(key))
        except NotFound:
            return None

    def put(self, key: str, data: bytes) -> str:
        path = self.path(key)
        with self._errors(key), self._writing(path, data) as temporary:
            os.replace(temporary, path)
            return self._sync(path)

    def create(self, key: str, data: bytes) -> str:
        path = self.path(key)
        with self._errors(key), self._writing(path, data) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise Conflict(f"{key} exists already in {self.url}") from None
            return self._sync(path)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        path = self.path(key)
        with self._errors(key), self._writing(path, data) as temporary, self._locked():
            known = self.head(key)
            if known is None or known.etag != etag:
                raise Conflict(f"{key} in {self.url} was changed by somebody else meanwhile: read it again")
            os.replace(temporary, path)
            return self._sync(path)

    def upload(self, key: str, path: Path) -> None:
        target = self.path(key)
        with self._errors(key), self._writing(target, path) as temporary:
            os.replace(temporary, target)
            self._sync(target)

    def download(self, key: str, path: Path) -> None:
        source = self.path(key)
        with self._errors(key):
            source.stat()  # before anything is made at the target
        with self._errors(key), self._writing(path, source) as temporary:
            os.replace(temporary, path)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        folder, _, beginning = prefix.rpartition("/")
        with self._errors(prefix):
            yield from self._walk(
                self.root / folder if folder else self.root, f"{folder}/" if folder else "", beginning
            )

    def delete(self, key: str) -> None:
        """Folders that become empty go too, so that a deleted shard leaves nothing behind."""
        path = self.path(key)
        with self._errors(key):
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.root or not folder.is_relative_to(self.root):
                    break
                try:
                    folder.rmdir()
                except OSError:  # not empty, or gone already
                    break

    def sweep(self, before: datetime) -> None:
        """Removes what writers that were killed have left unfinished, where it is older than `before`."""
        with self._errors(""):
            for folder, _, files in list(os.walk(self.root)):
                for path in (Path(folder), *(Path(folder, name) for name in files)):
                    if path.name.startswith(_TEMPORARY) and path.lstat().st_mtime < before.timestamp():
                        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def path(self, key: str) -> Path:
        """Where an object lies, or would lie."""
        return self.root / check_key(key)

    def _walk(self, folder: Path, before: str, beginning: str = "") -> Iterator[ObjectInfo]:
        """Sorted by whole keys: a folder's place among its siblings is that of its name with a slash."""
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        named = sorted(
            (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name, entry) for entry in entries
        )
        for name, entry in named:
            if not name.startswith(beginning) or entry.name.startswith(_TEMPORARY) or entry.name == _LOCK:
                continue
            if name.endswith("/"):
                yield from self._walk(Path(entry.path), before + name)
            elif entry.is_file():
                try:
                    yield self._info(before + name, Path(entry.path))
                except NotFound:  # deleted while listing
                    continue

    def _info(self, key: str, path: Path) -> ObjectInfo:
        with self._errors(key), path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            etag = _etag(status, stream.read() if status.st_size <= _HASHED_BYTES else b"")
            return ObjectInfo(key, status.st_size, etag, datetime.fromtimestamp(status.st_mtime, UTC))

    @contextmanager
    def _writing(self, path: Path, content: bytes | Path) -> Iterator[Path]:
        """A temporary file beside `path` with the content on disk; gone afterwards."""
        temporary = self._temporary(path.parent)
        try:
            with temporary.open("wb") as stream:
                if isinstance(content, bytes):
                    stream.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, stream, 1 << 20)
                stream.flush()
                os.fsync(stream.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _temporary(self, folder: Path) -> Path:
        """The folder may be removed by a `delete` between its making and its use: once more, then."""
        for attempt in range(20):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                handle, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=folder)
            except FileNotFoundError:
                if attempt == 19:
                    raise
                continue
            os.fchmod(handle, 0o644)  # readable for the service, which may run as another user
            os.close(handle)
            return Path(name)
        raise AssertionError

    def _sync(self, path: Path) -> str:
        """Makes the directory entry durable; gives the etag of what is there now."""
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            return _etag(status, stream.read() if status.st_size <= _HASHED_BYTES else b"")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.root / _LOCK).open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"{key} is not in {self.url}") from None
        except OSError as error:
            raise StoreUnavailable(
                f"{self.url} cannot be used for {key}: {error.strerror or error}; check that the folder is there, its "
                "permissions and the free space"
            ) from error


def _etag(status: os.stat_result, data: bytes) -> str:
    if status.st_size <= _HASHED_BYTES:
        return hashlib.sha256(data).hexdigest()
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


_: type[ObjectStore] = FolderStore
