"""Keeps a gateway on the newest release that is signed, complete and answers its canary queries.

What is fetched is tried before anything is switched, so a release that fails is never served; the one before it stays
on the disk as a backup for the day when the current one is found damaged.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from edge.canary import run_canaries
from edge.pieces import GatewayIdentity
from edge.sync.assigned import LatestRouting
from edge.sync.fetching import PackFetcher
from edge.sync.offer import Offer
from edge.sync.open_shards import Early, OpenShards
from edge.sync.packs import PackStore
from edge.sync.releases import HeldReleases, OpenRelease
from edge.sync.settings import SyncSettings
from edge.sync.source import Source, Throttle, open_source
from edge.sync.state import Held, State, StateFile
from edge.sync.trial import Accept, Canary, Trial
from edge.sync.update import Status, Updater
from edge.trust.records import RELEASE, model_path
from edge.trust.staging import RoutingRecord
from lineside.errors import ConfigurationError, DataError, IntegrityError, NotReady, StoreUnavailable

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look at the store came to. `release` and `publication` are what is held afterwards, None for nothing.

    unchanged: nothing newer. applied: a newer release is current. unreachable: try again later; what was fetched is
    kept. refused: the store offers something that must not be believed. failed: signed, but it cannot be used here.
    """

    status: Status
    release: int | None
    publication: int | None
    reason: str = ""
    fetched_bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """What a check of the disk found."""

    damaged: int
    repaired: int
    rolled_back: bool


