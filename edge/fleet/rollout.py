"""Advances a rollout: looks at reports, and signs the next step. What it has to remember is in what it signed.

So a controller that is killed is started again and goes on; only the time that a wave has soaked begins anew. Two
controllers at once exclude each other at the timestamp: one of them looks again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import structlog

from edge.fleet.reports import GatewayReport
from edge.fleet.settings import RolloutSettings
from edge.trust.fleet_documents import FleetDocuments, make_routing
from edge.trust.older import listed_records
from edge.trust.repository import TrustRepository
from edge.trust.staging import Edition, RolloutRecord, WavesRecord
from lineside.errors import ConfigurationError, Conflict

Verdict = Literal["well", "pending", "late", "silent", "failed"]
Action = Literal["wait", "admit", "settle", "withdraw"]
ATTEMPTS: Final = 5

_PUBLICATION = re.compile(r"\bpublication ([0-9]+):")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a gateway takes the candidate, and why that is thought."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step. `quiet_since`: since when every admitted gateway is well, or left out; None: not all are."""

    action: Action
    why: str
    quiet_since: datetime | None = None


def judge(
    report: GatewayReport | None, candidate: int, admitted_at: datetime, now: datetime, settings: RolloutSettings
) -> Judgement:
    """What a gateway's newest report says of its taking publication `candidate`.

    Reports from before the wave was admitted say nothing, so an older one that is put back says nothing either.
    """
    waited = (now - admitted_at).total_seconds() > settings.wave_timeout_s
    if report is None or report.state == "offline" or (now - report.at).total_seconds() > settings.report_stale_s:
        return Judgement("silent" if waited else "pending", "does not report")
    if report.at < admitted_at:
        return Judgement("late" if waited else "pending", "has not reported since")
    for incident in report.incidents:
        named = _PUBLICATION.search(incident)
        if named and int(named[1]) == candidate:
            return Judgement("failed", incident)
    if report.publication == candidate:
        if report.state == "serving":
            return Judgement("well")
        if report.state == "degraded":
            return Judgement("failed", report.reason or "is degraded")
    return Judgement("late" if waited else "pending", f"serves publication {report.publication}")


def decide(
    rollout: RolloutRecord,
    waves: WavesRecord,
    reports: Mapping[str, GatewayReport],
    settings: RolloutSettings,
    now: datetime,
    quiet_since: datetime | None,
) -> Decision:
    """The next step of a rollout that has a candidate and at least one admitted wave."""
    if rollout.candidate is None or rollout.admitted_at is None:
        raise ConfigurationError("there is no rollout to advance")
    judged: dict[str, Judgement] = {}
    for wave in waves.waves[: rollout.admitted]:
        for name in wave:
            judged[name] = judge(reports.get(name), rollout.candidate.publication, rollout.admitted_at, now, settings)
    # Earlier waves answer for themselves as well: what shows late counts as much.
    for names in (waves.waves[rollout.admitted - 1] if rollout.admitted else (), tuple(judged)):
        failed = [name for name in names if _counts_as_failed(judged[name].verdict, settings)]
        if len(failed) > int(settings.max_failed * len(names)):
            first = failed[0]
            return Decision(
                "withdraw",
                f"{len(failed)} of {len(names)} gateways failed publication {rollout.candidate.publication}, "
                f"first {first}: {judged[first].why or judged[first].verdict}",
            )
    counts = Counter(one.verdict for one in judged.values())
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    if rollout.phase == "paused":
        return Decision("wait", f"paused; {said}")
    if counts["pending"]:
        return Decision("wait", said)
    quiet_since = quiet_since or now
    left = settings.soak_s - (now - quiet_since).total_seconds()
    if left > 0:
        return Decision("wait", f"{said}; soaks for {left:.0f} s more", quiet_since)
    if rollout.admitted < len(waves.waves):
        return Decision("admit", said)
    return Decision("settle", said)


def _counts_as_failed(verdict: Verdict, settings: RolloutSettings) -> bool:
    return (
        verdict == "failed"
        or (verdict == "late" and settings.late_fails)
        or (verdict == "silent" and settings.silent_fails)
    )


