"""From built shards to a release, without undoing what somebody else published meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lineside.errors import Conflict
from lineside.releases import Catalogue, Release, ShardEntry, rebase

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Built:
    """A family's shard in the store, and the key of what it was built from."""

    entry: ShardEntry
    key: str


def publish(
    catalogue: Catalogue,
    built: Sequence[Built],
    base: Release | None,
    *,
    fingerprints: dict[str, str],
    promote: bool,
    keep_others: bool,
    gate: Callable[[Release], None] | None,
    note: str,
) -> tuple[Release, bool]:
    """(the release, whether it is new). Where the current one has these very shards already, it stays.

    Raises:
        Conflict: another run changed the same families: list and build again.
        BelowBar: the gate refused it; the release is in the catalogue and not current.
    """
    mine = [item.entry for item in built]
    if keep_others and base is not None:
        named = {entry.family for entry in mine}
        mine += [entry for entry in base.shards if entry.family not in named]
    began, current, wanted = base, base, mine
    for _ in range(_ATTEMPTS):
        if current is not None and set(wanted) == set(current.shards) and current.fingerprints == fingerprints:
            return current, False
        try:
            number = current.number if current else None
            if gate is None:
                release = catalogue.publish(wanted, fingerprints=fingerprints, base=number, note=note, activate=promote)
                return release, True
            candidate = catalogue.publish(wanted, fingerprints=fingerprints, base=number, note=note, activate=False)
            gate(candidate)
            if promote:
                catalogue.activate(candidate.number, base=number, why=note)
            return candidate, True
        except Conflict:
            found = catalogue.current()
            if current is not None and found.number == current.number:
                raise
            current = found
            wanted = [entry for entry in rebase(mine, began, current) if isinstance(entry, ShardEntry)]
    raise Conflict(f"the current release in {catalogue.store.url} keeps changing: try again when it is quiet")
