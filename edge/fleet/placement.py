"""Which gateways hold which families: weighted rendezvous hashing, replicas in different cells.

Every family ranks all gateways by a hash of both names and takes the first ones (Thaler & Ravishankar 1998, "Using
name-based mappings to increase hit rates"); a gateway's weight enters as -w / ln u, so that it gets a share of w
(Schindelhauer & Schomaker 2005, "Weighted distributed hash tables", the logarithmic method). No state is kept: the
same fleet gives the same placement, and of a gateway that joins or leaves only its own families move.

Where memory is short, pairs of family and gateway are taken in the order of their scores. As both sides rank by the
same score, that is the one stable assignment; a family that finds its gateway full moves to its next one, so there a
change may move more than the families of the gateway that changed.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge.fleet.settings import FleetSettings
from edge.pieces.index import parse_index
from edge.trust.records import Recipient, Recipients
from edge.trust.repository import TrustRepository
from lineside.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Placement:
    """Gateways by family, best first; and families that have fewer than they should."""

    families: dict[str, tuple[str, ...]]
    short: dict[str, str]

    def held(self) -> dict[str, tuple[str, ...]]:
        """Families by gateway, sorted."""
        found: dict[str, list[str]] = defaultdict(list)
        for family, gateways in sorted(self.families.items()):
            for gateway in gateways:
                found[gateway].append(family)
        return {gateway: tuple(families) for gateway, families in found.items()}


@dataclass(frozen=True, slots=True)
class Move:
    """A family that a gateway has to fetch, or may let go of."""

    family: str
    gateway: str
    joins: bool


def place(fleet: FleetSettings, sizes_mib: Mapping[str, float]) -> Placement:
    """Places families of the given sizes (MiB in memory; `families` of `fleet.yaml` has the last word).

    A family of a cell's camera is held in that cell, also where that makes more replicas than were asked for.

    Raises:
        ConfigurationError: a family fits nowhere, or a gateway wants a family that there is not.
    """
    return _Placer(fleet, sizes_mib).place()


def moves(before: Placement, after: Placement) -> list[Move]:
    """What changes from one placement to another, families in order."""
    found = []
    for family in sorted({*before.families, *after.families}):
        old, new = set(before.families.get(family, ())), set(after.families.get(family, ()))
        found += [Move(family, gateway, True) for gateway in sorted(new - old)]
        found += [Move(family, gateway, False) for gateway in sorted(old - new)]
    return found


def recipients(fleet: FleetSettings, placement: Placement) -> Recipients:
    """What publishing has to know: a gateway may read what is placed on it, and nothing else."""
    held = placement.held()
    return Recipients(
        gateways={
            name: Recipient(public_key=gateway.public_key, families=held.get(name, ()), url=gateway.url)
            for name, gateway in fleet.gateways.items()
        }
    )


def published_sizes(repository: TrustRepository) -> dict[str, float]:
    """Families of the newest publication with their plain size in MiB.

    Raises:
        ConfigurationError: nothing is published.
    """
    metadata = repository.delegated("shards")
    if metadata is None:
        raise ConfigurationError(f"nothing is published in {repository.store.url}")
    found = {}
    for path in metadata.targets:
        if path.startswith("shards/"):
            family = path.removeprefix("shards/").removesuffix(".json")
            data = repository.read_target(metadata, path) or b""
            index = parse_index(data, kind="shard", name=family)
            found[family] = sum(file.size for file in index.files.values()) / 2**20
    return found


def score(family: str, gateway: str, weight: float) -> float:
    """A family's liking for a gateway: positive, larger is better."""
    digest = hashlib.blake2b(f"{family}\0{gateway}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 0.5) / 2**64
    return -weight / math.log(uniform) if uniform < 1 else math.inf


class _Placer:
    def __init__(self, fleet: FleetSettings, sizes_mib: Mapping[str, float]) -> None:
        own = {name: family.size_mib for name, family in fleet.families.items() if family.size_mib is not None}
        self._fleet = fleet
        self._sizes = {name: own.get(name, size) for name, size in sizes_mib.items()}
        self._free = {name: g.memory_mib or math.inf for name, g in fleet.gateways.items()}
        self._cells = {name: g.cell or f"\0{name}" for name, g in fleet.gateways.items()}  # no cell: its own
        self._chosen: dict[str, list[str]] = {family: [] for family in self._sizes}

    def place(self) -> Placement:
        if unknown := sorted(
            camera.family for camera in self._fleet.cameras.values() if not self._known(camera.family)
        ):
            raise ConfigurationError(f"a camera looks at family {unknown[0]}, which the release does not have")
        self._place_listed()
        open_to = [name for name, gateway in self._fleet.gateways.items() if gateway.families is None]
        pairs = sorted(
            ((score(f, g, self._fleet.gateways[g].weight), f, g) for f in self._sizes for g in open_to), reverse=True
        )
        ranked = [(family, gateway) for _, family, gateway in pairs]
        self._place_cameras(ranked)
        for cells_differ in (True, False):
            for family, gateway in ranked:
                lacks = len(self._chosen[family]) < self._fleet.replicas(family)
                if lacks and not (cells_differ and self._cells[gateway] in self._cells_of(family)):
                    self._take(family, gateway)
        return Placement(
            {family: tuple(gateways) for family, gateways in sorted(self._chosen.items())}, dict(self._short())
        )

    def _known(self, family: str) -> bool:
        return family in self._sizes

    def _place_listed(self) -> None:
        for name, gateway in self._fleet.gateways.items():
            for family in gateway.families or ():
                if not self._known(family):
                    raise ConfigurationError(f"gateway {name} wants {family}, which the release does not have")
                self._take(family, name)
                if name not in self._chosen[family]:
                    raise ConfigurationError(
                        f"gateway {name} cannot hold {family}: its families need more than memory_mib"
                    )

    def _place_cameras(self, ranked: list[tuple[str, str]]) -> None:
        wanted = {(camera.family, camera.cell) for camera in self._fleet.cameras.values()}
        for family, gateway in ranked:
            cell = self._cells[gateway]
            if (family, cell) in wanted and cell not in self._cells_of(family):
                self._take(family, gateway)
        for family, cell in sorted(wanted):
            if cell not in self._cells_of(family):
                raise ConfigurationError(
                    f"cell {cell} has a camera of {family}, and no gateway there has {self._sizes[family]:g} MiB left"
                )

    def _cells_of(self, family: str) -> set[str]:
        return {self._cells[gateway] for gateway in self._chosen[family]}

    def _take(self, family: str, gateway: str) -> None:
        """Where it is not there yet, and has room."""
        if gateway not in self._chosen[family] and self._sizes[family] <= self._free[gateway]:
            self._free[gateway] -= self._sizes[family]
            self._chosen[family].append(gateway)

    def _short(self) -> Iterable[tuple[str, str]]:
        for family, gateways in sorted(self._chosen.items()):
            wanted = self._fleet.replicas(family)
            if not gateways and self._fleet.gateways:
                raise ConfigurationError(
                    f"family {family} ({self._sizes[family]:g} MiB) fits on no gateway: raise memory_mib or add one"
                )
            if len(gateways) < wanted:
                yield family, f"{len(gateways)} of {wanted} replicas: no other gateway has room for it"
