"""The catalogue of releases in an object store: numbered, immutable sets of shards, exactly one of them current.

shards/<id>/...         content-addressed, shared between releases; files first, manifest last
releases/0000012.json   immutable, created on condition: two publishers cannot take one number
current.json            names the current release; replaced on condition of its etag, after everything it needs is there

`Pointer` says how pruning and publishing keep out of each other's way.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Final

from lineside.errors import ConfigurationError, Conflict, DataError, NotFound
from lineside.objects import FolderStore, ObjectStore, open_store
from lineside.releases.rebase import Shards, entries
from lineside.releases.records import (
    HISTORY_MAX,
    MAX_RECORD_BYTES,
    Activation,
    Pointer,
    Release,
    ShardEntry,
    parse,
    publisher,
)
from lineside.releases.upload import renew_shard, shard_key, store_shard
from lineside.shards.manifest import MANIFEST_NAME

_POINTER = "current.json"
_RELEASE_KEY = re.compile(r"releases/(\d{7,12})\.json", re.ASCII)
_MOVE_ATTEMPTS = 100
_CHECKS_AT_ONCE = 8
ABANDONED_AFTER: Final = timedelta(hours=1)


class Base(Enum):
    """Stands for a base that does not matter."""

    ANY = "any"


class Catalogue:
    """Releases in one store. Readers and publishers may be different processes on different machines."""

    def __init__(self, store: ObjectStore | Path | str) -> None:
        self.store: ObjectStore = open_store(store) if isinstance(store, Path | str) else store

    @property
    def root(self) -> Path:
        """The folder of a catalogue in a folder; raises ConfigurationError for any other."""
        if not isinstance(self.store, FolderStore):
            raise ConfigurationError(f"{self.store.url} is not a folder")
        return self.store.root

    @property
    def shards_root(self) -> Path:
        """Where shards of a catalogue in a folder lie, and may be written; raises ConfigurationError for any other."""
        return self.root / "shards"

    def publish(
        self,
        shards: Shards,
        *,
        fingerprints: Mapping[str, str],
        base: int | Base | None = Base.ANY,
        note: str = "",
        by: str | None = None,
        activate: bool = True,
    ) -> Release:
        """Makes a release and makes it current; shards that the store lacks are uploaded from their folders first.

        Whoever publishes knowledge that began from a release says so, and rebases when it is no longer current:

            shards, current = built, begun_from
            while True:
                try:
                    return catalogue.publish(shards, fingerprints=prints, base=current.number)
                except Conflict:
                    current = catalogue.current()
                    shards = rebase(built, begun_from, current)

        Args:
            shards: `(family, shard)` just built, or entries of other releases, whose shards are in the store.
            base: number of the release that must still be current; None: there must be none yet; `Base.ANY`: what is
                current is replaced, whatever it is.
            by: who publishes; user and machine when None.
            activate: False leaves the current release as it is.

        Raises:
            Conflict: another release than `base` is current; nothing changed, though the release may be left unserved.
            DataError: a shard is neither in the store nor in its folder.
            IntegrityError, ShardError: a shard's folder is damaged.
        """
        if base is not Base.ANY and activate:
            self._refuse_other(base, self._pointer()[0])
        self._store(shards)
        release = self._create(entries(shards), dict(fingerprints), None if base is Base.ANY else base, note, by)
        if activate:
            self._move(release, base=base, by=by, why=note)
        return release

    def activate(
        self, number: int, *, base: int | Base | None = Base.ANY, by: str | None = None, why: str = ""
    ) -> Release:
        """Makes an existing release current: the way forward and the way back. `base`: as in `publish`.

        Raises:
            NotFound: there is no such release.
            DataError: one of its shards is not there.
            Conflict: it is being pruned, or another release than `base` is current.
        """
        release = self.get(number)
        self._move(release, base=base, by=by, why=why)
        return release

    def rollback(self, *, by: str | None = None, why: str = "") -> Release:
        """Makes the release current that was active before this one. Again goes further back.

        Raises:
            NotFound: there is none.
            Conflict: somebody else moved the pointer meanwhile.
        """
        pointer = self.pointer()
        numbers = set(self.numbers())
        target = next((number for number in pointer.active_before() if number in numbers), None)
        if target is None:
            raise NotFound(f"no release was active before {pointer.release}; see `lineside releases list`")
        release = self.get(target)
        self._move(release, base=pointer.release, by=by, why=why, rollback=True)
        return release

    def current(self) -> Release:
        """The current release.

        Raises:
            NotFound: nothing has been published.
            DataError: the catalogue is damaged.
        """
        number = self.pointer().release
        try:
            return self.get(number)
        except NotFound as error:
            raise DataError(
                f"{_POINTER} in {self.store.url} names release {number}, which is not there: activate another"
            ) from error

    def pointer(self) -> Pointer:
        """What is current and what was, with who moved it and why; raises NotFound and DataError as `current` does."""
        try:
            content, _ = self.store.get(_POINTER, MAX_RECORD_BYTES)
        except NotFound:
            raise NotFound(f"no release in {self.store.url}: build one (`make knowledge` for the demo plant)") from None
        return parse(Pointer, content, f"{_POINTER} in {self.store.url}")

    def get(self, number: int) -> Release:
        """Raises NotFound and DataError as `current` does."""
        try:
            content, _ = self.store.get(release_key(number), MAX_RECORD_BYTES)
        except NotFound:
            raise NotFound(f"no release {number} in {self.store.url}") from None
        release = parse(Release, content, f"{release_key(number)} in {self.store.url}")
        if release.number != number:
            raise DataError(f"{release_key(number)} in {self.store.url} is damaged: it says {release.number}")
        return release

    def numbers(self) -> list[int]:
        """Numbers of all releases, ascending."""
        found = (_RELEASE_KEY.fullmatch(info.key) for info in self.store.list("releases/"))
        return sorted(int(match[1]) for match in found if match)

    def paths(self, release: Release) -> list[Path]:
        """Folders of a release's shards in a catalogue in a folder; for any other, see `ShardCache`."""
        return [self.shards_root / shard.id for shard in release.shards]

    def replace_pointer(self, change: Pointer, etag: str) -> None:
        """Raises Conflict where the pointer is no longer the one that `etag` names."""
        self.store.replace(_POINTER, _encoded(change), etag)

    def pointer_with_etag(self) -> tuple[Pointer, str]:
        """For `replace_pointer`; raises NotFound and DataError as `current` does."""
        pointer, etag = self._pointer()
        if pointer is None or etag is None:
            return self.pointer(), ""  # raises, and says why
        return pointer, etag

    def _pointer(self) -> tuple[Pointer | None, str | None]:
        """Without a pointer (None, None); a damaged one is (None, etag), for activating must be able to mend it."""
        try:
            content, etag = self.store.get(_POINTER, MAX_RECORD_BYTES)
        except NotFound:
            return None, None
        try:
            return parse(Pointer, content, _POINTER), etag
        except DataError:
            return None, etag

    def _refuse_other(self, base: int | Base | None, pointer: Pointer | None) -> None:
        found = pointer.release if pointer else None
        if base is not Base.ANY and found != base:
            raise Conflict(
                f"release {base} is no longer current in {self.store.url}, {found} is: take over what it changed "
                "(lineside.releases.rebase) and publish again"
            )

    def _store(self, shards: Shards) -> None:
        """Uploads what is not there, and renews what is: pruning takes old shards that no release has."""
        pointer, _ = self._pointer()
        served = {s.id for s in self.get(pointer.release).shards} if pointer and self._has(pointer.release) else set()
        for shard in shards:
            family, shard_id = (shard.family, shard.id) if isinstance(shard, ShardEntry) else (shard[0], shard[1].id)
            if isinstance(shard, tuple):
                try:
                    store_shard(self.store, shard_id, shard[1].path)
                except DataError as error:
                    raise type(error)(f"shard of family {family} is not in a state to publish: {error}") from error
            elif shard_id not in served and not renew_shard(self.store, shard_id):
                raise DataError(f"shard {shard_id} of family {family} is not in {self.store.url}: build it again")

    def _has(self, number: int) -> bool:
        return self.store.head(release_key(number)) is not None

    def _create(
        self, shards: list[ShardEntry], fingerprints: dict[str, str], base: int | None, note: str, by: str | None
    ) -> Release:
        pointer, _ = self._pointer()
        number = max([*self.numbers(), *((pointer.release, pointer.highest) if pointer else ())], default=0) + 1
        while True:
            release = Release(
                number=number,
                created=datetime.now(UTC),
                shards=tuple(sorted(shards, key=lambda shard: (shard.family, shard.id))),
                fingerprints=fingerprints,
                note=note,
                base=base,
                by=publisher() if by is None else by,
            )
            try:
                self.store.create(release_key(number), _encoded(release))
                return release
            except Conflict:
                if self._is_stored(release):  # by an attempt whose reply was lost
                    return release
                number += 1  # another publisher was faster

    def _is_stored(self, release: Release) -> bool:
        try:
            return self.get(release.number) == release
        except (NotFound, DataError):
            return False

    def _move(
        self, release: Release, *, base: int | Base | None, by: str | None, why: str, rollback: bool = False
    ) -> None:
        """Moves the pointer. Whatever somebody else writes between reading and replacing it makes it begin anew."""
        for attempt in range(_MOVE_ATTEMPTS):
            pointer, etag = self._pointer()
            if attempt and pointer is not None and pointer.release == release.number:
                return  # an attempt whose reply was lost
            self._refuse_other(base, pointer)
            self._check_complete(release, pointer)
            moved = _moved(pointer, release, publisher() if by is None else by, why, rollback)
            try:
                if etag is None:
                    self.store.create(_POINTER, _encoded(moved))
                else:
                    self.store.replace(_POINTER, _encoded(moved), etag)
                return
            except Conflict:
                time.sleep(random.uniform(0, min(0.5, 0.01 * 2**attempt)))
        raise Conflict(f"the current release in {self.store.url} keeps changing: try again when it is quiet")

    def _check_complete(self, release: Release, pointer: Pointer | None) -> None:
        if pointer is not None and pointer.removing is not None:
            lost = {shard.id for shard in release.shards} & set(pointer.removing.shards)
            if lost or release.number in pointer.removing.releases:
                raise Conflict(
                    f"release {release.number} is being pruned in {self.store.url} since "
                    f"{pointer.removing.since:%Y-%m-%d %H:%M}: run `lineside releases prune` to its end, then publish "
                    "again"
                )
        with ThreadPoolExecutor(_CHECKS_AT_ONCE) as pool:
            found = pool.map(lambda s: self.store.head(shard_key(s.id, MANIFEST_NAME)), release.shards)
            absent = [s for s, info in zip(release.shards, found, strict=True) if info is None]
        if absent:
            raise DataError(
                f"release {release.number}: shard {absent[0].id} of family {absent[0].family} is not in "
                f"{self.store.url}: publish it again"
            )


def release_key(number: int) -> str:
    """Where a release's record lies in a store."""
    return f"releases/{number:07d}.json"


def _moved(pointer: Pointer | None, release: Release, by: str, why: str, rollback: bool) -> Pointer:
    now = datetime.now(UTC)
    history = pointer.history if pointer else ()
    if pointer is not None and not history:  # written before history was kept
        history = (Activation(release=pointer.release, at=now, why="was current already"),)
    this = Activation(release=release.number, at=now, by=by, why=why, rollback=rollback)
    return Pointer(
        release=release.number,
        history=(*history, this)[-HISTORY_MAX:],
        highest=max(release.number, pointer.highest if pointer else 0),
        removing=pointer.removing if pointer else None,
    )


def _encoded(record: Release | Pointer) -> bytes:
    return record.model_dump_json(indent=1).encode()
