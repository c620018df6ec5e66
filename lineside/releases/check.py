"""Checks that what a release needs is in the store, bit for bit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lineside.errors import DataError, IntegrityError, NotFound
from lineside.objects import FolderStore, ObjectStore
from lineside.releases.records import ShardEntry
from lineside.releases.upload import shard_key
from lineside.shards.manifest import MANIFEST_NAME, Manifest, file_sha256, read_manifest


@dataclass(frozen=True, slots=True)
class ShardCheck:
    """What was found; `problems` is empty for a shard that is as it was written."""

    shard: ShardEntry
    files: int
    size: int
    problems: tuple[str, ...]


def check_shard(store: ObjectStore, shard: ShardEntry) -> ShardCheck:
    """Reads every file of a shard and compares size and sha256 with the manifest. Raises StoreUnavailable."""
    with tempfile.TemporaryDirectory(prefix="lineside-check-") as scratch:
        try:
            manifest = read_manifest(_local(store, shard.id, MANIFEST_NAME, Path(scratch)))
            if manifest.id != shard.id or manifest.family != shard.family:
                raise IntegrityError(f"its manifest is of shard {manifest.id}, family {manifest.family}")
        except (DataError, NotFound) as error:
            return ShardCheck(shard, 0, 0, (str(error),))
        problems = tuple(_problems(store, manifest, Path(scratch)))
    return ShardCheck(shard, len(manifest.files), sum(entry.size for entry in manifest.files.values()), problems)


def _problems(store: ObjectStore, manifest: Manifest, scratch: Path) -> Iterator[str]:
    for name, entry in manifest.files.items():
        try:
            path = _local(store, manifest.id, name, scratch)
            size = path.stat().st_size
            if size != entry.size:
                yield f"{name} has {size} bytes, the manifest says {entry.size}"
            elif file_sha256(path) != entry.sha256:
                yield f"{name} is damaged: its sha256 does not match the manifest"
            if path.is_relative_to(scratch):
                path.unlink()
        except (NotFound, OSError) as error:
            yield f"{name} cannot be read: {error}"


def _local(store: ObjectStore, shard_id: str, name: str, scratch: Path) -> Path:
    key = shard_key(shard_id, name)
    if isinstance(store, FolderStore):
        return store.path(key)
    store.download(key, scratch / name)
    return scratch / name