class Controller:
    """Signs the steps of a rollout. Needs the keys of `fleet`, `snapshot` and `timestamp`, and no others.

    `repository` opens the store and keyring anew for each step; `urls` are the gateways' in the routing table.
    """

    def __init__(
        self,
        repository: Callable[[], TrustRepository],
        settings: RolloutSettings,
        urls: Mapping[str, str],
        *,
        announce: Callable[[int], None] = lambda publication: None,
    ) -> None:
        self._repository = repository
        self._settings = settings
        self._urls = urls
        self._announce = announce
        self._quiet: tuple[int, datetime | None] = (0, None)

    def documents(self) -> FleetDocuments:
        """What is signed now.

        Raises:
            ConfigurationError: nothing is.
            DataError: the store is not as this keyring has left it.
        """
        documents = FleetDocuments.read(self._repository())
        if documents.rollout is None:
            raise ConfigurationError("no fleet is published yet: lineside publish --fleet fleet.yaml")
        return documents

    def editions(self) -> list[Edition]:
        """Publications that gateways can be sent to, oldest first."""
        repository = self._repository()
        metadata = repository.delegated("shards")
        records = {} if metadata is None else listed_records(repository, metadata)
        return [Edition.of(record) for _, record in sorted(records.items())]

    def held(self, publication: int) -> dict[str, tuple[str, ...]]:
        """Families by gateway, of a publication that gateways can be sent to."""
        repository = self._repository()
        metadata = repository.delegated("shards")
        records = {} if metadata is None else listed_records(repository, metadata)
        found: dict[str, list[str]] = {}
        for shard in records[publication].shards:
            for label in shard.recipients:
                found.setdefault(label.split(":")[0], []).append(shard.family)
        return {name: tuple(families) for name, families in found.items()}

    def begin(self, candidate: Edition, waves: tuple[tuple[str, ...], ...]) -> RolloutRecord:
        """Admits the first wave.

        Raises:
            ConfigurationError: a rollout is under way, or every gateway is on that publication already.
        """
        record = WavesRecord(publication=candidate.publication, waves=waves)

        def start(known: FleetDocuments, sequence: int) -> FleetDocuments:
            assert known.rollout is not None
            if known.rollout.candidate is not None:
                raise ConfigurationError(
                    f"publication {known.rollout.candidate.publication} is rolling out: resume it, or roll it back"
                )
            if candidate == known.rollout.baseline:
                raise ConfigurationError(f"publication {candidate.publication} is what all gateways run already")
            return FleetDocuments(known.rollout.begin(candidate, sequence).admit(1, sequence), record, known.routing)

        return self._sign(start, "rollout begins")

    def step(self, reports: Mapping[str, GatewayReport], now: datetime) -> tuple[RolloutRecord, Decision]:
        """Looks once, and signs what follows; gives what is signed then."""
        documents = self.documents()
        rollout, waves = documents.rollout, documents.waves
        assert rollout is not None
        if rollout.candidate is None or waves is None:
            return rollout, Decision("wait", rollout.reason or "no rollout is under way")
        since = self._quiet[1] if self._quiet[0] == rollout.sequence else None
        decision = decide(rollout, waves, reports, self._settings, now, since)
        self._quiet = (rollout.sequence, decision.quiet_since)
        if decision.action == "wait":
            return rollout, decision

        def change(known: FleetDocuments, sequence: int) -> FleetDocuments:
            current = known.rollout
            if current is None or current.sequence != rollout.sequence or current.candidate is None:
                raise Conflict("somebody else has changed the rollout")
            if decision.action == "admit":
                changed = current.admit(current.admitted + 1, sequence)
            elif decision.action == "settle":
                changed = current.settle(current.candidate, sequence)
            else:
                changed = current.withdraw(decision.why, sequence)
            return FleetDocuments(changed, known.waves, known.routing)

        return self._sign(change, f"rollout {decision.action}", decision.why), decision

    def pause(self, reason: str = "") -> RolloutRecord:
        """Admits no further wave until `resume`; those that are admitted stay. Failures still roll it back."""
        return self._set_phase("paused", reason or "by hand")

    def resume(self) -> RolloutRecord:
        return self._set_phase("rolling", "")

    def roll_back(self, reason: str) -> RolloutRecord:
        """Withdraws the candidate; where there is none, everyone goes back to what was run before.

        Raises:
            ConfigurationError: there is nothing to go back to.
        """

        def change(known: FleetDocuments, sequence: int) -> FleetDocuments:
            rollout = known.rollout
            assert rollout is not None
            if rollout.candidate is not None:
                return FleetDocuments(rollout.withdraw(reason, sequence), None, known.routing)
            if rollout.previous is None:
                raise ConfigurationError("there is no publication before this one: publish an older release instead")
            back = RolloutRecord(
                sequence=sequence, phase="rolled back", baseline=rollout.previous, previous=None, reason=reason
            )
            return FleetDocuments(back, None, known.routing)

        return self._sign(change, "rolled back", reason)

    def _set_phase(self, phase: Literal["paused", "rolling"], reason: str) -> RolloutRecord:
        def change(known: FleetDocuments, sequence: int) -> FleetDocuments:
            rollout = known.rollout
            assert rollout is not None
            if rollout.candidate is None:
                raise ConfigurationError("no rollout is under way")
            changed = rollout.model_copy(update={"sequence": sequence, "phase": phase, "reason": reason})
            return FleetDocuments(changed, known.waves, known.routing)

        return self._sign(change, f"rollout {phase}", reason)

    def _sign(
        self, change: Callable[[FleetDocuments, int], FleetDocuments], event: str, why: str = ""
    ) -> RolloutRecord:
        """Reads, changes and signs; again from the beginning where somebody else published meanwhile."""
        for attempt in range(ATTEMPTS):
            repository = self._repository()
            known = FleetDocuments.read(repository)
            if known.rollout is None:
                raise ConfigurationError("no fleet is published yet: lineside publish --fleet fleet.yaml")
            sequence = repository.next_version("fleet")
            changed = change(known, sequence)
            assert changed.rollout is not None
            metadata = repository.delegated("shards")
            records = {} if metadata is None else listed_records(repository, metadata)
            routing = make_routing(changed.rollout, records, self._urls, sequence)
            try:
                repository.publish({"fleet": FleetDocuments(changed.rollout, changed.waves, routing).contents()})
            except Conflict:
                # The other one may have found this step in the store already, and have made it visible.
                if FleetDocuments.read(self._repository()).rollout != changed.rollout:
                    if attempt + 1 == ATTEMPTS:
                        raise
                    continue
            rollout = changed.rollout
            _log.info(event, phase=rollout.phase, admitted=rollout.admitted, sequence=sequence, reason=why)
            self._announce((rollout.candidate or rollout.baseline).publication)
            return rollout
        raise Conflict("others keep publishing")


def plan_waves(
    settings: RolloutSettings, held: Mapping[str, tuple[str, ...]], ranked: list[str]
) -> tuple[tuple[str, ...], ...]:
    """Gateways by wave: the canaries, waves of the sizes that are set, and the rest.

    `ranked` has all gateways in an order that spreads cells. A gateway goes to a later wave where one that holds a
    family with it stands in this one already, as long as that leaves enough: a bad wave then spares a replica.
    """
    canaries = tuple(settings.canaries) or tuple(ranked[:1])
    left = [name for name in ranked if name not in set(canaries)]
    waves = [canaries] if canaries else []
    for size in settings.waves:
        count = size if isinstance(size, int) else max(round(size * len(ranked)), 1)
        taken: list[str] = []
        families: set[str] = set()
        for name in left:
            if len(taken) < count and not families & set(held.get(name, ())):
                taken.append(name)
                families |= set(held.get(name, ()))
        chosen = set(taken)
        taken += [name for name in left if name not in chosen][: max(count - len(taken), 0)]
        if taken:
            waves.append(tuple(taken))
            left = [name for name in left if name not in set(taken)]
    if left:
        waves.append(tuple(left))
    return tuple(waves)
