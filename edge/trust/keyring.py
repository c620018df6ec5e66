"""The publisher's keys: which role signs with which key, where each private part is kept, how long signatures hold.

`keyring.json` in a folder of its own holds public keys and references to the private ones (`edge.trust.providers`).
Private root keys are wanted only to change root metadata: keep them elsewhere, and bring them for that.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from edge.pieces import GatewayIdentity
from edge.trust.providers import SECRET_BYTES, Provider, load_secret, save_secret
from lineside.errors import ConfigurationError

Role = Literal["root", "targets", "shards", "models", "fleet", "snapshot", "timestamp"]
ROLES: Final[tuple[Role, ...]] = ("root", "targets", "shards", "models", "fleet", "snapshot", "timestamp")
PUBLISHER: Final = "publisher"
_FILE = "keyring.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyRecord(_Record):
    """A signing key. `secret` is a reference, relative to the keyring's folder."""

    id: str = Field(pattern=r"^[0-9a-f]{64}$")
    public: dict[str, Any]
    secret: str

    def key(self) -> SSlibKey:
        return SSlibKey.from_dict(self.id, json.loads(json.dumps(self.public)))


class Expiry(_Record):
    """Days that a role's metadata is valid from its signing. Short ones bound how long gateways can be kept back."""

    root: float = Field(365, gt=0)
    targets: float = Field(365, gt=0)
    shards: float = Field(90, gt=0)
    models: float = Field(365, gt=0)
    fleet: float = Field(90, gt=0)
    snapshot: float = Field(7, gt=0)
    timestamp: float = Field(1, gt=0)

    def of(self, role: Role) -> timedelta:
        return timedelta(days=float(getattr(self, role)))


class _Content(_Record):
    format_version: Literal[1] = 1
    root_threshold: int = Field(ge=1)
    expiry_days: Expiry = Expiry()
    keys: dict[Role, tuple[KeyRecord, ...]]
    publisher: str = Field(
        description="reference to the X25519 key under which the publisher finds its data keys again"
    )


class Keyring:
    """Keys by role. What changes it writes it at once."""

    def __init__(self, folder: Path, content: _Content) -> None:
        self.folder = folder
        self._content = content

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        root_keys: int = 3,
        root_threshold: int = 2,
        provider: Provider = "file",
        kms_key: str = "",
        expiry: Expiry = Expiry(),
    ) -> Keyring:
        """New keys for every role. Root keys are always files, as they belong on media that lie in a safe.

        Raises:
            ConfigurationError: there is a keyring already, or the threshold cannot be met.
        """
        if (folder / _FILE).exists():
            raise ConfigurationError(f"{folder} holds a keyring already: `lineside keys rotate` changes its keys")
        if not 1 <= root_threshold <= root_keys:
            raise ConfigurationError(f"a threshold of {root_threshold} cannot be met by {root_keys} root keys")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys: dict[Role, tuple[KeyRecord, ...]] = {
            "root": tuple(_new_key(folder, f"root-{number}", "file", "") for number in range(1, root_keys + 1))
        }
        for role in ROLES[1:]:
            keys[role] = (_new_key(folder, role, provider, kms_key),)
        publisher = save_secret(
            secrets.token_bytes(SECRET_BYTES), provider, folder / f"{PUBLISHER}.key", kms_key=kms_key
        )
        content = _Content(root_threshold=root_threshold, expiry_days=expiry, keys=keys, publisher=publisher)
        keyring = cls(folder, content)
        keyring._save()
        return keyring

    @classmethod
    def open(cls, folder: Path) -> Keyring:
        """Raises ConfigurationError where there is none, or a damaged one."""
        try:
            content = _Content.model_validate_json((folder / _FILE).read_bytes())
        except OSError:
            raise ConfigurationError(f"{folder} holds no keyring: `lineside keys init` makes one") from None
        except ValidationError as error:
            raise ConfigurationError(f"{folder / _FILE} is damaged: {error}") from error
        if lacking := [role for role in ROLES if not content.keys.get(role)]:
            raise ConfigurationError(f"{folder / _FILE} has no key of {', '.join(lacking)}: make a new keyring")
        return cls(folder, content)

    @property
    def expiry(self) -> Expiry:
        return self._content.expiry_days

    @property
    def root_threshold(self) -> int:
        return self._content.root_threshold

    def keys(self, role: Role) -> tuple[KeyRecord, ...]:
        return self._content.keys[role]

    def signer(self, record: KeyRecord) -> CryptoSigner:
        """Raises ConfigurationError where the private key cannot be had, or is another one than the public key says."""
        private = Ed25519PrivateKey.from_private_bytes(load_secret(record.secret, self.folder))
        signer = CryptoSigner(private)
        if signer.public_key.keyid != record.id:
            raise ConfigurationError(f"{record.secret} is not the private part of key {record.id[:12]}")
        return CryptoSigner(private, record.key())

    def signers(self, role: Role) -> list[CryptoSigner]:
        """Every signer of a role; for root as many as its threshold, from the keys that are here.

        Raises:
            ConfigurationError: too few private keys are here.
        """
        if role != "root":
            return [self.signer(record) for record in self.keys(role)]
        found, missing = [], []
        for record in self.keys("root"):
            try:
                found.append(self.signer(record))
            except ConfigurationError as error:
                missing.append(str(error))
        if len(found) < self.root_threshold:
            raise ConfigurationError(
                f"root metadata needs {self.root_threshold} root keys, {len(found)} are here ({'; '.join(missing)}): "
                f"bring more into {self.folder}"
            )
        return found

    def identity(self) -> GatewayIdentity:
        """The publisher as a reader of its own data keys."""
        return GatewayIdentity(PUBLISHER, load_secret(self._content.publisher, self.folder))

    def replace(self, role: Role, number: int, provider: Provider = "file", kms_key: str = "") -> KeyRecord:
        """A new key in the place of key `number` (from 1) of a role; gives the old one, whose private part stays.

        Raises:
            ConfigurationError: the role has no such key.
        """
        records = list(self.keys(role))
        if not 1 <= number <= len(records):
            raise ConfigurationError(f"role {role} has keys 1 to {len(records)}, not {number}")
        old = records[number - 1]
        name = f"{role}-{number}-{secrets.token_hex(4)}"
        records[number - 1] = _new_key(self.folder, name, "file" if role == "root" else provider, kms_key)
        self._content = self._content.model_copy(update={"keys": {**self._content.keys, role: tuple(records)}})
        self._save()
        return old

    def _save(self) -> None:
        temporary = self.folder / f".{_FILE}.new"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(self._content.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / _FILE)


def _new_key(folder: Path, name: str, provider: Provider, kms_key: str) -> KeyRecord:
    secret = secrets.token_bytes(SECRET_BYTES)
    reference = save_secret(secret, provider, folder / f"{name}.key", kms_key=kms_key)
    public = SSlibKey.from_crypto(Ed25519PrivateKey.from_private_bytes(secret).public_key())
    return KeyRecord(id=public.keyid, public=public.to_dict(), secret=reference)


def new_gateway_key(gateway: str, path: Path, provider: Provider, kms_key: str = "") -> tuple[str, GatewayIdentity]:
    """A gateway's key, made where it stays: (reference, identity)."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return save_secret(secret, provider, path, kms_key=kms_key), GatewayIdentity(gateway, secret)
