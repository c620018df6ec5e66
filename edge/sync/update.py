"""One update: what the store offers is fetched and tried, and only then takes the place of the current release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from edge.sync.assigned import LatestRouting, follow_fleet
from edge.sync.fetching import PackFetcher
from edge.sync.offer import Offer
from edge.sync.releases import HeldReleases
from edge.sync.state import Held, State, StateFile
from edge.sync.trial import Trial
from edge.trust.staging import Edition
from lineside.errors import DataError, IntegrityError, StoreUnavailable

Status = Literal["unchanged", "applied", "unreachable", "refused", "failed"]


@dataclass(slots=True)
class Attempt:
    """What an update came to, filled in while it runs. `publication`: what the store offers, 0 before that is known."""

    status: Status = "unchanged"
    reason: str = ""
    publication: int = 0
    fetched_bytes: int = 0


class Updater:
    """Updates a state folder, for its one writer. `look` looks at the store."""

    def __init__(
        self,
        gateway: str,
        look: Callable[[], Offer],
        file: StateFile,
        held: HeldReleases,
        fetcher: PackFetcher,
        trial: Trial,
        routing: LatestRouting,
    ) -> None:
        self._gateway = gateway
        self._look = look
        self._file = file
        self._held = held
        self._fetcher = fetcher
        self._trial = trial
        self._routing = routing
        self._settled = _Settled()

    def run(self) -> Attempt:
        """Looks at the store once, and switches to what it offers when that is newer, verified and works.

        Raises:
            ConfigurationError: the settings cannot work.
        """
        attempt = Attempt()
        try:
            attempt.status, attempt.reason = self._update(attempt)
        except StoreUnavailable as error:
            attempt.status, attempt.reason = "unreachable", str(error)
        except IntegrityError as error:
            attempt.status, attempt.reason = "refused", str(error)
        except (DataError, OSError) as error:
            attempt.status, attempt.reason = "failed", str(error)
        return attempt

    def _update(self, attempt: Attempt) -> tuple[Status, str]:
        state = self._file.load_or_put_aside()
        offer = self._look()
        state, edition = follow_fleet(offer.targets, offer.document, state, self._file, self._gateway)
        self._routing.follow(state)
        # With thousands of targets most of a look's time is the parsing of what did not change since the last one.
        fingerprint = f"{offer.targets.fingerprint()} {edition}"
        if self._settled.still_holds(fingerprint, state.current) and (
            state.current is None or self._held.is_complete(state.current)
        ):
            return "unchanged", self._settled.reason
        status, reason = self._follow(offer, edition, state, attempt)
        if status in ("unchanged", "applied"):
            current = self._file.load_or_put_aside().current
            self._settled = _Settled(fingerprint, offer.targets.valid_until(), current, reason)
        return status, reason

    def _follow(self, offer: Offer, edition: Edition | None, state: State, attempt: Attempt) -> tuple[Status, str]:
        """Takes the publication that this gateway is to run, where it does not have that already."""
        offered = offer.publication(edition)
        number = attempt.publication = offered.record.publication
        if edition is not None and number != edition.publication:
            raise IntegrityError(f"publication {edition.publication}, which the fleet wants, is signed no more")
        if edition is None and number < state.seen:
            raise IntegrityError(f"publication {number} is older than {state.seen}, which was seen before")
        if why := self._trial.failed_before(offered.record_sha256, state):
            return "unchanged", f"publication {number} failed here: {why}"
        candidate = offer.candidate(offered)
        if (
            state.current is not None
            and state.current.documents == candidate.documents
            and self._held.is_complete(state.current)
        ):
            return "unchanged", ""
        for pack in self._fetcher.fetch(candidate, state):
            attempt.fetched_bytes += pack.size
        for model in self._held.models(candidate):
            if not self._held.model_folder(candidate, model).is_dir():
                self._held.assemble_model(candidate, model)
        if reason := self._trial.run(candidate, offered.record_sha256):
            return "failed", reason
        self._switch(candidate)
        return "applied", ""

    def _switch(self, candidate: Held) -> None:
        state = self._file.load_or_put_aside()
        backup = state.backup if state.current is None else state.current
        if backup is not None and (backup.content == candidate.content or not self._held.is_complete(backup)):
            backup = state.backup  # the current one was published again, or was damaged and has just been mended
        if backup is not None and not self._held.is_complete(backup):
            backup = None
        if state.current is not None and candidate.publication < state.current.publication:
            backup = None  # what the fleet has withdrawn is nothing to fall back on
        seen = max(state.seen, candidate.publication)
        self._file.save(state.model_copy(update={"current": candidate, "backup": backup, "seen": seen}))
        self._held.keep_only([candidate, *([backup] if backup else [])])


@dataclass(frozen=True, slots=True)
class _Settled:
    """What the last look came to, for as long as the store offers the same."""

    fingerprint: str = ""
    valid_until: datetime | None = None
    current: Held | None = None
    reason: str = ""

    def still_holds(self, fingerprint: str, current: Held | None) -> bool:
        if self.valid_until is None or datetime.now(UTC) >= self.valid_until:
            return False
        return self.fingerprint == fingerprint and self.current == current
