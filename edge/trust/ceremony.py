"""Root and targets metadata: made, rotated and renewed in the keyring's folder, where no store is needed.

`metadata/N.root.json` and `metadata/N.targets.json` below the keyring are what publishing uploads; `1.root.json` is
what a gateway is installed with. Top-level targets sign nothing but the delegations to `shards`, `models` and `fleet`.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from edge.trust.keyring import KeyRecord, Keyring, Role
from edge.trust.providers import Provider
from lineside.errors import ConfigurationError

Document = TypeVar("Document", Root, Targets)

DELEGATED: Final[tuple[Role, ...]] = ("shards", "models", "fleet")
PATHS: Final[dict[Role, list[str]]] = {
    "shards": [
        "release.json",
        "shards/*",
        "access/*",
        "publications/*/release.json",
        "publications/*/shards/*",
        "publications/*/access/*",
    ],
    "models": ["models/*", "publications/*/models/*"],
    "fleet": ["fleet/*"],
}
_TOP_LEVEL: Final[tuple[Role, ...]] = ("targets", "snapshot", "timestamp")


def initialise(keyring: Keyring) -> None:
    """The first root and targets metadata.

    Raises:
        ConfigurationError: they exist already.
    """
    if metadata_files(keyring, "root"):
        raise ConfigurationError(f"{keyring.folder} has root metadata already: `lineside keys rotate` changes it")
    root = Root(version=1, consistent_snapshot=True)
    for role in ("root", *_TOP_LEVEL):
        for record in keyring.keys(role):
            root.add_key(record.key(), role)
    root.roles["root"].threshold = keyring.root_threshold
    _write(keyring, "root", root, keyring.signers("root"))
    _write(keyring, "targets", Targets(version=1, delegations=_delegations(keyring)), keyring.signers("targets"))


def rotate(keyring: Keyring, role: Role, number: int = 1, provider: Provider = "file", kms_key: str = "") -> list[str]:
    """Replaces key `number` of a role by a new one; gives the files that were written.

    A new root is signed by the threshold of the old keys and by that of the new ones, as TUF asks for, so gateways
    follow from whichever root they know. Rotating `targets` signs the delegations anew as well.

    Raises:
        ConfigurationError: private keys that must sign are not here.
    """
    before = keyring.signers("root") if role not in DELEGATED else []
    if role in DELEGATED:
        keyring.signers("targets")  # before anything is changed
    keyring.replace(role, number, provider, kms_key)
    written = []
    if role not in DELEGATED:
        written.append(_write_root(keyring, before))
    if role in DELEGATED or role == "targets":
        written.append(_write_targets(keyring))
    return written


def renew(keyring: Keyring) -> list[str]:
    """Signs root and targets again as they are, which moves their expiry; gives the files that were written."""
    return [_write_root(keyring, []), _write_targets(keyring)]


def root(keyring: Keyring) -> Root:
    """The newest root. Raises ConfigurationError where there is none, or a damaged one."""
    return _read(keyring, "root", Root)


def targets(keyring: Keyring) -> Targets:
    """The newest top-level targets, under the newest root. Raises ConfigurationError as `root` does."""
    return _read(keyring, "targets", Targets)


def metadata_files(keyring: Keyring, role: Role) -> dict[int, Path]:
    """Files of a role's metadata by version, ascending."""
    found = keyring.folder.joinpath("metadata").glob(f"*.{role}.json")
    return dict(sorted((int(path.name.split(".")[0]), path) for path in found))


def _read(keyring: Keyring, role: Role, kind: type[Document]) -> Document:
    files = metadata_files(keyring, role)
    if not files:
        raise ConfigurationError(f"{keyring.folder} has no {role} metadata: `lineside keys init` makes it")
    return _parse(list(files.values())[-1], kind)


def _parse(path: Path, kind: type[Document]) -> Document:
    try:
        signed = Metadata.from_bytes(path.read_bytes()).signed
    except (OSError, DeserializationError, RepositoryError) as error:
        raise ConfigurationError(f"{path} is damaged: restore it from a copy") from error
    if not isinstance(signed, kind):
        raise ConfigurationError(f"{path} is not {kind.type} metadata")
    return signed


def _write_root(keyring: Keyring, before: list[CryptoSigner]) -> str:
    new = deepcopy(root(keyring))
    wanted: dict[str, tuple[KeyRecord, ...]] = {role: keyring.keys(role) for role in ("root", *_TOP_LEVEL)}
    for role, records in wanted.items():
        for old in set(new.roles[role].keyids) - {record.id for record in records}:
            new.revoke_key(old, role)
        for record in records:
            new.add_key(record.key(), role)
    new.version += 1
    return _write(keyring, "root", new, [*before, *keyring.signers("root")])


def _write_targets(keyring: Keyring) -> str:
    version = targets(keyring).version + 1
    new = Targets(version=version, delegations=_delegations(keyring))
    return _write(keyring, "targets", new, keyring.signers("targets"))


def _delegations(keyring: Keyring) -> Delegations:
    keys: dict[str, Key] = {record.id: record.key() for role in DELEGATED for record in keyring.keys(role)}
    roles: dict[str, DelegatedRole] = {
        role: DelegatedRole(role, [record.id for record in keyring.keys(role)], 1, terminating=True, paths=PATHS[role])
        for role in DELEGATED
    }
    return Delegations(keys, roles)


def _write(keyring: Keyring, role: Role, signed: Document, signers: Iterable[CryptoSigner]) -> str:
    signed.expires = datetime.now(UTC).replace(microsecond=0) + keyring.expiry.of(role)
    metadata = Metadata(signed)
    for signer in {signer.public_key.keyid: signer for signer in signers}.values():
        metadata.sign(signer, append=True)
    path = keyring.folder / "metadata" / f"{signed.version}.{role}.json"
    path.parent.mkdir(exist_ok=True)
    metadata.to_file(str(path))
    return path.name
