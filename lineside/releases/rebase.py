"""Two publishers at once: what a publisher whose base is no longer current must publish instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lineside.errors import Conflict
from lineside.releases.records import Release, ShardEntry, families_of
from lineside.shards import ShardRef

Shards = Sequence[tuple[str, ShardRef] | ShardEntry]


def entries(shards: Shards) -> list[ShardEntry]:
    """As a release lists them."""
    return [s if isinstance(s, ShardEntry) else ShardEntry(family=s[0], id=s[1].id) for s in shards]


def rebase(
    shards: Shards,
    base: Release | None,
    current: Release,
    *,
    contested: Literal["refuse", "ours"] = "refuse",
) -> list[tuple[str, ShardRef] | ShardEntry]:
    """A three-way merge by family: what `shards` changed since `base`, everything else as in `current`.

    A family counts as changed where its shards are not those of `base`; leaving one out deletes it.

    Args:
        shards: what the publisher wanted to publish.
        base: the release it began from; None where there was none.
        current: the release that is current now.
        contested: what becomes of a family that both sides changed, and not in the same way: `refuse` raises, `ours`
            takes the publisher's. `ours` is right only where the publisher's source is all there is of that family.

    Raises:
        Conflict: a contested family, or the current release was made with other encoders or another chunker.
    """
    mine, before, now = families_of(entries(shards)), base.families if base else {}, current.families
    if base is not None and base.fingerprints != current.fingerprints:
        raise Conflict(
            f"release {current.number} was made with other encoders or another chunker than release {base.number}, "
            "from which this one began: build again, from the current release"
        )
    families = mine.keys() | before.keys() | now.keys()
    changed = {f for f in families if mine.get(f) != before.get(f)}
    both = sorted(f for f in changed if now.get(f) != before.get(f) and now.get(f) != mine.get(f))
    if both and contested == "refuse":
        raise Conflict(f"release {current.number} changed {', '.join(both)} too: build these families again from it")
    own = [s for s in shards if (s.family if isinstance(s, ShardEntry) else s[0]) in changed]
    return [*own, *(s for s in current.shards if s.family not in changed)]
