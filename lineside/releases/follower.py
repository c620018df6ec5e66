"""Follows the catalogue: loads a release beside the one in use, warms it, swaps; whatever goes wrong, serving goes on.

    wanted (current, or pinned) → fetched → verified → opened → warmed → in use → held for its citations → dropped

A request takes `index` once and keeps it to its end, so that no reply mixes releases and an old one is freed with its
last request. Shards that two releases share are opened once.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from pydantic import BaseModel, ConfigDict

from lineside.errors import DataError, IntegrityError, LinesideError, StoreUnavailable
from lineside.releases.cache import ShardPlaces, places_for, store_name
from lineside.releases.catalogue import Catalogue
from lineside.releases.opened import cited_document, cited_image, warm_up
from lineside.releases.records import MAX_RECORD_BYTES, Release, parse
from lineside.releases.settings import CacheSettings

if TYPE_CHECKING:
    from lineside.documents import Document
    from lineside.search import ReleaseIndex, SearchSettings
    from lineside.shards import Shard
    from lineside.shards.images import StoredImage

log = structlog.get_logger("lineside.releases")

HELD_FOR_CITATIONS = 2
_RETRY_FIRST_S = 10.0
_RETRY_MAX_S = 600.0
_EARLIER_TRIED = 3  # releases before the current one that a first start tries when that cannot be used
# What a release that cannot be used makes this package or a library raise.
_UNUSABLE = (LinesideError, OSError, RuntimeError, ValueError, MemoryError)


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """What is served and why.

    `refused` says why the wanted release is not served; `outage` why the store could not be asked; `fault` what went
    wrong that nobody foresaw, so that following may stand still; `held` are the releases whose documents can be opened,
    `pinned` is the one that `pin` asked for.
    """

    release: int
    refused: str | None = None
    outage: str | None = None
    pinned: int | None = None
    held: tuple[int, ...] = ()
    fault: str | None = None


class _LastGood(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str
    release: Release


class ReleaseFollower:
    """One release in use. `refresh` does one step; `start` does so again and again in a thread of its own.

    Every method may be called from any thread.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        search: SearchSettings,
        *,
        cache: CacheSettings | None = None,
        check: Callable[[ReleaseIndex], None] = lambda index: None,
        pin: int | None = None,
    ) -> None:
        """Opens the wanted release; where that cannot be had, the last one that was in use on this machine, or else
        the one that a rollback would go to.

        Args:
            cache: where copies of shards are kept, and which release was good; None: nowhere, which a store in a
                folder can do without.
            check: raises a LinesideError for a release that must not be served, such as one of other encoders.
            pin: number of the release to serve whatever is current; None follows the current one.

        Raises:
            NotFound: nothing has been published.
            StoreUnavailable, DataError, ConfigurationError: the release cannot be had or used, nor can another.
        """
        self._catalogue, self._search, self._check = catalogue, search, check
        self._places: ShardPlaces = places_for(catalogue.store, cache)
        self._note = None if cache is None else cache.folder / "last-good" / f"{store_name(catalogue.store)}.json"
        self._open: weakref.WeakValueDictionary[str, Shard] = weakref.WeakValueDictionary()
        self._held: OrderedDict[int, tuple[Shard, ...]] = OrderedDict()
        self._stepping = threading.Lock()
        self._wake, self._stopped = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._pin, self._poll_s = pin, 2.0
        self._refused: str | None = None
        self._outage: str | None = None
        self._fault: str | None = None
        self._bad: tuple[int, float, float] | None = None  # number, when to try again, seconds waited before
        self._index = self._first()

    @property
    def index(self) -> ReleaseIndex:
        """The release in use now."""
        return self._index

    @property
    def status(self) -> FollowerStatus:
        held = tuple(sorted(self._held))
        return FollowerStatus(self._index.release, self._refused, self._outage, self._pin, held, self._fault)

    def configure(self, *, poll_s: float, pin: int | None) -> None:
        """Changes both at once; a running thread takes a new pin up immediately."""
        self._poll_s = poll_s
        if pin != self._pin:
            self._pin = pin
            self._bad = None
            self._wake.set()

    def start(self) -> None:
        """Follows in a thread of its own from now on; no effect where it does so already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="releases", daemon=True)
            self._thread.start()

    def settle(self) -> None:
        """One step now, on the caller's thread: a refusal is logged and in the status, as if the thread had done it."""
        self._step()

    def stop(self) -> None:
        """Ends the thread; the release in use stays so."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def refresh(self) -> bool:
        """Takes the wanted release into use if it is not; blocks meanwhile. Whether it changed.

        Raises:
            LinesideError: it cannot be had or used; the one in use stays.
        """
        with self._stepping:
            release = self._wanted()
            if release.number == self._index.release:
                return False
            self._use(self._load(release), release)
            return True

    def document(self, document_id: str, version: str | None = None) -> Document:
        """A document of the release in use; the version that was cited, where that or a release held before has it.

        Raises:
            NotFound: there is no such document, or not in that version any more.
        """
        return cited_document(self._shards_held(), self._index.release, document_id, version)

    def image(self, image_id: str) -> StoredImage:
        """A figure or a frame's thumbnail, of the latest release held that has it; raises NotFound."""
        return cited_image(self._shards_held(), self._index.release, image_id)

    def _shards_held(self) -> Iterator[Shard]:
        """Of the release in use, then of those before it, the latest first."""
        index = self._index
        yield from index.shards
        for number, shards in reversed(list(self._held.items())):
            if number != index.release:
                yield from shards

    def _wanted(self) -> Release:
        return self._catalogue.current() if self._pin is None else self._catalogue.get(self._pin)

    def _first(self) -> ReleaseIndex:
        try:
            release = self._wanted()
            index = self._load(release)
        except _UNUSABLE as error:
            index = self._first_of_others(error)
            if isinstance(error, StoreUnavailable):
                self._outage = str(error)
            else:
                self._refused = str(error)
            log.error("serving_earlier_release", release=index.release, reason=str(error))
            self._hold(index)
            return index
        self._remember(release)
        self._hold(index)
        return index

    def _first_of_others(self, reason: Exception) -> ReleaseIndex:
        """The first of the releases before that can be used; raises `reason` where none can."""
        for release in self._others():
            try:
                return self._load(release)
            except _UNUSABLE as error:
                log.warning("earlier_release_unusable", release=release.number, reason=str(error))
        raise reason

    def _others(self) -> Iterator[Release]:
        """The last release that was in use on this machine, then those that a rollback would go to."""
        last = self._last_good()
        if last is not None:
            yield last
        try:
            numbers = self._catalogue.pointer().active_before()
            for number in numbers[:_EARLIER_TRIED]:
                if last is None or number != last.number:
                    yield self._catalogue.get(number)
        except LinesideError as error:  # no store, or one without them
            log.warning("earlier_releases_unknown", reason=str(error))

    def _follow(self) -> None:
        while True:
            self._wake.wait(self._poll_s)
            self._wake.clear()
            if self._stopped:
                return
            try:
                self._step()
            except Exception as error:  # a defect: serving goes on, and an operator is told, for nothing may change now
                fault = f"{type(error).__name__}: {error}"
                if fault != self._fault:
                    log.exception("following_failed", serving=self._index.release)
                self._fault = fault
            else:
                self._fault = None

    def _step(self) -> None:
        """One look at the catalogue. A release that was refused is tried again ever more seldom."""
        with self._stepping:
            number = self._pin
            try:
                if number is None:
                    number = self._catalogue.pointer().release
                if self._outage is not None:
                    log.info("store_back", store=self._catalogue.store.url)
                    self._outage = None
                if number == self._index.release:
                    self._refused = self._bad = None
                    return
                if self._bad is not None and self._bad[0] == number and time.monotonic() < self._bad[1]:
                    return
                release = self._wanted()
                index = self._load(release)
            except StoreUnavailable as error:
                if self._outage is None:
                    log.error("store_unavailable", serving=self._index.release, reason=str(error))
                self._outage = str(error)
            except _UNUSABLE as error:
                self._refuse(number or 0, error)
            else:
                self._use(index, release)

    def _refuse(self, number: int, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        if reason != self._refused:
            log.error("release_refused", refused=number, serving=self._index.release, reason=reason)
        self._refused = reason
        waited = self._bad[2] if self._bad is not None and self._bad[0] == number else 0.0
        wait = min(max(_RETRY_FIRST_S, 2 * waited), _RETRY_MAX_S)
        self._bad = (number, time.monotonic() + wait, wait)

    def _use(self, index: ReleaseIndex, release: Release) -> None:
        before = self._index.release
        self._index = index
        self._refused = self._bad = None
        self._hold(index)
        self._remember(release)
        log.info("release_swapped", release=index.release, before=before, rows=len(index))

    def _load(self, release: Release) -> ReleaseIndex:
        from lineside.search import ReleaseIndex  # loads FAISS, which whoever only asks for the status does not need

        shards = [self._open_shard(shard_id, release) for shard_id in dict.fromkeys(s.id for s in release.shards)]
        index = ReleaseIndex(shards, release.number, self._search)
        self._check(index)
        warm_up(index)
        return index

    def _open_shard(self, shard_id: str, release: Release) -> Shard:
        """A shard that is open already, or else opened and verified; a damaged local copy is fetched once more."""
        from lineside.shards import Shard

        shard = self._open.get(shard_id)
        if shard is None:
            only = release.model_copy(update={"shards": tuple(s for s in release.shards if s.id == shard_id)})
            try:
                shard = Shard.open(self._places.fetch(only)[shard_id], self._search.verify)
            except IntegrityError as error:
                if not self._places.discard(shard_id):
                    raise
                log.warning("cached_shard_damaged", shard=shard_id, reason=str(error))
                shard = Shard.open(self._places.fetch(only)[shard_id], self._search.verify)
            self._check_entry(shard, shard_id, release)
            self._open[shard_id] = shard
        return shard

    def _check_entry(self, shard: Shard, shard_id: str, release: Release) -> None:
        if (shard.family, shard_id) not in {
            (entry.family, entry.id) for entry in release.shards
        } or shard.id != shard_id:
            raise DataError(
                f"release {release.number} names shard {shard_id}, but in its place lies {shard.id} of family "
                f"{shard.family}: publish again"
            )

    def _hold(self, index: ReleaseIndex) -> None:
        """Shards of the releases before stay open: answers given from them cite documents in them."""
        self._held[index.release] = index.shards
        self._held.move_to_end(index.release)
        while len(self._held) > 1 + HELD_FOR_CITATIONS:
            self._held.popitem(last=False)
        self._places.keep({shard.id for shards in self._held.values() for shard in shards})

    def _remember(self, release: Release) -> None:
        """Best effort: without the note only a start during an outage is harder."""
        if self._note is None:
            return
        note = _LastGood(store=self._catalogue.store.url, release=release).model_dump_json()
        temporary = self._note.with_suffix(f".{os.getpid()}")
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(note, encoding="utf-8")
            temporary.replace(self._note)
        except OSError as error:
            log.warning("last_good_release_not_noted", path=str(self._note), reason=str(error))

    def _last_good(self) -> Release | None:
        if self._note is None:
            return None
        try:
            content = self._note.read_bytes()
            if len(content) > MAX_RECORD_BYTES:
                return None
            found = parse(_LastGood, content, str(self._note))
        except (OSError, DataError):
            return None
        return found.release if found.store == self._catalogue.store.url else None
