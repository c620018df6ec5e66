"""A publisher and its gateways for tests: real keys, a store in memory, small invented shards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile

from edge.pieces import GatewayIdentity
from edge.sync import Synchroniser, SyncSettings
from edge.trust import ceremony
from edge.trust.keyring import Keyring, Role
from edge.trust.publishing import Published, publish_release
from edge.trust.records import Recipient, Recipients
from edge.trust.repository import TrustRepository
from lineside.errors import Conflict, NotFound, StoreUnavailable, TooLarge
from lineside.objects import ObjectInfo
from lineside.shards import write_shard
from tests.shards.knowledge import Knowledge, frames_of, manual

SECTIONS = 40


class MemoryStore:
    """An object store in memory, whose objects a test may change, and whose replies it may replace."""

    url = "memory"

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.fetched: list[str] = []
        self.before_get: Callable[[str], None] = lambda key: None

    def copy(self) -> MemoryStore:
        return MemoryStore(self.objects)

    def get(self, key: str, max_bytes: int | None = None) -> tuple[bytes, str]:
        self.before_get(key)
        if key not in self.objects:
            raise NotFound(f"no {key}")
        data = self.objects[key]
        if max_bytes is not None and len(data) > max_bytes:
            raise TooLarge(f"{key} has {len(data)} bytes; {max_bytes} are allowed")
        self.fetched.append(key)
        return data, _etag(data)

    def head(self, key: str) -> ObjectInfo | None:
        data = self.objects.get(key)
        return None if data is None else ObjectInfo(key, len(data), _etag(data), datetime.now(UTC))

    def put(self, key: str, data: bytes) -> str:
        self.objects[key] = data
        return _etag(data)

    def create(self, key: str, data: bytes) -> str:
        if key in self.objects:
            raise Conflict(f"{key} exists")
        return self.put(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        if key not in self.objects or _etag(self.objects[key]) != etag:
            raise Conflict(f"{key} has changed")
        return self.put(key, data)

    def upload(self, key: str, path: Path) -> None:
        self.put(key, path.read_bytes())

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key)[0])

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for key in sorted(self.objects):
            if key.startswith(prefix) and (info := self.head(key)):
                yield info

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def unreachable(key: str) -> None:
    raise StoreUnavailable("the cable is pulled")


@dataclass
class Plant:
    """Families `drive` and `pump`, gateways `cell-1` (both families) and `cell-2` (pump)."""

    root: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    keyring: Keyring = field(init=False)
    identities: dict[str, GatewayIdentity] = field(init=False)
    recipients: Recipients = field(init=False)
    shards: dict[str, Path] = field(init=False)
    releases: int = 0
    first: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.keyring = Keyring.create(self.root / "keys")
        ceremony.initialise(self.keyring)
        self.identities = {name: GatewayIdentity(name, name.encode().ljust(32)) for name in ("cell-1", "cell-2")}
        self.recipients = Recipients(
            gateways={
                "cell-1": Recipient(public_key=self.identities["cell-1"].public_key),
                "cell-2": Recipient(public_key=self.identities["cell-2"].public_key, families=("pump",)),
            }
        )
        self.shards = {family: self.write(of_family(family)) for family in ("drive", "pump")}

    def reopen(self) -> None:
        """Opens the keyring in `root`."""
        self.keyring = Keyring.open(self.root / "keys")

    @property
    def repository(self) -> TrustRepository:
        return TrustRepository(self.store, self.keyring)

    def write(self, knowledge: Knowledge) -> Path:
        return write_shard(self.root / "shards", **knowledge.arguments()).path  # type: ignore[arg-type]

    def change(self, family: str, words: str) -> None:
        """Changes the first passage of a family."""
        self.shards[family] = self.write(of_family(family, words))

    def publish(self, **options: object) -> Published:
        self.releases += 1
        return publish_release(
            self.repository,
            self.shards,
            self.recipients,
            release=self.releases,
            **options,  # type: ignore[arg-type]
        )

    def revoke(self, gateway: str) -> None:
        left = {name: recipient for name, recipient in self.recipients.gateways.items() if name != gateway}
        self.recipients = Recipients(gateways=left)

    def sign(
        self,
        role: Role,
        change: Callable[[Any], object] = lambda signed: None,
        *,
        signers: Sequence[CryptoSigner] | None = None,
        store: MemoryStore | None = None,
        follow: bool = True,
    ) -> None:
        """Changes the newest metadata of a role and signs its next version: what a thief of these keys could do.

        With `follow` snapshot and timestamp are signed properly after it, so that only this one metadata is at fault.
        """
        store = store or self.store
        metadata = Metadata[Any].from_bytes(store.objects[self.newest(role, store)])
        metadata.signed.version += 1
        change(metadata.signed)
        for number, signer in enumerate(self.keyring.signers(role) if signers is None else signers):
            metadata.sign(signer, append=number > 0)
        name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
        store.objects[f"tuf/metadata/{name}"] = data = metadata.to_bytes()
        described = MetaFile(metadata.signed.version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
        if follow and role == "snapshot":
            self.sign("timestamp", lambda signed: setattr(signed, "snapshot_meta", described), store=store)
        elif follow and role != "timestamp":
            self.sign("snapshot", lambda signed: signed.meta.update({f"{role}.json": described}), store=store)

    def newest(self, role: Role, store: MemoryStore | None = None) -> str:
        """Key of a role's newest metadata."""
        if role == "timestamp":
            return "tuf/metadata/timestamp.json"
        names = [key for key in (store or self.store).objects if key.endswith(f".{role}.json")]
        return max(names, key=lambda key: int(key.split("/")[-1].split(".")[0]))

    def settings(self, gateway: str = "cell-1", **changes: object) -> SyncSettings:
        settings = SyncSettings(
            gateway=gateway,
            store="memory",
            state=self.root / gateway,
            root=self.keyring.folder / "metadata" / "1.root.json",
            key="env:UNUSED",
        )
        return settings.model_copy(update=changes)

    def gateway(self, name: str = "cell-1", store: MemoryStore | None = None, **options: object) -> Synchroniser:
        changes = options.pop("settings", {})
        return Synchroniser(
            self.settings(name, **changes),  # type: ignore[arg-type]
            self.identities[name],
            source=store or self.store,
            sleep=lambda seconds: None,
            **options,  # type: ignore[arg-type]
        )


def of_family(family: str, words: str = "") -> Knowledge:
    """A manual of a family with `SECTIONS` sections; `words` are added to the first one."""
    sections = {
        f"Part {number}": f"Part {number} of the {family} is checked every {number * 100 + 50} h. "
        f"Its bolt takes {number * 7 + 3} Nm, and its clearance is {number * 3 + 1} mm at {number + 20} °C."
        for number in range(SECTIONS)
    }
    sections["Part 0"] += f" {words}" if words else ""
    document, passages = manual(family, "manual", sections)
    return Knowledge(family, (document,), passages, (), frames_of(family, "worn", f"A worn {family}", 3))
