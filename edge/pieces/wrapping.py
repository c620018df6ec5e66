"""Wraps data keys for the gateways that may read a family: HPKE (RFC 9180), X25519, HKDF-SHA256, AES-256-GCM.

What a wrapped key is for (gateway, family, epoch) goes into HPKE's `info`, so that one cannot be passed off as another.
"""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from edge.pieces.cipher import KEY_BYTES
from lineside.errors import ConfigurationError, IntegrityError

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def new_data_key() -> bytes:
    """32 random bytes."""
    return os.urandom(KEY_BYTES)


def wrap_data_key(data_key: bytes, public_key: str, *, gateway: str, family: str, epoch: int) -> str:
    """The data key for the holder of `public_key` (base64 of 32 bytes); base64.

    Raises:
        ConfigurationError: that is no public key.
    """
    try:
        key = X25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        wrapped = _SUITE.encrypt(data_key, key, info=_info(gateway, family, epoch))
    except (ValueError, binascii.Error):
        raise ConfigurationError(
            f"the public key of gateway {gateway} is none: it is 32 bytes in base64, as `lineside keys gateway` prints"
        ) from None
    return base64.b64encode(wrapped).decode()


class GatewayIdentity:
    """A gateway's name and its private X25519 key, given as 32 bytes.

    The keys that its local state is authenticated with and that its reports are signed with are derived from it.
    """

    def __init__(self, gateway: str, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ConfigurationError(f"the key of gateway {gateway} has {len(secret)} bytes; it must have {KEY_BYTES}")
        self.gateway = gateway
        self._private = X25519PrivateKey.from_private_bytes(secret)
        self.state_key = HKDFExpand(SHA256(), KEY_BYTES, b"lineside gateway state 1").derive(secret)
        signing = HKDFExpand(SHA256(), KEY_BYTES, b"lineside gateway report 1").derive(secret)
        self._signing = Ed25519PrivateKey.from_private_bytes(signing)

    @property
    def public_key(self) -> str:
        """Base64 of 32 bytes: what the publisher is told."""
        return base64.b64encode(self._private.public_key().public_bytes_raw()).decode()

    @property
    def report_key(self) -> str:
        """Base64 of 32 bytes (Ed25519): what its reports are believed by."""
        return base64.b64encode(self._signing.public_key().public_bytes_raw()).decode()

    def sign(self, data: bytes) -> bytes:
        """Signature (64 bytes) that `report_key` verifies."""
        return self._signing.sign(data)

    def unwrap(self, wrapped: str, *, family: str, epoch: int) -> bytes:
        """The data key.

        Raises:
            IntegrityError: it was not wrapped for this gateway, family and epoch.
        """
        try:
            info = _info(self.gateway, family, epoch)
            return _SUITE.decrypt(base64.b64decode(wrapped, validate=True), self._private, info=info)
        except (InvalidTag, ValueError, binascii.Error):
            raise IntegrityError(
                f"the data key of {family}, epoch {epoch}, is not wrapped for the key of gateway {self.gateway}"
            ) from None


def check_public_key(public_key: str, gateway: str) -> None:
    """Raises ConfigurationError where it is no base64 of 32 bytes, or a point that any key agrees with."""
    wrap_data_key(bytes(KEY_BYTES), public_key, gateway=gateway, family="", epoch=0)


def check_report_key(report_key: str, gateway: str) -> Ed25519PublicKey:
    """Raises ConfigurationError where it is no base64 of an Ed25519 key."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(report_key, validate=True))
    except (ValueError, binascii.Error):
        raise ConfigurationError(
            f"the report key of gateway {gateway} is none: it is 32 bytes in base64, as `lineside keys gateway` prints"
        ) from None


def _info(gateway: str, family: str, epoch: int) -> bytes:
    return b"\0".join((b"lineside data key 1", gateway.encode(), family.encode(), str(epoch).encode()))
