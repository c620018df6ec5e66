"""The fleet's signed documents, read from the repository and made for its next metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.trust.records import ReleaseRecord, parse_record
from edge.trust.repository import Content, TrustRepository
from edge.trust.staging import ROLLOUT, ROUTING, WAVES, RolloutRecord, RoutingRecord, WavesRecord


@dataclass(frozen=True, slots=True)
class FleetDocuments:
    """What the fleet's present key has signed; all None where it has signed nothing."""

    rollout: RolloutRecord | None = None
    waves: WavesRecord | None = None
    routing: RoutingRecord | None = None

    @classmethod
    def read(cls, repository: TrustRepository) -> FleetDocuments:
        """Raises IntegrityError where the store's content is not what was signed."""
        metadata = repository.delegated("fleet")
        if metadata is None:
            return cls()
        rollout, waves, routing = (repository.read_target(metadata, path) for path in (ROLLOUT, WAVES, ROUTING))
        return cls(
            None if rollout is None else parse_record(rollout, RolloutRecord, ROLLOUT),
            None if waves is None else parse_record(waves, WavesRecord, WAVES),
            None if routing is None else parse_record(routing, RoutingRecord, ROUTING),
        )

    def contents(self) -> dict[str, Content]:
        """What the fleet's metadata is to list. Waves that belong to no rollout are left out."""
        found: dict[str, Content] = {}
        if self.rollout is not None:
            found[ROLLOUT] = self.rollout.model_dump_json().encode()
            candidate = self.rollout.candidate
            if self.waves is not None and candidate is not None and self.waves.publication == candidate.publication:
                found[WAVES] = self.waves.model_dump_json().encode()
        if self.routing is not None:
            found[ROUTING] = self.routing.model_dump_json().encode()
        return found


def make_routing(
    rollout: RolloutRecord, records: Mapping[int, ReleaseRecord], urls: Mapping[str, str], epoch: int
) -> RoutingRecord:
    """Who holds each family, by the publications that gateways run now; gateways without an entry in `urls` are out.

    Of one family the gateways are in the order of their names, turned by the family's own name, so that neighbours
    that ask the first one do not all ask the same.
    """
    families: dict[str, list[str]] = {}
    for edition in (rollout.candidate, rollout.baseline):
        record = None if edition is None else records.get(edition.publication)
        for shard in () if record is None else record.shards:
            held = families.setdefault(shard.family, [])
            names = sorted({label.split(":")[0] for label in shard.recipients} & set(urls))
            turn = sum(shard.family.encode()) % max(len(names), 1)
            held += [name for name in names[turn:] + names[:turn] if name not in held]
    return RoutingRecord(
        epoch=epoch, urls=dict(urls), families={family: tuple(names) for family, names in sorted(families.items())}
    )
