"""Removes old releases, and shards that no release needs any more.

What is to go is written into the pointer first, on condition that it has not moved: from then on nobody can publish or
activate it, and whoever did so before makes the plan begin anew. A removal that was interrupted is completed by the
next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lineside.errors import Conflict, InvalidRequest
from lineside.objects import FolderStore, ObjectInfo
from lineside.releases.catalogue import ABANDONED_AFTER, Catalogue, release_key
from lineside.releases.records import Pointer, Removal
from lineside.releases.upload import shard_key
from lineside.shards.manifest import MANIFEST_NAME

DEFAULT_GRACE = timedelta(hours=24)
_PLANS = 10
_READS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What goes. `kept` are the numbers that stay; `size` is what the shards take, in bytes."""

    releases: tuple[int, ...]
    shards: tuple[str, ...]
    size: int
    kept: tuple[int, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        return not self.releases and not self.shards


def plan_prune(catalogue: Catalogue, keep: int, grace: timedelta = DEFAULT_GRACE) -> PrunePlan:
    """What `prune` would remove now.

    Args:
        keep: how many of the newest releases stay. The current one, the one that a rollback goes to, and whatever is
            younger than `grace` stay too.
        grace: a shard younger than this may belong to a release that is being published.

    Raises:
        NotFound: nothing has been published.
        DataError: the pointer or a release is damaged; nothing is removed on a guess.
    """
    return _plan(catalogue, catalogue.pointer(), keep, grace)


def prune(catalogue: Catalogue, keep: int, grace: timedelta = DEFAULT_GRACE) -> PrunePlan:
    """Removes it; gives what was removed.

    Raises:
        NotFound, DataError: as `plan_prune`.
        Conflict: another prune is under way, or the catalogue keeps changing.
    """
    if isinstance(catalogue.store, FolderStore):
        catalogue.store.sweep(datetime.now(UTC) - max(grace, DEFAULT_GRACE))
    for _ in range(_PLANS):
        pointer, etag = catalogue.pointer_with_etag()
        if pointer.removing is not None:
            if datetime.now(UTC) - pointer.removing.since < ABANDONED_AFTER:
                raise Conflict(
                    f"another prune runs since {pointer.removing.since:%Y-%m-%d %H:%M} UTC; if it was interrupted, it "
                    f"can be completed after {ABANDONED_AFTER.seconds // 3600} h"
                )
            _remove(catalogue, pointer.removing)
            continue
        plan = _plan(catalogue, pointer, keep, grace)
        if plan.is_empty:
            return plan
        removal = Removal(since=datetime.now(UTC), releases=plan.releases, shards=plan.shards)
        highest = max(pointer.highest, *plan.kept, *plan.releases)
        try:
            catalogue.replace_pointer(pointer.model_copy(update={"removing": removal, "highest": highest}), etag)
        except Conflict:
            continue
        _remove(catalogue, removal)
        return plan
    raise Conflict(f"the current release in {catalogue.store.url} keeps changing: prune when it is quiet")


def _plan(catalogue: Catalogue, pointer: Pointer, keep: int, grace: timedelta) -> PrunePlan:
    if keep < 1:
        raise InvalidRequest("keep at least one release")
    young = datetime.now(UTC) - grace
    numbers = catalogue.numbers()
    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        records = {release.number: release for release in pool.map(catalogue.get, numbers)}
        infos = dict(zip(numbers, pool.map(lambda n: catalogue.store.head(release_key(n)), numbers), strict=True))
    kept = {*numbers[-keep:], pointer.release}
    kept |= set([n for n in pointer.active_before() if n in records][:1])
    kept |= {n for n, info in infos.items() if info is not None and info.modified > young}
    needed = {shard.id for n in kept & records.keys() for shard in records[n].shards}
    shards = _shards(catalogue.store.list("shards/"))
    unused = sorted(i for i, found in shards.items() if i not in needed and all(f.modified <= young for f in found))
    return PrunePlan(
        releases=tuple(n for n in numbers if n not in kept),
        shards=tuple(unused),
        size=sum(file.size for i in unused for file in shards[i]),
        kept=tuple(sorted(kept)),
    )


def _shards(objects: Iterable[ObjectInfo]) -> dict[str, list[ObjectInfo]]:
    found: dict[str, list[ObjectInfo]] = {}
    for info in objects:
        folder, _, name = info.key.removeprefix("shards/").partition("/")
        if name:
            found.setdefault(folder, []).append(info)
    return found


def _remove(catalogue: Catalogue, removal: Removal) -> None:
    """Manifests first: what has none counts as not there."""
    store = catalogue.store
    for number in removal.releases:
        store.delete(release_key(number))
    for shard in removal.shards:
        store.delete(shard_key(shard, MANIFEST_NAME))
        for info in list(store.list(shard_key(shard))):
            store.delete(info.key)
    for _ in range(_PLANS):
        pointer, etag = catalogue.pointer_with_etag()
        if pointer.removing != removal:
            return
        try:
            catalogue.replace_pointer(pointer.model_copy(update={"removing": None}), etag)
            return
        except Conflict:
            continue
    raise Conflict(f"the current release in {store.url} keeps changing: prune again to finish")