class Synchroniser:
    """One gateway's knowledge. Only one process at a time updates a state folder; reading needs no lock."""

    def __init__(
        self,
        settings: SyncSettings,
        identity: GatewayIdentity,
        *,
        source: Source | None = None,
        canary: Canary = run_canaries,
        accept: Accept = lambda release: None,
        early: Early = lambda shard: None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`accept` gets a release that is verified and answered its canary queries, before it becomes current.

        What it raises (a LinesideError says why) keeps the release from being taken, and is an incident. A release
        that is refused with a ConfigurationError is tried again after a restart: it may be the settings that are wrong.

        `early` may have the decrypted, verified files of a shard by its id: `open_release` asks for them first.

        Raises:
            ConfigurationError: the key is another gateway's, or the root of trust cannot be read.
        """
        if identity.gateway != settings.gateway:
            raise ConfigurationError(f"the key is that of gateway {identity.gateway}, not of {settings.gateway}")
        self.settings = settings
        try:
            root = settings.root.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the root of trust {settings.root} ({error.strerror}): it is the keyring's 1.root.json"
            ) from error
        folder = settings.state
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = source or open_source(settings)
        self._check_throttle = Throttle(1.0, settings.check_bytes_per_s, sleep=sleep)
        self._lock = threading.Lock()
        self._file = StateFile(folder, settings.gateway, identity.state_key)
        self._packs = PackStore(folder / "packs")
        self._held = HeldReleases(self._file, self._packs, folder / "models", identity)
        self._shards = OpenShards(self._held, settings.max_shard_bytes, early)
        self._fetcher = PackFetcher(settings, source, self._file, self._packs, self._held, sleep)
        self._routing = LatestRouting(self._file)
        self._updater = Updater(
            settings.gateway,
            partial(Offer, settings, source, root, self._file),
            self._file,
            self._held,
            self._fetcher,
            Trial(self._file, self._held, self._shards, canary, accept),
            self._routing,
        )

    def state(self) -> State:
        """What is held now. A state file that this gateway did not write is put aside: nothing is held then."""
        return self._file.load_or_put_aside()

    def update(self) -> Outcome:
        """Looks at the store once, and switches to what it offers when that is newer, verified and works.

        Raises:
            ConfigurationError: the settings cannot work.
        """
        started = time.monotonic()
        with self._exclusive():
            attempt = self._updater.run()
            state = self.state()
            if attempt.status in ("refused", "failed"):
                noted = state.with_incident(attempt.publication, attempt.reason)
                if noted is not state:
                    self._file.save(noted)
                    state = noted
            current = state.current
            outcome = Outcome(
                attempt.status,
                current.release if current else None,
                current.publication if current else None,
                attempt.reason,
                attempt.fetched_bytes,
                time.monotonic() - started,
            )
        self._report(outcome)
        return outcome

    def open_release(self) -> OpenRelease:
        """The current release, its shards decrypted into memory; one that is open still is not opened again.

        Damaged shards are mended, or the backup is opened.

        Raises:
            NotReady: no release is held that can be opened.
        """
        for _ in range(3):  # an update may switch meanwhile, and remove what is no longer needed
            state = self.state()
            if state.current is None:
                break
            try:
                return self._held.describe(state.current, self._shards.open(state.current))
            except DataError as error:
                _log.error("release cannot be opened", release=state.current.release, reason=str(error))
                if self.state().current == state.current:
                    self.check()
        raise NotReady(f"gateway {self.settings.gateway} holds no intact release: connect it", self.settings.poll_s)

    def models(self) -> dict[str, Path]:
        """The folder of each model of the current release, by name; none where there is no release."""
        current = self.state().current
        if current is None:
            return {}
        return {name: self._held.model_folder(current, name) for name in self._held.models(current)}

    def model(self, name: str) -> Path:
        """The folder of a model of the current release.

        Raises:
            NotReady: it is not here.
        """
        current = self.state().current
        if current is None or model_path(name) not in current.documents:
            raise NotReady(f"gateway {self.settings.gateway} has no model {name} yet", self.settings.poll_s)
        folder = self._held.model_folder(current, name)
        if not folder.is_dir():
            raise NotReady(f"model {name} was found damaged and is fetched again", self.settings.poll_s)
        return folder

    def routing(self) -> RoutingRecord | None:
        """Who holds which family, as the fleet has signed it last; None where no fleet is published.

        Read from the disk the first time, then kept, so that it may be asked for with every question.
        """
        return self._routing.table()

    def roll_back(self, reason: str) -> bool:
        """Goes back to the last good release and never takes the present one again. False where there is no backup."""
        with self._exclusive():
            state = self.state()
            if state.current is None:
                return False
            noted = state.with_incident(state.current.publication, reason)
            return self._fall_back(noted.with_rejected(state.current.documents[RELEASE], reason), reason)

    def check(self) -> Health:
        """Reads all that the current release and its backup consist of; what is damaged is fetched again.

        Where the current release cannot be mended an intact backup takes its place, until an update completes it.
        """
        with self._exclusive():
            state = self.state()
            damaged = repaired = 0
            intact: dict[int, bool] = {}
            for held in (state.current, state.backup):
                if held is None:
                    continue
                bad, mended = self._check(held)
                damaged, repaired = damaged + bad, repaired + mended
                intact[held.publication] = bad == mended
            rolled_back = False
            if state.current is not None and not intact[state.current.publication]:
                reason = f"release {state.current.release} is damaged on the disk and cannot be mended now"
                state = state.with_incident(state.current.publication, reason)
                if state.backup is not None and intact[state.backup.publication]:
                    rolled_back = self._fall_back(state, reason)
                else:
                    self._file.save(state)
                    _log.error("release damaged, and no intact backup", reason=reason)
        return Health(damaged, repaired, rolled_back)

    def _fall_back(self, state: State, reason: str) -> bool:
        if state.backup is None or state.current is None:
            self._file.save(state)
            _log.error("no backup to go back to", reason=reason)
            return False
        self._file.save(state.model_copy(update={"current": state.backup, "backup": None}))
        _log.error("rolled back", release=state.current.release, to=state.backup.release, reason=reason)
        return True

    def _check(self, held: Held) -> tuple[int, int]:
        """Damaged and mended parts of a release; damaged parts that cannot be mended are removed."""
        damaged = mended = 0
        try:
            packs = self._held.packs(held)
            self._file.release(held), self._file.access(held)
        except IntegrityError as error:
            _log.error("document damaged", release=held.release, reason=str(error))
            return 1, 0
        for pack in packs:
            data = self._check_throttle.transfer(lambda pack=pack: self._packs.read(pack))  # type: ignore[misc]
            if self._packs.is_that(pack, data):
                continue
            damaged += 1
            self._packs.remove(pack)
            try:
                self._packs.add(pack, self._fetcher.download(pack))
                mended += 1
                _log.warning("pack mended", pack=pack.sha256, release=held.release)
            except (StoreUnavailable, IntegrityError, OSError) as error:
                _log.error("pack damaged", pack=pack.sha256, release=held.release, reason=str(error))
        for model in self._held.models(held):
            if not self._held.is_model_intact(held, model):
                damaged += 1
                self._held.remove_model(held, model)
                _log.error("model damaged", model=model, release=held.release)
        return damaged, mended

    def _report(self, outcome: Outcome) -> None:
        fields = {"gateway": self.settings.gateway, "release": outcome.release, "publication": outcome.publication}
        if outcome.status == "applied":
            _log.info("update applied", **fields, bytes=outcome.fetched_bytes, seconds=round(outcome.seconds, 2))
        elif outcome.status == "unchanged":
            _log.debug("update unchanged", **fields, reason=outcome.reason)
        else:
            _log.warning(f"update {outcome.status}", **fields, reason=outcome.reason)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One writer at a time, among threads and processes; the lock goes with the process that holds it."""
        with self._lock, (self.settings.state / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._held.remove_unfinished()
            yield
