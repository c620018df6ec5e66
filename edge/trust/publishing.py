"""Publishes a release: cut into pieces, sealed for the gateways that may read it, signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tuf.api.metadata import TargetFile, Targets

from edge.canary import CANARIES, make_canaries
from edge.pieces import (
    PackingLimits,
    PieceCipher,
    PieceIndex,
    PieceSizes,
    PlainPieces,
    SealedPieces,
    new_data_key,
    pack_files,
    wrap_data_key,
)
from edge.pieces.index import NAME, is_file_name, parse_index
from edge.trust.fleet_documents import FleetDocuments, make_routing
from edge.trust.keyring import PUBLISHER, Role
from edge.trust.older import keep_listed, keep_models, listed_records
from edge.trust.records import (
    RELEASE,
    AccessRecord,
    PublishedShard,
    Recipient,
    Recipients,
    ReleaseRecord,
    WrappedKey,
    access_path,
    index_path,
    model_path,
    parse_record,
)
from edge.trust.repository import Content, TrustRepository, Versions
from edge.trust.staging import Edition, RolloutRecord
from lineside.encoders.exported import MANIFEST, check_files, is_exported, read_manifest
from lineside.errors import ConfigurationError, DataError
from lineside.shards import Shard
from lineside.shards.manifest import MANIFEST_NAME

MODEL_SIZES = PieceSizes(64 << 10, 256 << 10, 1 << 20)


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """How shards are cut; the defaults are measured in docs/adr/0006-trust-and-transport.md."""

    sizes: PieceSizes = field(default_factory=PieceSizes)
    packing: PackingLimits = field(default_factory=PackingLimits)
    canaries: int = 8


@dataclass(frozen=True, slots=True)
class Moved:
    """One shard or model: its plain bytes and those that a gateway of the last publication has to fetch."""

    name: str
    total_bytes: int
    new_bytes: int
    epoch: int

    @classmethod
    def of(cls, index: PieceIndex, pack_bytes: int, data: bytes, previous: bytes | None) -> Moved:
        total = sum(file.size for file in index.files.values())
        return cls(index.name, total, pack_bytes + (0 if data == previous else len(data)), index.epoch)


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication was made of."""

    publication: int
    release: int
    versions: Versions
    moved: tuple[Moved, ...]
    new_epochs: tuple[str, ...]


def publish_release(
    repository: TrustRepository,
    shards: Mapping[str, Path],
    recipients: Recipients,
    *,
    release: int,
    models: Mapping[str, Path] | None = None,
    staged: bool | None = None,
    new_epoch: bool = False,
    start_over: bool = False,
    settings: PublishSettings = PublishSettings(),
) -> Published:
    """Publishes the shard folders of a release by family, and, where given, all models by name.

    A family gets a new data key, and so is sent anew, when a gateway that could read it no longer may, when one's
    key changed, or when `new_epoch` asks for it. `models` None leaves the published models as they are.

    With `staged` gateways stay on what they have until a rollout lets them go on; False lets all of them take this
    publication at once. Both sign the fleet's routing table anew. None leaves the fleet's documents as they are:
    where there are none, gateways take the newest publication.

    Raises:
        ConfigurationError: a key is missing, or a name cannot be published.
        IntegrityError: a shard is damaged, or the store's content is not what was signed.
        Conflict: somebody else published at the same time.
    """
    _check_names(shards, recipients)
    before = _Before.read(repository, start_over=start_over)
    readers = {**recipients.gateways, PUBLISHER: Recipient(public_key=repository.keyring.identity().public_key)}
    publication = repository.next_version("shards")
    contents: dict[str, Content] = {}
    entries, moved, fresh = [], [], []
    data_keys: dict[str, bytes] = {}
    fingerprints: dict[str, str] = {}
    for family, folder in sorted(shards.items()):
        shard = Shard.open(folder)
        if shard.family != family:
            raise DataError(f"{folder} is a shard of {shard.family}, not of {family}")
        fingerprints |= shard.manifest.fingerprints
        labels = tuple(sorted(r.label(name) for name, r in readers.items() if r.holds(family)))
        known = None if new_epoch else before.key(family, labels)
        if known is None:
            fresh.append(family)
        epoch, data_key = known or (publication, new_data_key())
        files: dict[str, Path | bytes] = {MANIFEST_NAME: folder / MANIFEST_NAME}
        files |= {name: folder / name for name in shard.manifest.files}
        files[CANARIES] = make_canaries(shard, settings.canaries)
        index, new_bytes = _pack(
            repository,
            files,
            kind="shard",
            name=family,
            content=shard.id,
            epoch=epoch,
            cipher=SealedPieces(data_key),
            previous=None if known is None else before.index(family),
            sizes=settings.sizes,
            packing=settings.packing,
        )
        contents[index_path(family)] = data = index.model_dump_json().encode()
        moved.append(Moved.of(index, new_bytes, data, before.index_data(family)))
        entries.append(PublishedShard(family=family, shard=shard.id, epoch=epoch, recipients=labels))
        data_keys[family] = data_key
    record = ReleaseRecord(
        publication=publication,
        release=release,
        created=datetime.now(UTC),
        fingerprints=fingerprints,
        shards=tuple(entries),
    )
    contents[RELEASE] = record.model_dump_json().encode()
    for name, reader in readers.items():
        contents[access_path(name)] = before.access_of(name, reader, record) or _access(name, reader, record, data_keys)
    fleet = FleetDocuments() if start_over else FleetDocuments.read(repository)
    if staged is not None:
        fleet = _fleet(repository, fleet, before, record, recipients, staged=staged)
    live = set() if fleet.rollout is None else fleet.rollout.live - {publication}
    if before.metadata is not None:
        contents |= keep_listed(repository, before.metadata, live, readers)
    signed: dict[Role, Mapping[str, Content]] = {"shards": contents}
    if models is not None:
        known_models = None if start_over else repository.delegated("models")
        older = {} if known_models is None else keep_models(repository, known_models, live)
        signed["models"] = {**older, **_models(repository, models, settings, moved, known_models)}
    if staged is not None:
        signed["fleet"] = fleet.contents()
    versions = repository.publish(signed, start_over=start_over)
    return Published(publication, release, versions, tuple(moved), tuple(fresh))


