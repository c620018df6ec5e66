"""Seals pieces with AES-256-GCM so that equal pieces under one data key give equal bytes, and no nonce is ever reused.

A data key belongs to one family and one epoch. From it come, by HKDF-SHA256 (RFC 5869) with different labels, the
secret of the gear table, an identity key and a piece key root. Then for a framed piece m:

    id  = first 24 bytes of HMAC-SHA256(identity key, m)
    key = HMAC-SHA256(piece key root, id)
    sealed = AES-256-GCM(key, nonce = 0, m)

Why no (key, nonce) pair ever serves two messages: the nonce is constant, so it would need one key for two messages m
and n. Either their ids are equal, which is a collision of a 192-bit HMAC (at 2^40 pieces a chance of 2^-113, and not
to be searched for without the identity key), or two ids give one key, a collision of the full HMAC. Sealing m again
gives the same bytes, which tell nobody more than the first did. There is no counter to lose, no state to restore and no
randomness that could repeat; `seal` computes the id itself and so cannot be told a wrong one.

What is given up for pieces that need not be sent again: who sees two releases of one epoch sees which pieces they
share. Without the identity key an id says nothing about a guessed plain text (which a plain content hash would).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lineside.errors import IntegrityError

KEY_BYTES = 32
ID_BYTES = 24
_NONCE = bytes(12)


class PieceCipher(Protocol):
    """How the pieces of one index are named and sealed."""

    @property
    def chunking_secret(self) -> bytes:
        """What the gear table is drawn from."""
        ...

    def identify(self, piece: bytes) -> bytes:
        """The piece's id: 24 bytes."""
        ...

    def seal(self, piece: bytes) -> bytes: ...

    def open(self, piece_id: bytes, sealed: bytes) -> bytes:
        """The piece; raises IntegrityError when the bytes are not what was sealed under this id."""
        ...


class SealedPieces:
    """Pieces under a data key of 32 bytes; the module's docstring says how."""

    def __init__(self, data_key: bytes) -> None:
        if len(data_key) != KEY_BYTES:
            raise IntegrityError(f"a data key has {KEY_BYTES} bytes, this one {len(data_key)}")
        self.chunking_secret = _derive(data_key, b"gear table")
        self._identity_key = _derive(data_key, b"piece identity")
        self._key_root = _derive(data_key, b"piece key")

    def identify(self, piece: bytes) -> bytes:
        return hmac.digest(self._identity_key, piece, "sha256")[:ID_BYTES]

    def seal(self, piece: bytes) -> bytes:
        return self._key(self.identify(piece)).encrypt(_NONCE, piece, None)

    def open(self, piece_id: bytes, sealed: bytes) -> bytes:
        try:
            return self._key(piece_id).decrypt(_NONCE, sealed, None)
        except InvalidTag:
            raise IntegrityError("a piece is damaged, or sealed with another key") from None

    def _key(self, piece_id: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._key_root, piece_id, "sha256"))


class PlainPieces:
    """Pieces as they are, named by SHA-256: for models, which are signed but no secret."""

    chunking_secret = b""

    def identify(self, piece: bytes) -> bytes:
        return hashlib.sha256(piece).digest()[:ID_BYTES]

    def seal(self, piece: bytes) -> bytes:
        return piece

    def open(self, piece_id: bytes, sealed: bytes) -> bytes:
        if self.identify(sealed) != piece_id:
            raise IntegrityError("a piece is damaged: its SHA-256 does not match")
        return sealed


def _derive(data_key: bytes, label: bytes) -> bytes:
    return HKDFExpand(SHA256(), KEY_BYTES, b"lineside piece 1\0" + label).derive(data_key)
