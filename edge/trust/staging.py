"""Which publication each gateway is to run, and who holds what: what the `fleet` role signs.

    fleet/rollout.json   the publications that gateways may run now, and how many waves may take the newer one
    fleet/waves.json     the gateways of each wave, signed once for a rollout
    fleet/routing.json   the gateways that hold each family

The fleet's key chooses among publications that the `shards` key has signed; it cannot make one, and whoever has the
`shards` key alone reaches no gateway whose rollout the fleet signs. So waves go forward and back by signing a document
of some hundred bytes. It goes back to an older publication without lowering any version: the document that says so is
newer, and a gateway never takes one that is older than what it has seen (`sequence`).

A publication that is not the newest is listed below `publications/N/`, so that all that may be wanted stay signed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from edge.trust.records import Name, ReleaseRecord
from lineside.errors import IntegrityError

ROLLOUT: Final = "fleet/rollout.json"
WAVES: Final = "fleet/waves.json"
ROUTING: Final = "fleet/routing.json"
GATEWAYS_MAX: Final = 100_000

Phase = Literal["settled", "rolling", "paused", "rolled back"]


def older_path(publication: int, path: str) -> str:
    """Where a document of a publication is listed that is no longer the newest."""
    return f"publications/{publication}/{path}"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Edition(_Record):
    """A publication and the release that it carries."""

    publication: int = Field(ge=1)
    release: int = Field(ge=1)

    @classmethod
    def of(cls, record: ReleaseRecord) -> Edition:
        return cls(publication=record.publication, release=record.release)


class RolloutRecord(_Record):
    """`fleet/rollout.json`: all that a controller has to know to go on after it was killed.

    Gateways of the first `admitted` waves take the `candidate`, all others the `baseline`. `previous` was the baseline
    before this one, so that even a finished rollout can be taken back.
    """

    format_version: Literal[1] = 1
    sequence: int = Field(ge=1, description="rises with every signing")
    phase: Phase = "settled"
    baseline: Edition
    candidate: Edition | None = None
    previous: Edition | None = None
    admitted: int = Field(0, ge=0, description="waves that take the candidate")
    admitted_at: AwareDatetime | None = Field(None, description="when the last of them was admitted")
    reason: str = Field("", max_length=1_000, description="why it was paused or rolled back")

    @model_validator(mode="after")
    def _candidate_belongs_to_a_rollout(self) -> RolloutRecord:
        if (self.phase in ("rolling", "paused")) != (self.candidate is not None):
            raise ValueError("a rollout has a candidate, and nothing else has")
        if self.candidate is None and self.admitted:
            raise ValueError("waves are admitted to nothing")
        return self

    @property
    def live(self) -> set[int]:
        """Publications that some gateway may be told to run."""
        return {one.publication for one in (self.baseline, self.candidate, self.previous) if one is not None}

    def settle(self, edition: Edition, sequence: int) -> RolloutRecord:
        """Everyone takes this one."""
        previous = self.previous if edition == self.baseline else self.baseline
        return RolloutRecord(sequence=sequence, baseline=edition, previous=previous)

    def begin(self, candidate: Edition, sequence: int) -> RolloutRecord:
        """A rollout of which no wave is admitted yet."""
        return RolloutRecord(
            sequence=sequence, phase="rolling", baseline=self.baseline, candidate=candidate, previous=self.previous
        )

    def admit(self, waves: int, sequence: int) -> RolloutRecord:
        """The first `waves` waves take the candidate from now on."""
        return self.model_copy(
            update={"sequence": sequence, "admitted": waves, "admitted_at": datetime.now(UTC).replace(microsecond=0)}
        )

    def withdraw(self, reason: str, sequence: int) -> RolloutRecord:
        """Everyone goes back to the baseline."""
        return RolloutRecord(
            sequence=sequence,
            phase="rolled back",
            baseline=self.baseline,
            previous=self.previous,
            reason=reason[:1_000],
        )


class WavesRecord(_Record):
    """`fleet/waves.json`: who takes `publication` when. Gateways that stand in no wave wait for the end."""

    format_version: Literal[1] = 1
    publication: int = Field(ge=1)
    waves: tuple[tuple[Name, ...], ...] = Field(max_length=1_000)

    @model_validator(mode="after")
    def _gateways_stand_in_one_wave(self) -> WavesRecord:
        names = [name for wave in self.waves for name in wave]
        if len(names) > GATEWAYS_MAX or len(set(names)) != len(names):
            raise ValueError("a gateway stands in two waves, or there are too many")
        return self

    def gateways(self, admitted: int) -> frozenset[str]:
        """Those of the first `admitted` waves."""
        return frozenset(name for wave in self.waves[:admitted] for name in wave)


class Route(_Record):
    """A gateway that can be asked."""

    gateway: Name
    url: Annotated[str, Field(max_length=500)] = ""


class RoutingRecord(_Record):
    """`fleet/routing.json`: the gateways that hold each family, to be asked in this order.

    While a rollout moves families, those that hold it after the rollout come first, and those that held it before
    follow. `epoch` rises with every signing.
    """

    format_version: Literal[1] = 1
    epoch: int = Field(ge=1)
    urls: dict[Name, Annotated[str, Field(max_length=500)]] = Field(max_length=GATEWAYS_MAX)
    families: dict[Name, tuple[Name, ...]] = Field(max_length=10_000)

    @model_validator(mode="after")
    def _gateways_are_known(self) -> RoutingRecord:
        if unknown := {name for names in self.families.values() for name in names} - set(self.urls):
            raise ValueError(f"gateway {min(unknown)} has no entry in urls")
        return self

    def routes(self, family: str) -> tuple[Route, ...]:
        """Who holds a family, best first; nobody where it is not known."""
        return tuple(Route(gateway=name, url=self.urls[name]) for name in self.families.get(family, ()))


def wanted(rollout: RolloutRecord, waves: WavesRecord | None, gateway: str) -> Edition:
    """What a gateway is to run.

    Raises:
        IntegrityError: the waves are not those of this rollout.
    """
    if rollout.candidate is None or not rollout.admitted:
        return rollout.baseline
    if waves is None or waves.publication != rollout.candidate.publication:
        raise IntegrityError(f"{WAVES} does not belong to the rollout of {rollout.candidate.publication}")
    return rollout.candidate if gateway in waves.gateways(rollout.admitted) else rollout.baseline
