"""Where the shards of a release are opened: in place in a folder, or as verified local copies.

<folder>/shards/<id>/     whole shards, each renamed into its place after every file's size and sha256 were right
<folder>/partial/<id>/    files of a shard that is being fetched; an interrupted fetch goes on there
<folder>/locks/<id>       held shared by whoever has the shard in use, exclusively while it is removed
<folder>/locks/<id>.fetch held by the one process that fetches it

Several processes of a machine may share a folder. A lock ends with its process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from lineside.errors import ConfigurationError, DataError, IntegrityError, NotFound
from lineside.objects import FolderStore, ObjectStore
from lineside.releases.records import Release, ShardEntry
from lineside.releases.settings import CacheSettings
from lineside.releases.upload import shard_key
from lineside.shards.manifest import MANIFEST_NAME, Manifest, file_sha256, read_manifest

log = structlog.get_logger("lineside.releases")

_DOWNLOADS_AT_ONCE = 4


class ShardPlaces(Protocol):
    """Gives the folders of a release's shards."""

    def fetch(self, release: Release) -> dict[str, Path]:
        """Folders by shard id, in use from now on until `keep` leaves them out.

        Raises:
            StoreUnavailable: the store does not answer.
            DataError: a shard is not in the store, or is damaged there.
        """
        ...

    def discard(self, shard_id: str) -> bool:
        """Forgets a damaged copy. False where there is none, so that fetching again would bring nothing else."""
        ...

    def keep(self, shard_ids: Collection[str]) -> None:
        """What is in use; everything else may be removed when room is wanted."""
        ...


