"""The TUF repository in an object store: what publishing writes, and what it may believe of what is there already.

    tuf/metadata/N.root.json, N.targets.json, N.{shards,models,fleet}.json, N.snapshot.json, timestamp.json
    tuf/targets/<folder>/<sha256>.<name>   targets by content (consistent snapshots)
    tuf/packs/<sha256>                     sealed pieces, authenticated by the piece indexes

Written in the order in which a gateway reads backwards: packs, targets, delegated metadata, snapshot, and last the
timestamp. A publisher that dies in between has published nothing. Whoever can write to the store can take things away,
but cannot have them signed: metadata found there is used only under the keys of the keyring, and never below the
versions that this keyring signed last (`published.json` beside it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from edge.trust import ceremony
from edge.trust.keyring import Keyring, Role
from lineside.errors import ConfigurationError, Conflict, DataError, IntegrityError, NotFound
from lineside.objects import ObjectStore

METADATA: Final = "tuf/metadata"
TARGETS: Final = "tuf/targets"
PACKS: Final = "tuf/packs"
_METADATA_BYTES_MAX = 16 << 20
_TARGET_BYTES_MAX = 256 << 20
_PUTS_AT_ONCE = 16

Content = bytes | TargetFile
Document = TypeVar("Document", Targets, Snapshot, Timestamp)

_log = structlog.get_logger(__name__)


class Versions(BaseModel):
    """Versions of metadata that this keyring has signed last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int = Field(0, ge=0)
    models: int = Field(0, ge=0)
    fleet: int = Field(0, ge=0)
    snapshot: int = Field(0, ge=0)
    timestamp: int = Field(0, ge=0)

    def of(self, role: Role) -> int:
        return int(getattr(self, role))


def target_key(path: str, sha256: str) -> str:
    """Where a target's content lies in the store."""
    folder, slash, name = path.rpartition("/")
    return f"{TARGETS}/{folder}{slash}{sha256}.{name}"


def pack_key(sha256: str) -> str:
    return f"{PACKS}/{sha256}"


