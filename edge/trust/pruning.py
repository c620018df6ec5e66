"""Removes from the store what only past publications needed. Gateways need the newest one; others ease going back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from edge.pieces.index import parse_index
from edge.trust import ceremony
from edge.trust.repository import METADATA, PACKS, TARGETS, TrustRepository, pack_key, target_key
from lineside.errors import IntegrityError

_OLDER = re.compile(r"^publications/[0-9]+/")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed."""

    objects: int
    bytes: int


def prune(repository: TrustRepository, *, keep: int, older_than: timedelta = timedelta(days=1)) -> Pruned:
    """Removes targets, packs and metadata that the newest `keep` (at least 1) publications do not need.

    What is younger than `older_than` stays: another publisher may have written it and not yet signed it. A gateway in
    the middle of an update to a removed publication finds it incomplete, and takes the newest at its next look. Root
    and top-level targets metadata stay for ever: gateways follow roots one by one.

    Raises:
        DataError: the store is not as this keyring has left it, or what is kept is damaged; nothing is removed then.
    """
    wanted = {f"{METADATA}/timestamp.json"}
    for role in ceremony.DELEGATED:
        repository.delegated(role)  # raises where the newest is not there
        versions = repository.verified_versions(role)[-max(keep, 1) :]
        for metadata in versions:
            wanted.add(f"{METADATA}/{metadata.version}.{role}.json")
            for path, target in metadata.targets.items():
                wanted.add(target_key(path, target.hashes["sha256"]))
                folder, _, name = _OLDER.sub("", path).partition("/")
                if folder not in ("shards", "models"):
                    continue
                data = repository.read_target(metadata, path)
                if data is None:
                    raise IntegrityError(f"{path} of {role} {metadata.version} cannot be read")
                index = parse_index(
                    data, kind="shard" if folder == "shards" else "model", name=name.removesuffix(".json")
                )
                wanted |= {pack_key(pack.sha256) for pack in index.packs}
    snapshots = sorted(repository.versions("snapshot"))[-max(keep, 1) :]
    wanted |= {f"{METADATA}/{version}.snapshot.json" for version in snapshots}
    until = datetime.now(UTC) - older_than
    objects = size = 0
    for prefix in (METADATA, TARGETS, PACKS):
        for info in list(repository.store.list(f"{prefix}/")):
            lasting = prefix == METADATA and info.key.endswith((".root.json", ".targets.json"))
            if info.key not in wanted and not lasting and info.modified < until:
                repository.store.delete(info.key)
                objects, size = objects + 1, size + info.size
    _log.info("pruned", store=repository.store.url, objects=objects, bytes=size)
    return Pruned(objects, size)
