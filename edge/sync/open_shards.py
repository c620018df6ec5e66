"""Shards of releases that are held, decrypted into memory: each is there once, for as long as somebody uses it."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from edge.canary import CANARIES
from edge.sync.memory import MemoryFiles
from edge.sync.releases import HeldReleases
from edge.sync.state import Held
from lineside.shards import Shard

Early = Callable[[str], MemoryFiles | None]
"""The decrypted, verified files of a shard by its id, where they are there already."""


class OpenShards:
    """`early` is asked before anything is decrypted. `max_bytes` (plain) of one shard are read at most.

    Raises, as its methods do:
        IntegrityError: something is missing, damaged, or not what was signed.
    """

    def __init__(self, held: HeldReleases, max_bytes: int, early: Early) -> None:
        self._held, self._max_bytes, self._early = held, max_bytes, early
        self._alive: weakref.WeakValueDictionary[str, Shard] = weakref.WeakValueDictionary()

    def open(self, held: Held) -> list[Shard]:
        """All shards of a release; one that is open still is not opened again."""
        shards = []
        for family, shard_id in self._held.shard_ids(held).items():
            shard = self._alive.get(shard_id)
            if shard is None:
                with self._early(shard_id) or self._decrypt(held, family) as files:
                    shard = self._alive[shard_id] = self._held.read_shard(held, family, files)
            shards.append(shard)
        return shards

    def read_anew(self, held: Held, family: str) -> tuple[Shard, bytes]:
        """A shard as it lies on the disk, whether it is open or not, and its canary queries."""
        with self._decrypt(held, family) as files:
            return self._held.read_shard(held, family, files), files.read(CANARIES)

    def share(self, shard: Shard) -> Shard:
        """The shard of this id that is open already, else this one, which is the open one from now on."""
        return self._alive.setdefault(shard.id, shard)

    def _decrypt(self, held: Held, family: str) -> MemoryFiles:
        return self._held.decrypt(held, family, max_bytes=self._max_bytes)
