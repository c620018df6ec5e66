"""Keeps a gateway on the newest release that is signed, complete and answers its canary queries.

What is fetched is tried before anything is switched, so a release that fails is never served; the one before it stays
on the disk as a backup for the day when the current one is found damaged.
"""

from __future__ import annotations

import fcntl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog

from edge.canary import CANARIES, run_canaries
from edge.pieces import GatewayIdentity, Pack
from edge.sync.assigned import follow_fleet, held_routing
from edge.sync.memory import MemoryFiles
from edge.sync.packs import PackStore
from edge.sync.releases import HeldReleases, OpenRelease
from edge.sync.settings import SyncSettings
from edge.sync.source import Source, Throttle, open_source
from edge.sync.state import Held, State, StateFile
from edge.sync.verified import VerifiedTargets
from edge.trust.records import RELEASE, AccessRecord, ReleaseRecord, access_path, index_path, model_path, parse_record
from edge.trust.repository import pack_key
from edge.trust.staging import Edition, RoutingRecord, older_path
from lineside.errors import (
    ConfigurationError,
    DataError,
    IntegrityError,
    LinesideError,
    NotFound,
    NotReady,
    StoreUnavailable,
    TooLarge,
)
from lineside.shards import Shard

Status = Literal["unchanged", "applied", "unreachable", "refused", "failed"]
Canary = Callable[[Shard, bytes], None]
Accept = Callable[[OpenRelease], None]
Early = Callable[[str], MemoryFiles | None]
# What a release that cannot be used here makes this package or a library raise.
_UNUSABLE = (LinesideError, RuntimeError, ValueError, LookupError, ArithmeticError)

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
            self._root = settings.root.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the root of trust {settings.root} ({error.strerror}): it is the keyring's 1.root.json"
            ) from error
        folder = settings.state
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._source = source or open_source(settings)
        self._canary, self._accept, self._early = canary, accept, early
        self._throttle = Throttle(settings.link_share, settings.max_bytes_per_s, sleep=sleep)
        self._check_throttle = Throttle(1.0, settings.check_bytes_per_s, sleep=sleep)
        self._lock = threading.Lock()
        self._file = StateFile(folder, settings.gateway, identity.state_key)
        self._packs = PackStore(folder / "packs")
        self._held = HeldReleases(self._file, self._packs, folder / "models", identity)
        self._alive: weakref.WeakValueDictionary[str, Shard] = weakref.WeakValueDictionary()
        self._refused_here: dict[str, str] = {}
        self._routing: tuple[int, RoutingRecord | None] | None = None
        self._settled = _Settled()

    def state(self) -> State:
        """What is held now. A state file that this gateway did not write is put aside: nothing is held then."""
        try:
            return self._file.load()
        except IntegrityError as error:
            aside = self._file.path.with_name(f"state.refused-{time.time_ns()}")
            with suppress(FileNotFoundError):  # somebody else has just done it
                self._file.path.rename(aside)
            _log.error("state put aside", reason=str(error), kept_as=aside.name)
            return State(gateway=self.settings.gateway).with_incident(0, str(error))

    def update(self) -> Outcome:
        """Looks at the store once, and switches to what it offers when that is newer, verified and works.

        Raises:
            ConfigurationError: the settings cannot work.
        """
        started = time.monotonic()
        with self._exclusive():
            attempt = _Attempt()
            try:
                status, reason = self._update(attempt)
            except StoreUnavailable as error:
                status, reason = "unreachable", str(error)
            except IntegrityError as error:
                status, reason = "refused", str(error)
            except (DataError, OSError) as error:
                status, reason = "failed", str(error)
            state = self.state()
            if status in ("refused", "failed"):
                noted = state.with_incident(attempt.publication, reason)
                if noted is not state:
                    self._file.save(noted)
                    state = noted
            current = state.current
            outcome = Outcome(
                status,
                current.release if current else None,
                current.publication if current else None,
                reason,
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
                return self._held.describe(state.current, self._open_all(state.current))
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
        if self._routing is None:
            state = self.state()
            self._routing = state.routing, held_routing(state, self._file)
        return self._routing[1]

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

    # ---- One update ---------------------------------------------------------------------------------------------

    def _update(self, attempt: _Attempt) -> tuple[Status, str]:
        state = self.state()
        targets = VerifiedTargets(
            self._source,
            self.settings.state / "trust",
            self._root,
            max_metadata_bytes=self.settings.max_metadata_bytes,
        )
        state, edition = follow_fleet(
            targets, lambda path: self._document(targets, path), state, self._file, self.settings.gateway
        )
        if self._routing is None or self._routing[0] != state.routing:
            self._routing = state.routing, held_routing(state, self._file)
        # With thousands of targets most of a look's time is the parsing of what did not change since the last one.
        fingerprint = f"{targets.fingerprint()} {edition}"
        if self._settled.still_holds(fingerprint, state.current) and (
            state.current is None or self._held.is_complete(state.current)
        ):
            return "unchanged", self._settled.reason
        status, reason = self._follow(targets, edition, state, attempt)
        if status in ("unchanged", "applied"):
            self._settled = _Settled(fingerprint, targets.valid_until(), self.state().current, reason)
        return status, reason

    def _follow(
        self, targets: VerifiedTargets, edition: Edition | None, state: State, attempt: _Attempt
    ) -> tuple[Status, str]:
        """Takes the publication that this gateway is to run, where it does not have that already."""
        prefix = "" if edition is None else self._prefix(targets, edition)
        record_sha256, data = self._document(targets, prefix + RELEASE)
        record = parse_record(data, ReleaseRecord, RELEASE)
        attempt.publication = record.publication
        if edition is not None and record.publication != edition.publication:
            raise IntegrityError(f"publication {edition.publication}, which the fleet wants, is signed no more")
        if edition is None and record.publication < state.seen:
            raise IntegrityError(f"publication {record.publication} is older than {state.seen}, which was seen before")
        if why := state.rejected.get(record_sha256) or self._refused_here.get(record_sha256):
            return "unchanged", f"publication {record.publication} failed here: {why}"
        candidate = self._candidate(targets, record, prefix)
        if (
            state.current is not None
            and state.current.documents == candidate.documents
            and self._held.is_complete(state.current)
        ):
            return "unchanged", ""
        self._fetch(candidate, state, attempt)
        for model in self._held.models(candidate):
            if not self._held.model_folder(candidate, model).is_dir():
                self._held.assemble_model(candidate, model)
        if reason := self._try(candidate, record_sha256):
            return "failed", reason
        self._switch(candidate)
        return "applied", ""

    def _try(self, candidate: Held, record_sha256: str) -> str:
        """Why a candidate cannot be used here; "" where it can. Raises IntegrityError where it cannot be opened."""
        shards: list[Shard] = []
        for family in self._held.families(candidate):
            with self._decrypt(candidate, family) as files:  # anew: what lies on the disk is what is tried
                shard, canaries = self._held.read_shard(candidate, family, files), files.read(CANARIES)
            try:
                self._canary(shard, canaries)
            except _UNUSABLE as error:
                return self._reject(record_sha256, f"canary queries of {family} fail: {error}")
            shards.append(self._alive.setdefault(shard.id, shard))
        try:
            self._accept(self._held.describe(candidate, shards))
        except ConfigurationError as error:
            self._refused_here[record_sha256] = str(error)
            return str(error)
        except _UNUSABLE as error:
            return self._reject(record_sha256, str(error))
        return ""

    def _reject(self, record_sha256: str, reason: str) -> str:
        self._file.save(self.state().with_rejected(record_sha256, reason))
        return reason

    def _document(self, targets: VerifiedTargets, path: str) -> tuple[str, bytes]:
        """SHA-256 and content of a signed document: from this disk when it is there, else fetched and kept."""
        sha256 = targets.sha256(path)
        data = None if sha256 is None else self._file.find_document(sha256)
        if data is None:
            data = targets.read(path, self.settings.max_index_bytes)
        return self._file.add_document(data), data

    @staticmethod
    def _prefix(targets: VerifiedTargets, edition: Edition) -> str:
        """What stands before the paths of a publication's documents: nothing when it is the newest."""
        prefix = older_path(edition.publication, "")
        return "" if targets.sha256(prefix + RELEASE) is None else prefix

    def _candidate(self, targets: VerifiedTargets, record: ReleaseRecord, prefix: str) -> Held:
        """The release that the store offers this gateway, its documents kept."""
        path = access_path(self.settings.gateway)
        if targets.sha256(prefix + path) is None:
            raise IntegrityError(
                f"gateway {self.settings.gateway} may read nothing of publication {record.publication}: it was "
                "revoked, or its key was never given to the publisher"
            )
        access = parse_record(self._document(targets, prefix + path)[1], AccessRecord, path)
        if access.gateway != self.settings.gateway:
            raise IntegrityError(f"{path} is the access of {access.gateway}")
        wanted = set(access.keys) if self.settings.families is None else set(self.settings.families)
        if lacking := sorted(wanted - set(access.keys)):
            raise IntegrityError(f"gateway {self.settings.gateway} may not read {', '.join(lacking)}")
        of_release = [RELEASE, path, *map(index_path, sorted(wanted))]
        documents = {document: self._document(targets, prefix + document)[0] for document in of_release}
        for model in map(model_path, self.settings.models):
            older = targets.sha256(prefix + model) is not None
            documents[model] = self._document(targets, prefix + model if older else model)[0]
        return Held(
            publication=record.publication, release=record.release, applied=datetime.now(UTC), documents=documents
        )

    def _fetch(self, candidate: Held, state: State, attempt: _Attempt) -> None:
        packs = {pack.sha256: pack for pack in self._held.packs(candidate)}
        to_assemble = 0
        for model in self._held.models(candidate):
            if not self._held.model_folder(candidate, model).is_dir():
                index = self._held.model_index(candidate, model)
                packs |= {pack.sha256: pack for pack in index.packs}
                to_assemble += sum(file.size for file in index.files.values())
        missing = [pack for pack in packs.values() if not self._packs.has(pack)]
        self._make_room(sum(pack.size for pack in missing) + to_assemble, candidate, state)
        for pack in missing:
            self._packs.add(pack, self._throttle.transfer(lambda pack=pack: self._download(pack)))  # type: ignore[misc]
            attempt.fetched_bytes += pack.size

    def _download(self, pack: Pack) -> bytes:
        try:
            return self._source.get(pack_key(pack.sha256), pack.size)[0]
        except TooLarge as error:
            raise IntegrityError(f"pack {pack.sha256[:12]} is longer than was published: {error}") from error
        except NotFound as error:
            raise StoreUnavailable(f"{self._source.url} lacks pack {pack.sha256[:12]}") from error

    def _make_room(self, wanted: int, candidate: Held, state: State) -> None:
        """Lets go of packs of updates that were given up, then of the backup; never of the current release."""
        limit = int(self.settings.max_disk_mib * 2**20)
        if self._held.used_bytes() + wanted <= limit:
            return
        held = [one for one in (state.current, state.backup) if one is not None]
        self._held.keep_only([*held, candidate])
        if self._held.used_bytes() + wanted > limit and state.backup is not None:
            self._file.save(state.model_copy(update={"backup": None}))
            self._held.keep_only([*([state.current] if state.current else []), candidate])
        if (used := self._held.used_bytes()) + wanted > limit:
            raise OSError(
                f"publication {candidate.publication} needs {wanted / 2**20:.1f} MiB beside {used / 2**20:.1f} MiB; "
                f"max_disk_mib allows {self.settings.max_disk_mib:g}"
            )

    def _decrypt(self, held: Held, family: str) -> MemoryFiles:
        return self._held.decrypt(held, family, max_bytes=self.settings.max_shard_bytes)

    def _open_all(self, held: Held) -> list[Shard]:
        shards = []
        for family, shard_id in self._held.shard_ids(held).items():
            shard = self._alive.get(shard_id)
            if shard is None:
                with self._early(shard_id) or self._decrypt(held, family) as files:
                    shard = self._alive[shard_id] = self._held.read_shard(held, family, files)
            shards.append(shard)
        return shards

    def _switch(self, candidate: Held) -> None:
        state = self.state()
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

    def _fall_back(self, state: State, reason: str) -> bool:
        if state.backup is None or state.current is None:
            self._file.save(state)
            _log.error("no backup to go back to", reason=reason)
            return False
        self._file.save(state.model_copy(update={"current": state.backup, "backup": None}))
        _log.error("rolled back", release=state.current.release, to=state.backup.release, reason=reason)
        return True

    # ---- What lies on the disk ----------------------------------------------------------------------------------

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
                self._packs.add(pack, self._download(pack))
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


@dataclass(slots=True)
class _Attempt:
    """What is known of an update while it runs."""

    publication: int = 0
    fetched_bytes: int = 0
