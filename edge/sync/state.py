"""What a gateway holds: its current release, the last good one before it, and what went wrong. One file, switched.

`state.json` carries an HMAC-SHA256 under a key derived from the gateway's own. So a release that is started without a
network is one that this gateway has verified itself: whoever writes to its disk without having its key can neither
forge a release nor put one in the other's place. (Putting back an old copy of the whole disk is not noticed.)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.sync.durable import remove_unfinished, write_durably
from edge.trust.records import RELEASE, AccessRecord, ReleaseRecord, access_path, parse_record
from lineside.errors import IntegrityError

_INCIDENTS_MAX = 20

_log = structlog.get_logger(__name__)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Held(_Record):
    """A release on this gateway: the SHA-256 (hex) of each signed document that it was made from, by target path."""

    publication: int = Field(ge=1)
    release: int = Field(ge=1)
    applied: datetime
    documents: dict[str, str]

    @property
    def content(self) -> dict[str, str]:
        """The documents that say what is answered from: piece indexes, not who published them when for whom."""
        return {path: sha256 for path, sha256 in self.documents.items() if path.startswith(("shards/", "models/"))}


class Incident(_Record):
    """Something that a person should know: why an update was refused, or a release given up."""

    at: datetime
    publication: int = Field(ge=0)
    reason: str


class State(_Record):
    """`seen` is the highest publication ever applied; lower ones are taken only where the fleet's documents say so.

    `rollout` and `routing` are the sequence and epoch of the fleet's newest documents that were seen; lower ones are
    never taken. `fleet` names those documents by the SHA-256 (hex) of their content.

    `rejected`: SHA-256 of release records that failed here, so that they are not tried again and again.
    """

    format_version: Literal[1] = 1
    gateway: str
    seen: int = Field(0, ge=0)
    rollout: int = Field(0, ge=0)
    routing: int = Field(0, ge=0)
    fleet: dict[str, str] = {}
    current: Held | None = None
    backup: Held | None = None
    rejected: dict[str, str] = Field({}, max_length=_INCIDENTS_MAX)
    incidents: tuple[Incident, ...] = ()

    def with_incident(self, publication: int, reason: str) -> State:
        """The same incident twice in a row is one."""
        last = self.incidents[-1] if self.incidents else None
        if last is not None and (last.publication, last.reason) == (publication, reason):
            return self
        incident = Incident(at=datetime.now(UTC), publication=publication, reason=reason)
        return self.model_copy(update={"incidents": (*self.incidents, incident)[-_INCIDENTS_MAX:]})

    def with_rejected(self, record_sha256: str, reason: str) -> State:
        kept = dict(list(self.rejected.items())[-_INCIDENTS_MAX + 1 :])
        return self.model_copy(update={"rejected": {**kept, record_sha256: reason}})


class StateFile:
    """`state.json` and the signed documents beside it, in a folder of the gateway's own."""

    def __init__(self, folder: Path, gateway: str, key: bytes) -> None:
        self._folder = folder
        self._gateway = gateway
        self._key = key
        self._documents = folder / "documents"
        self._documents.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove_unfinished(self) -> None:
        """Removes what a writer that was killed has left; only its successor may do that."""
        remove_unfinished(self._folder)
        remove_unfinished(self._documents)

    @property
    def path(self) -> Path:
        return self._folder / "state.json"

    def load(self) -> State:
        """The state; an empty one where nothing was applied yet.

        Raises:
            IntegrityError: the file was not written by this gateway, or is damaged.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return State(gateway=self._gateway)
        body, _, mac = raw.partition(b"\n")
        if not hmac.compare_digest(mac.strip(), self._mac(body)):
            raise IntegrityError(f"{self.path} was not written by gateway {self._gateway} with its present key")
        try:
            state = State.model_validate_json(body)
        except ValidationError as error:
            raise IntegrityError(f"{self.path} is malformed") from error
        if state.gateway != self._gateway:
            raise IntegrityError(f"{self.path} belongs to gateway {state.gateway}")
        return state

    def load_or_put_aside(self) -> State:
        """The state. A file that this gateway did not write is put aside: nothing is held then."""
        try:
            return self.load()
        except IntegrityError as error:
            aside = self.path.with_name(f"state.refused-{time.time_ns()}")
            with suppress(FileNotFoundError):  # somebody else has just done it
                self.path.rename(aside)
            _log.error("state put aside", reason=str(error), kept_as=aside.name)
            return State(gateway=self._gateway).with_incident(0, str(error))

    def save(self, state: State) -> None:
        """Switches to a state: before, the old one holds, after, the new one, whatever happens in between."""
        body = state.model_dump_json().encode()
        write_durably(self.path, body + b"\n" + self._mac(body) + b"\n")

    def add_document(self, data: bytes) -> str:
        """Keeps a signed document; gives its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        if self.find_document(sha256) is None:
            write_durably(self._documents / sha256, data)
        return sha256

    def find_document(self, sha256: str) -> bytes | None:
        """A document by its SHA-256; None where it is not here, or damaged."""
        try:
            data = (self._documents / sha256).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def document(self, held: Held, path: str) -> bytes:
        """A document of a release that is held.

        Raises:
            IntegrityError: it is missing or damaged.
        """
        data = self.find_document(held.documents.get(path, ""))
        if data is None:
            raise IntegrityError(f"{path} of release {held.release} is missing or damaged on this gateway")
        return data

    def release(self, held: Held) -> ReleaseRecord:
        return parse_record(self.document(held, RELEASE), ReleaseRecord, RELEASE)

    def access(self, held: Held) -> AccessRecord:
        path = access_path(self._gateway)
        return parse_record(self.document(held, path), AccessRecord, path)

    def keep_only(self, held: list[Held]) -> None:
        """Removes documents of other releases; the fleet's newest ones stay."""
        wanted = {sha256 for one in held for sha256 in one.documents.values()} | set(self.load().fleet.values())
        for path in self._documents.iterdir():
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def _mac(self, body: bytes) -> bytes:
        return json.dumps({"hmac-sha256": hmac.new(self._key, body, "sha256").hexdigest()}).encode()
