"""Which publication this gateway is to run, by the fleet's signed documents, and whom its neighbours hold what."""

from __future__ import annotations

from collections.abc import Callable

from edge.sync.state import State, StateFile
from edge.sync.verified import VerifiedTargets
from edge.trust.records import parse_record
from edge.trust.staging import ROLLOUT, ROUTING, WAVES, Edition, RolloutRecord, RoutingRecord, WavesRecord, wanted
from lineside.errors import IntegrityError

Fetch = Callable[[str], tuple[str, bytes]]
"""SHA-256 (hex) and content of a signed document, kept on this gateway."""


def follow_fleet(
    targets: VerifiedTargets, fetch: Fetch, state: State, file: StateFile, gateway: str
) -> tuple[State, Edition | None]:
    """Takes the fleet's newest documents; gives what the gateway is to run, None where no fleet says so.

    Raises:
        IntegrityError: they are older than what this gateway has seen, contradict each other, or are there no more.
    """
    found = {path: fetch(path) for path in (ROLLOUT, WAVES, ROUTING) if targets.sha256(path) is not None}
    if ROLLOUT not in found:
        if state.rollout:
            raise IntegrityError(f"{ROLLOUT}, which this gateway has followed, is signed no more")
        edition, sequence = None, 0
    else:
        rollout = parse_record(found[ROLLOUT][1], RolloutRecord, ROLLOUT)
        _not_older(ROLLOUT, rollout.sequence, state.rollout)
        waves = parse_record(found[WAVES][1], WavesRecord, WAVES) if WAVES in found else None
        edition, sequence = wanted(rollout, waves, gateway), rollout.sequence
    epoch = state.routing
    if ROUTING in found:
        epoch = parse_record(found[ROUTING][1], RoutingRecord, ROUTING).epoch
        _not_older(ROUTING, epoch, state.routing)
    documents = {**state.fleet, **{path: sha256 for path, (sha256, _) in found.items()}}
    if (sequence, epoch, documents) != (state.rollout, state.routing, state.fleet):
        state = state.model_copy(update={"rollout": sequence, "routing": epoch, "fleet": documents})
        file.save(state)
    return state, edition


class LatestRouting:
    """The routing table that was verified last: read from the disk once, so that every question may ask for it."""

    def __init__(self, file: StateFile) -> None:
        self._file = file
        self._read: tuple[int, RoutingRecord | None] | None = None

    def table(self) -> RoutingRecord | None:
        """None where there is none, or its file is damaged."""
        if self._read is None:
            self._read = self._read_from(self._file.load_or_put_aside())
        return self._read[1]

    def follow(self, state: State) -> None:
        """Reads the table of a state that names another one than the last did."""
        if self._read is None or self._read[0] != state.routing:
            self._read = self._read_from(state)

    def _read_from(self, state: State) -> tuple[int, RoutingRecord | None]:
        data = self._file.find_document(state.fleet.get(ROUTING, ""))
        return state.routing, None if data is None else parse_record(data, RoutingRecord, ROUTING)


def _not_older(path: str, offered: int, seen: int) -> None:
    if offered < seen:
        raise IntegrityError(f"{path} {offered} is older than {seen}, which was seen before")