class PlacesInFolder:
    """Shards of a store in a folder, opened where they lie."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store

    def fetch(self, release: Release) -> dict[str, Path]:
        return {shard.id: self._store.root / "shards" / shard.id for shard in release.shards}

    def discard(self, shard_id: str) -> bool:
        return False

    def keep(self, shard_ids: Collection[str]) -> None:
        return


class ShardCache:
    """Local copies of shards, within a budget of bytes; the least recently used go first. One thread at a time."""

    def __init__(self, store: ObjectStore, settings: CacheSettings = CacheSettings()) -> None:
        self._store = store
        self._folder = settings.folder
        self._max_bytes = settings.max_bytes
        self._locks: dict[str, int] = {}

    def fetch(self, release: Release) -> dict[str, Path]:
        return {shard.id: self._fetch_shard(shard, release) for shard in release.shards}

    def discard(self, shard_id: str) -> bool:
        """A copy that another process has in use is replaced under it: what that one has open stays readable."""
        shutil.rmtree(self._place(shard_id), ignore_errors=True)
        shutil.rmtree(self._partial(shard_id), ignore_errors=True)
        self._unlock(shard_id)
        return True

    def keep(self, shard_ids: Collection[str]) -> None:
        for shard_id in set(self._locks) - set(shard_ids):
            self._unlock(shard_id)
        self._make_room(0)

    def _place(self, shard_id: str) -> Path:
        return self._folder / "shards" / shard_id

    def _partial(self, shard_id: str) -> Path:
        return self._folder / "partial" / shard_id

    def _fetch_shard(self, shard: ShardEntry, release: Release) -> Path:
        place = self._place(shard.id)
        self._lock(shard.id)
        try:
            if not (place / MANIFEST_NAME).is_file():
                fetching = self._open_lock(f"{shard.id}.fetch")
                try:
                    fcntl.flock(fetching, fcntl.LOCK_EX)  # waits for a process that fetches it now
                    if not (place / MANIFEST_NAME).is_file():
                        self._download(shard, release)
                finally:
                    os.close(fetching)
            os.utime(place)  # last used
        except BaseException:
            self._unlock(shard.id)
            raise
        return place

    def _download(self, shard: ShardEntry, release: Release) -> None:
        partial, place = self._partial(shard.id), self._place(shard.id)
        partial.mkdir(parents=True, exist_ok=True)
        try:
            manifest = self._manifest(shard, partial)
            missing = {n: e.size for n, e in manifest.files.items() if not _is_whole(partial / n, manifest, n)}
            if not self._make_room(sum(missing.values())):
                raise ConfigurationError(
                    f"{self._folder} has no room for shard {shard.id} of release {release.number} beside the shards in "
                    f"use: {self._max_bytes} bytes are allowed; raise cache.max_bytes"
                )
            with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
                list(pool.map(lambda name: self._download_file(manifest, name, partial), missing))
        except NotFound as error:
            raise DataError(
                f"shard {shard.id} of release {release.number} is not whole in the store: {error}"
            ) from error
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)  # without a manifest: what an interrupted removal left
        partial.rename(place)
        log.info("shard_fetched", shard=shard.id, family=shard.family, bytes=sum(missing.values()))

    def _manifest(self, shard: ShardEntry, partial: Path) -> Manifest:
        """The manifest in `partial`; fetched where it is not there, or is not whole."""
        path = partial / MANIFEST_NAME
        try:
            manifest = read_manifest(path)
        except DataError:
            self._store.download(shard_key(shard.id, MANIFEST_NAME), path)
            manifest = read_manifest(path)
        if manifest.id != shard.id or manifest.family != shard.family:
            path.unlink()
            raise IntegrityError(
                f"{shard_key(shard.id)} in {self._store.url} holds shard {manifest.id} of family {manifest.family}, "
                f"the release names {shard.id} of family {shard.family}"
            )
        return manifest

    def _download_file(self, manifest: Manifest, name: str, partial: Path) -> None:
        path = partial / name
        self._store.download(shard_key(manifest.id, name), path)
        if not _is_whole(path, manifest, name):
            path.unlink()
            raise IntegrityError(
                f"{shard_key(manifest.id, name)} in {self._store.url} is damaged: its size or sha256 does not match "
                "the manifest; publish the shard again"
            )

    def _make_room(self, wanted: int) -> bool:
        """Removes copies that nobody uses until `wanted` more bytes fit. False where they do not."""
        shards = [path for part in ("shards", "partial") for path in (self._folder / part).glob("*") if path.is_dir()]
        sizes = {path: _size(path) for path in shards}
        total = sum(sizes.values())
        for path in sorted(shards, key=_last_used):
            if total + wanted <= self._max_bytes:
                break
            if path.name not in self._locks and self._remove(path):
                total -= sizes[path]
        return total + wanted <= self._max_bytes

    def _remove(self, path: Path) -> bool:
        """False where another process has the shard in use."""
        handle = self._open_lock(path.name)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (path / MANIFEST_NAME).unlink(missing_ok=True)
            shutil.rmtree(path)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        log.info("shard_removed_from_cache", shard=path.name)
        return True

    def _lock(self, shard_id: str) -> None:
        """In use from now on; waits for a process that removes it now."""
        if shard_id not in self._locks:
            handle = self._open_lock(shard_id)
            fcntl.flock(handle, fcntl.LOCK_SH)
            self._locks[shard_id] = handle

    def _unlock(self, shard_id: str) -> None:
        handle = self._locks.pop(shard_id, None)
        if handle is not None:
            os.close(handle)

    def _open_lock(self, name: str) -> int:
        folder = self._folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def places_for(store: ObjectStore, settings: CacheSettings | None) -> ShardPlaces:
    """In place for a folder, through the cache for everything else.

    Raises:
        ConfigurationError: a cache is needed, and there is none.
    """
    if isinstance(store, FolderStore):
        return PlacesInFolder(store)
    if settings is None:
        raise ConfigurationError(f"{store.url} is not a folder: say where copies of its shards may be kept")
    return ShardCache(store, settings)


def store_name(store: ObjectStore) -> str:
    """A file name that stands for the store."""
    return hashlib.sha256(store.url.encode()).hexdigest()[:16]


def _is_whole(path: Path, manifest: Manifest, name: str) -> bool:
    entry = manifest.files[name]
    return path.is_file() and path.stat().st_size == entry.size and file_sha256(path) == entry.sha256


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # another process removes it or has renamed it
            total += path.stat().st_size
    return total


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # removed by another process
        return 0.0