class TrustRepository:
    """One publisher's view of the repository. Two at once: one of them gets Conflict at the timestamp."""

    def __init__(self, store: ObjectStore, keyring: Keyring) -> None:
        self.store = store
        self.keyring = keyring
        self.root = ceremony.root(keyring)
        self.targets = ceremony.targets(keyring)

    def delegated(self, role: Role) -> Targets | None:
        """The newest metadata of a delegated role that its present keys have signed; None where there is none.

        After its key was rotated there is none, so that nothing that the old key signed goes on.

        Raises:
            DataError: the store holds an older state than this keyring has published.
        """
        found = self._newest(role)
        return None if found is None else found.signed

    def verified_versions(self, role: Role) -> list[Targets]:
        """All metadata of a delegated role that its present keys have signed, by version."""
        found = (self._verified(role, version) for version in sorted(self.versions(role)))
        return [one.signed for one in found if one is not None]

    def read_target(self, metadata: Targets, path: str) -> bytes | None:
        """The verified content of a target that `metadata` lists; None where it does not.

        Raises:
            IntegrityError: the store's content is not what was signed.
        """
        target = metadata.targets.get(path)
        if target is None:
            return None
        try:
            data, _ = self.store.get(target_key(path, target.hashes["sha256"]), _TARGET_BYTES_MAX)
            target.verify_length_and_hashes(data)
        except NotFound as error:
            raise IntegrityError(f"{path} is not in {self.store.url}: publish with --start-over") from error
        except RepositoryError as error:
            raise IntegrityError(f"{path} in {self.store.url} was changed: publish with --start-over") from error
        return data

    def put_pack(self, sha256: str, data: bytes) -> None:
        self.store.put(pack_key(sha256), data)

    def has_pack(self, sha256: str, size: int) -> bool:
        info = self.store.head(pack_key(sha256))
        return info is not None and info.size == size

    def publish(self, contents: Mapping[Role, Mapping[str, Content]], *, start_over: bool = False) -> Versions:
        """Replaces everything that the given delegated roles sign; then snapshot and timestamp. Gives their versions.

        A target is given by its content, or as it was signed the last time, which is then not stored again. Roles that
        are not given stay as they are, signed again when half of their time is over and their key is here. With
        `start_over` what the store holds of them is forgotten.

        Raises:
            ConfigurationError: a private key that must sign is not here, or signed metadata has expired.
            Conflict: somebody else published at the same time.
        """
        self._check_expiry()
        signed = self._published()
        timestamp_etag, stored_timestamp = self._stored_timestamp()
        for role in ("root", "targets"):
            self._upload(role)
        meta = {"targets.json": self._targets_meta()}
        versions: dict[str, int] = {}
        for role in ceremony.DELEGATED:
            document = None if start_over or role in contents else self._newest(role)
            if role in contents or document is None:
                document = self._sign(role, self._with_targets(role, contents.get(role, {})))
            elif _half_over(document.signed, self.keyring.expiry.of(role).total_seconds()) and self._may_sign(role):
                document = self._sign(role, Targets(version=self.next_version(role), targets=document.signed.targets))
            versions[role] = document.signed.version
            meta[f"{role}.json"] = document.meta
        snapshot = self._sign("snapshot", Snapshot(version=self.next_version("snapshot"), meta=meta))
        versions["snapshot"] = snapshot.signed.version
        timestamp = Timestamp(version=max(signed.timestamp, stored_timestamp) + 1, snapshot_meta=snapshot.meta)
        # Before it is visible: a version that was signed and then lost is skipped, one that is reused is a rollback.
        published = Versions(**versions, timestamp=timestamp.version)
        self._remember(published)
        data = self._signed_bytes("timestamp", timestamp)
        key = f"{METADATA}/timestamp.json"
        if timestamp_etag is None:
            self.store.create(key, data)
        else:
            self.store.replace(key, data, timestamp_etag)
        _log.info("published", store=self.store.url, **published.model_dump())
        return published

    def _may_sign(self, role: Role) -> bool:
        """Whether a role's keys are here: who advances a rollout has the fleet's, and no others of the targets."""
        try:
            self.keyring.signers(role)
        except ConfigurationError as error:
            _log.warning("metadata is not signed again: its key is not here", role=role, reason=str(error))
            return False
        return True

    def _with_targets(self, role: Role, contents: Mapping[str, Content]) -> Targets:
        with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:  # a fleet has thousands of small ones
            targets = dict(zip(contents, pool.map(self._put_target, contents, contents.values()), strict=True))
        return Targets(version=self.next_version(role), targets=targets)

    def _put_target(self, path: str, data: Content) -> TargetFile:
        if isinstance(data, TargetFile):
            return data
        sha256 = hashlib.sha256(data).hexdigest()
        self.store.put(target_key(path, sha256), data)
        return TargetFile(len(data), {"sha256": sha256}, path)

    def _sign(self, role: Role, signed: Document) -> _Stored[Document]:
        """Signs and stores under the version that `signed` has, which must be free."""
        data = self._signed_bytes(role, signed)
        self.store.create(f"{METADATA}/{signed.version}.{role}.json", data)
        return _Stored.of(signed, data)

    def _signed_bytes(self, role: Role, signed: Document) -> bytes:
        signed.expires = datetime.now(UTC).replace(microsecond=0) + self.keyring.expiry.of(role)
        metadata = Metadata(signed)
        for signer in self.keyring.signers(role):
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def _newest(self, role: Role) -> _Stored[Targets] | None:
        known = self._published().of(role)
        for version in sorted(self.versions(role), reverse=True):
            if version >= known and (found := self._verified(role, version)) is not None:
                return found
        if known and not self._was_rotated(role):
            raise DataError(
                f"{self.store.url} has no {role} metadata of version {known}, which this keyring has published: the "
                "store was set back or the metadata removed; publish the release again with --start-over"
            )
        return None

    def _verified(self, role: Role, version: int) -> _Stored[Targets] | None:
        try:
            data, _ = self.store.get(f"{METADATA}/{version}.{role}.json", _METADATA_BYTES_MAX)
            metadata = Metadata[Targets].from_bytes(data)
            self.targets.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, DeserializationError) as error:
            _log.warning("metadata in the store is not usable", role=role, version=version, reason=str(error))
            return None
        if not isinstance(metadata.signed, Targets) or metadata.signed.version != version:
            _log.warning("metadata in the store has another version than its name", role=role, version=version)
            return None
        return _Stored.of(metadata.signed, data)

    def _was_rotated(self, role: Role) -> bool:
        """Whether an earlier version of the delegations named other keys for the role."""
        present = {record.id for record in self.keyring.keys(role)}
        for path in ceremony.metadata_files(self.keyring, "targets").values():
            delegations = Metadata[Targets].from_file(str(path)).signed.delegations
            if delegations and delegations.roles and set(delegations.roles[role].keyids) != present:
                return True
        return False

    def _stored_timestamp(self) -> tuple[str | None, int]:
        """Etag of the stored timestamp (None: there is none) and its version, 0 where its signature is not ours."""
        try:
            data, etag = self.store.get(f"{METADATA}/timestamp.json", _METADATA_BYTES_MAX)
        except NotFound:
            return None, 0
        try:
            metadata = Metadata[Timestamp].from_bytes(data)
            self.root.verify_delegate("timestamp", metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, DeserializationError):
            return etag, 0
        return etag, metadata.signed.version

    def _upload(self, role: Role) -> None:
        """Versions of root or targets that the store does not have."""
        for version, path in ceremony.metadata_files(self.keyring, role).items():
            key, data = f"{METADATA}/{version}.{role}.json", path.read_bytes()
            try:
                self.store.create(key, data)
            except Conflict:
                if self.store.get(key, _METADATA_BYTES_MAX)[0] != data:
                    raise Conflict(
                        f"{key} in {self.store.url} is not the one of {self.keyring.folder}: the store belongs to "
                        "other keys, or was tampered with"
                    ) from None

    def _targets_meta(self) -> MetaFile:
        data = ceremony.metadata_files(self.keyring, "targets")[self.targets.version].read_bytes()
        return _Stored.of(self.targets, data).meta

    def versions(self, role: Role) -> list[int]:
        """Versions of a role's metadata in the store, in no order and whoever has signed them."""
        names = (info.key.removeprefix(f"{METADATA}/") for info in self.store.list(f"{METADATA}/"))
        parts = (name.split(".") for name in names)
        return [int(p[0]) for p in parts if len(p) == 3 and p[0].isdecimal() and p[1:] == [role, "json"]]

    def _check_expiry(self) -> None:
        for signed in (self.root, self.targets):
            if signed.is_expired():
                raise ConfigurationError(
                    f"the {signed.type} metadata has expired: `lineside keys renew` signs it again"
                )

    def next_version(self, role: Role) -> int:
        """The version that the next metadata of this role will have."""
        return max([*self.versions(role), self._published().of(role)], default=0) + 1

    @property
    def _state(self) -> Path:
        return self.keyring.folder / "published.json"

    def _published(self) -> Versions:
        try:
            return Versions.model_validate(json.loads(self._state.read_bytes()).get(self.store.url, {}))
        except FileNotFoundError:
            return Versions()
        except (ValueError, AttributeError, ValidationError) as error:
            raise ConfigurationError(f"{self._state} is damaged: restore it from a copy") from error

    def _remember(self, versions: Versions) -> None:
        content = json.loads(self._state.read_bytes()) if self._state.exists() else {}
        content[self.store.url] = versions.model_dump()
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(self._state)


@dataclass(frozen=True, slots=True)
class _Stored(Generic[Document]):
    """Metadata and what a snapshot or timestamp says of its bytes."""

    signed: Document
    meta: MetaFile

    @classmethod
    def of(cls, signed: Document, data: bytes) -> _Stored[Document]:
        return cls(signed, MetaFile(signed.version, len(data), {"sha256": hashlib.sha256(data).hexdigest()}))


def _half_over(signed: Signed, seconds: float) -> bool:
    return (signed.expires - datetime.now(UTC)).total_seconds() < seconds / 2
