"""Tries a release that was fetched before it becomes current: by its canary queries, then by whoever serves it."""

from __future__ import annotations

from collections.abc import Callable

from edge.sync.open_shards import OpenShards
from edge.sync.releases import HeldReleases, OpenRelease
from edge.sync.state import Held, State, StateFile
from lineside.errors import ConfigurationError, LinesideError
from lineside.shards import Shard

Canary = Callable[[Shard, bytes], None]
Accept = Callable[[OpenRelease], None]
# What a release that cannot be used here makes this package or a library raise.
_UNUSABLE = (LinesideError, RuntimeError, ValueError, LookupError, ArithmeticError)


class Trial:
    """Remembers what failed by the SHA-256 of its release record, so that it is not tried again and again.

    That is kept in the state, but for a ConfigurationError: what the settings refuse is tried after a restart.
    """

    def __init__(self, file: StateFile, held: HeldReleases, shards: OpenShards, canary: Canary, accept: Accept) -> None:
        self._file, self._held, self._shards = file, held, shards
        self._canary, self._accept = canary, accept
        self._refused_here: dict[str, str] = {}

    def failed_before(self, record_sha256: str, state: State) -> str:
        """Why the release of this record failed; "" where it did not, or was never tried."""
        return state.rejected.get(record_sha256) or self._refused_here.get(record_sha256, "")

    def run(self, candidate: Held, record_sha256: str) -> str:
        """Why a candidate cannot be used here; "" where it can. Raises IntegrityError where it cannot be opened."""
        shards: list[Shard] = []
        for family in self._held.families(candidate):
            shard, canaries = self._shards.read_anew(candidate, family)  # what lies on the disk is what is tried
            try:
                self._canary(shard, canaries)
            except _UNUSABLE as error:
                return self._reject(record_sha256, f"canary queries of {family} fail: {error}")
            shards.append(self._shards.share(shard))
        try:
            self._accept(self._held.describe(candidate, shards))
        except ConfigurationError as error:
            self._refused_here[record_sha256] = str(error)
            return str(error)
        except _UNUSABLE as error:
            return self._reject(record_sha256, str(error))
        return ""

    def _reject(self, record_sha256: str, reason: str) -> str:
        self._file.save(self._file.load_or_put_aside().with_rejected(record_sha256, reason))
        return reason
