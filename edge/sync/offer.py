"""What the store offers this gateway by signed documents: a publication, and what its part of that consists of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from edge.sync.settings import SyncSettings
from edge.sync.source import Source
from edge.sync.state import Held, StateFile
from edge.sync.verified import VerifiedTargets
from edge.trust.records import RELEASE, AccessRecord, ReleaseRecord, access_path, index_path, model_path, parse_record
from edge.trust.staging import Edition, older_path
from lineside.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication by its release record, whose SHA-256 is in hex. `prefix` stands before its documents' paths."""

    record: ReleaseRecord
    record_sha256: str
    prefix: str


class Offer:
    """One look at the store. Every document that is read is kept on this gateway.

    Raises, as its methods do:
        IntegrityError: what is offered must not be believed, or this gateway may not have it.
        StoreUnavailable: the store cannot be reached or lacks something that signed metadata names.
    """

    def __init__(self, settings: SyncSettings, source: Source, root: bytes, file: StateFile) -> None:
        """`root`: the root metadata that trust begins with."""
        self._settings = settings
        self._file = file
        self.targets = VerifiedTargets(
            source, settings.state / "trust", root, max_metadata_bytes=settings.max_metadata_bytes
        )

    def document(self, path: str) -> tuple[str, bytes]:
        """SHA-256 (hex) and content of a signed document: from this disk when it is there, else fetched and kept."""
        sha256 = self.targets.sha256(path)
        data = None if sha256 is None else self._file.find_document(sha256)
        if data is None:
            data = self.targets.read(path, self._settings.max_index_bytes)
        return self._file.add_document(data), data

    def publication(self, edition: Edition | None) -> Publication:
        """The publication that the fleet wants here, which may be withdrawn; the newest for None."""
        prefix = "" if edition is None else self._prefix(edition)
        record_sha256, data = self.document(prefix + RELEASE)
        return Publication(parse_record(data, ReleaseRecord, RELEASE), record_sha256, prefix)

    def candidate(self, publication: Publication) -> Held:
        """This gateway's part of a publication, its documents kept."""
        record, prefix = publication.record, publication.prefix
        path = access_path(self._settings.gateway)
        if self.targets.sha256(prefix + path) is None:
            raise IntegrityError(
                f"gateway {self._settings.gateway} may read nothing of publication {record.publication}: it was "
                "revoked, or its key was never given to the publisher"
            )
        access = parse_record(self.document(prefix + path)[1], AccessRecord, path)
        if access.gateway != self._settings.gateway:
            raise IntegrityError(f"{path} is the access of {access.gateway}")
        wanted = set(access.keys) if self._settings.families is None else set(self._settings.families)
        if lacking := sorted(wanted - set(access.keys)):
            raise IntegrityError(f"gateway {self._settings.gateway} may not read {', '.join(lacking)}")
        of_release = [RELEASE, path, *map(index_path, sorted(wanted))]
        documents = {document: self.document(prefix + document)[0] for document in of_release}
        for model in map(model_path, self._settings.models):
            older = self.targets.sha256(prefix + model) is not None
            documents[model] = self.document(prefix + model if older else model)[0]
        return Held(
            publication=record.publication, release=record.release, applied=datetime.now(UTC), documents=documents
        )

    def _prefix(self, edition: Edition) -> str:
        """What stands before the paths of a publication's documents: nothing when it is the newest."""
        prefix = older_path(edition.publication, "")
        return "" if self.targets.sha256(prefix + RELEASE) is None else prefix