def _fleet(
    repository: TrustRepository,
    known: FleetDocuments,
    before: _Before,
    record: ReleaseRecord,
    recipients: Recipients,
    *,
    staged: bool,
) -> FleetDocuments:
    """The fleet's documents beside a new publication."""
    sequence, rollout = repository.next_version("fleet"), known.rollout
    if not staged:
        last = rollout or (
            None if before.record is None else RolloutRecord(sequence=1, baseline=Edition.of(before.record))
        )
        new = Edition.of(record)
        rollout = RolloutRecord(sequence=sequence, baseline=new) if last is None else last.settle(new, sequence)
    elif rollout is None:
        rollout = RolloutRecord(sequence=sequence, baseline=Edition.of(before.record or record))
    records = {} if before.metadata is None else listed_records(repository, before.metadata)
    urls = {name: recipient.url for name, recipient in recipients.gateways.items()}
    routing = make_routing(rollout, {**records, record.publication: record}, urls, sequence)
    return FleetDocuments(rollout, known.waves, routing)


def _access(name: str, reader: Recipient, record: ReleaseRecord, data_keys: Mapping[str, bytes]) -> bytes:
    keys = {
        family: WrappedKey(
            epoch=epoch,
            wrapped=wrap_data_key(data_keys[family], reader.public_key, gateway=name, family=family, epoch=epoch),
        )
        for family, epoch in _epochs(name, reader, record).items()
    }
    return AccessRecord(gateway=name, keys=keys).model_dump_json().encode()


def _epochs(name: str, reader: Recipient, record: ReleaseRecord) -> dict[str, int]:
    """Epoch by family of what a reader with this key may read of a release."""
    label = reader.label(name)
    return {shard.family: shard.epoch for shard in record.shards if label in shard.readers}


def _check_names(shards: Mapping[str, Path], recipients: Recipients) -> None:
    for name in shards:
        if not re.fullmatch(NAME, name):
            raise ConfigurationError(f"family {name!r} cannot be published: letters, digits, `_`, `-` and `.` only")
    for gateway, recipient in recipients.gateways.items():
        if unknown := sorted(set(recipient.families or ()) - set(shards)):
            raise ConfigurationError(f"gateway {gateway} wants {', '.join(unknown)}, which the release does not have")


def _models(
    repository: TrustRepository,
    models: Mapping[str, Path],
    settings: PublishSettings,
    moved: list[Moved],
    before: Targets | None,
) -> dict[str, bytes]:
    contents = {}
    for name, path in sorted(models.items()):
        files = _model_files(name, path)
        old = repository.read_target(before, model_path(name)) if before else None
        index, new_bytes = _pack(
            repository,
            files,
            kind="model",
            name=name,
            content=path.name,
            epoch=0,
            cipher=PlainPieces(),
            previous=None if old is None else parse_index(old, kind="model", name=name),
            sizes=MODEL_SIZES,
            packing=settings.packing,
        )
        contents[model_path(name)] = data = index.model_dump_json().encode()
        moved.append(Moved.of(index, new_bytes, data, old))
    return contents


