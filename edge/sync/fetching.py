"""Brings the packs that a release lacks from the store to this disk, within what link and disk may be used for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.pieces import Pack
from edge.sync.packs import PackStore
from edge.sync.releases import HeldReleases
from edge.sync.settings import SyncSettings
from edge.sync.source import Source, Throttle
from edge.sync.state import Held, State, StateFile
from edge.trust.repository import pack_key
from lineside.errors import IntegrityError, NotFound, StoreUnavailable, TooLarge


class PackFetcher:
    """Fetches for the one writer of a state folder."""

    def __init__(
        self,
        settings: SyncSettings,
        source: Source,
        file: StateFile,
        packs: PackStore,
        held: HeldReleases,
        sleep: Callable[[float], object],
    ) -> None:
        self._source, self._file, self._packs, self._held = source, file, packs, held
        self._throttle = Throttle(settings.link_share, settings.max_bytes_per_s, sleep=sleep)
        self._max_disk_mib = settings.max_disk_mib

    def fetch(self, candidate: Held, state: State) -> Iterator[Pack]:
        """Fetches what a candidate lacks, as it is iterated over; gives each pack once that lies on the disk.

        Raises:
            IntegrityError: the store offers something else under a pack's name.
            StoreUnavailable: the store cannot be reached or lacks a pack.
            OSError: the disk, or what may be used of it, is too small.
        """
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
            self._packs.add(pack, self._throttle.transfer(lambda pack=pack: self.download(pack)))  # type: ignore[misc]
            yield pack

    def download(self, pack: Pack) -> bytes:
        """A pack from the store, at once and not compared with its name yet.

        Raises:
            IntegrityError: it is longer than was published.
            StoreUnavailable: the store cannot be reached or lacks it.
        """
        try:
            return self._source.get(pack_key(pack.sha256), pack.size)[0]
        except TooLarge as error:
            raise IntegrityError(f"pack {pack.sha256[:12]} is longer than was published: {error}") from error
        except NotFound as error:
            raise StoreUnavailable(f"{self._source.url} lacks pack {pack.sha256[:12]}") from error

    def _make_room(self, wanted: int, candidate: Held, state: State) -> None:
        """Lets go of packs of updates that were given up, then of the backup; never of the current release."""
        limit = int(self._max_disk_mib * 2**20)
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
                f"max_disk_mib allows {self._max_disk_mib:g}"
            )
