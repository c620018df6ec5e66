"""Brings a shard from a local folder into the catalogue's store: files first, manifest last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lineside.errors import DataError, IntegrityError
from lineside.objects import FolderStore, ObjectStore
from lineside.shards import verify_files
from lineside.shards.manifest import MANIFEST_NAME, read_manifest

MAX_MANIFEST_BYTES = 64 << 20
_UPLOADS_AT_ONCE = 4
_RENEW_AFTER = timedelta(hours=1)


def shard_key(shard_id: str, name: str = "") -> str:
    """Where a shard's file lies in a store."""
    return f"shards/{shard_id}/{name}"


def renew_shard(store: ObjectStore, shard_id: str) -> bool:
    """Makes an old shard young again; False where the store does not have it."""
    key = shard_key(shard_id, MANIFEST_NAME)
    known = store.head(key)
    if known is not None and datetime.now(UTC) - known.modified > _RENEW_AFTER:
        store.put(key, store.get(key, MAX_MANIFEST_BYTES)[0])
    return known is not None


def store_shard(store: ObjectStore, shard_id: str, path: Path) -> None:
    """Uploads the shard in `path` unless the store has it. May be repeated, and interrupted at any point.

    A shard that is there is renewed: pruning goes by age, and somebody is about to use it again.

    Raises:
        DataError: it is in neither place.
        IntegrityError, ShardError: `path` does not hold the shard as it was written.
    """
    if renew_shard(store, shard_id):
        return
    in_place = isinstance(store, FolderStore) and path.resolve() == (store.root / "shards" / shard_id).resolve()
    if in_place or not (path / MANIFEST_NAME).is_file():
        raise DataError(f"shard {shard_id} is not in {store.url}, and there is no such shard in {path}")
    manifest = read_manifest(path / MANIFEST_NAME)
    if manifest.id != shard_id:
        raise IntegrityError(f"{path} holds shard {manifest.id}, not {shard_id}")
    verify_files(path, manifest)

    def upload(name: str) -> None:
        there = store.head(shard_key(shard_id, name))
        if there is None or there.size != manifest.files[name].size:
            store.upload(shard_key(shard_id, name), path / name)

    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        list(pool.map(upload, manifest.files))
    store.upload(shard_key(shard_id, MANIFEST_NAME), path / MANIFEST_NAME)