def _model_files(model: str, path: Path) -> dict[str, Path | bytes]:
    """The files of a model by their name below its folder; hidden ones are left out.

    Raises:
        ConfigurationError: there is none, or one has a name that gateways refuse.
        IntegrityError: exported encoders that are damaged.
    """
    if not re.fullmatch(NAME, model):
        raise ConfigurationError(f"model {model!r} cannot be published: letters, digits, `_`, `-` and `.` only")
    if path.is_file():
        files: dict[str, Path] = {path.name: path}
    elif is_exported(path):
        check_files(path, manifest := read_manifest(path))
        files = {name: path / name for name in (MANIFEST, *manifest.files)}
    else:
        found = {file.relative_to(path): file for file in sorted(path.rglob("*")) if file.is_file()}
        files = {name.as_posix(): f for name, f in found.items() if not any(part[0] == "." for part in name.parts)}
    if not files:
        raise ConfigurationError(f"model {model}: {path} is neither a file nor a folder with files")
    if unsafe := [name for name in files if not is_file_name(name)]:
        raise ConfigurationError(
            f"model {model}: {unsafe[0]!r} cannot be published: letters, digits, `_`, `-` and `.` only, 200 in all"
        )
    return dict(files)


def _pack(
    repository: TrustRepository,
    files: Mapping[str, Path | bytes],
    *,
    kind: Literal["shard", "model"],
    name: str,
    content: str,
    epoch: int,
    cipher: PieceCipher,
    previous: PieceIndex | None,
    sizes: PieceSizes,
    packing: PackingLimits,
) -> tuple[PieceIndex, int]:
    """The index, and the bytes of the packs that the last publication did not have."""
    new_bytes = 0

    def store(sha256: str, data: bytes) -> None:
        nonlocal new_bytes
        new_bytes += len(data)
        repository.put_pack(sha256, data)

    if previous is not None and not all(repository.has_pack(*pack) for pack in previous.packs):
        previous = None  # packs are gone: everything is put there again
    index = pack_files(
        files,
        kind=kind,
        name=name,
        content=content,
        epoch=epoch,
        cipher=cipher,
        store_pack=store,
        previous=previous,
        sizes=sizes,
        limits=packing,
    )
    return index, new_bytes


@dataclass(frozen=True, slots=True)
class _Before:
    """The last publication, verified: what its pieces and data keys are used again from."""

    repository: TrustRepository
    metadata: Targets | None
    record: ReleaseRecord | None
    access: AccessRecord | None

    @classmethod
    def read(cls, repository: TrustRepository, *, start_over: bool) -> _Before:
        metadata = None if start_over else repository.delegated("shards")
        if metadata is None:
            return cls(repository, None, None, None)
        record = repository.read_target(metadata, RELEASE)
        access = repository.read_target(metadata, access_path(PUBLISHER))
        return cls(
            repository,
            metadata,
            None if record is None else parse_record(record, ReleaseRecord, RELEASE),
            None if access is None else parse_record(access, AccessRecord, access_path(PUBLISHER)),
        )

    def key(self, family: str, labels: tuple[str, ...]) -> tuple[int, bytes] | None:
        """Epoch and data key of a family, unless one of those that have the key may read no longer."""
        if self.record is None or self.access is None:
            return None
        shard = next((shard for shard in self.record.shards if shard.family == family), None)
        wrapped = self.access.keys.get(family)
        if shard is None or wrapped is None or wrapped.epoch != shard.epoch or not shard.readers <= set(labels):
            return None
        identity = self.repository.keyring.identity()
        return shard.epoch, identity.unwrap(wrapped.wrapped, family=family, epoch=shard.epoch)

    def access_of(self, name: str, reader: Recipient, record: ReleaseRecord) -> TargetFile | None:
        """A reader's access as it was signed, where nothing of it has changed: with thousands of gateways few have."""
        if self.metadata is None or self.record is None:
            return None
        unchanged = _epochs(name, reader, self.record) == _epochs(name, reader, record)
        return self.metadata.targets.get(access_path(name)) if unchanged else None

    def index_data(self, family: str) -> bytes | None:
        return None if self.metadata is None else self.repository.read_target(self.metadata, index_path(family))

    def index(self, family: str) -> PieceIndex | None:
        data = self.index_data(family)
        return None if data is None else parse_index(data, kind="shard", name=family)
