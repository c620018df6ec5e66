"""A piece before it is sealed: one byte that says how, then its bytes as they are or compressed, whichever is shorter.

Numbers and text of a shard shrink to a third, vectors hardly. Zstandard comes with pyarrow.
"""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

from lineside.errors import IntegrityError

_RAW: Final = b"\x00"
_ZSTD: Final = b"\x01"
_SIZE = struct.Struct("<I")
PLAIN_BYTES_MAX: Final = 4 << 20
_CODEC = pa.Codec("zstd", compression_level=3)


def frame(plain: bytes) -> bytes:
    """The framed piece."""
    shorter = _CODEC.compress(plain, asbytes=True)
    if len(shorter) + _SIZE.size < len(plain):
        return _ZSTD + _SIZE.pack(len(plain)) + shorter
    return _RAW + plain


def unframe(framed: bytes) -> bytes:
    """The plain bytes, of which there are at most `PLAIN_BYTES_MAX`.

    Raises:
        IntegrityError: it is no framed piece.
    """
    kind, body = framed[:1], framed[1:]
    if kind == _RAW and len(body) <= PLAIN_BYTES_MAX:
        return body
    if kind != _ZSTD or len(body) < _SIZE.size:
        raise IntegrityError("a piece is malformed")
    (size,) = _SIZE.unpack_from(body)
    if size > PLAIN_BYTES_MAX:
        raise IntegrityError(f"a piece of {size} bytes is over the limit of {PLAIN_BYTES_MAX}")
    try:
        # The codec fills a buffer of exactly this size: what would be longer is an error, not memory.
        return bytes(_CODEC.decompress(body[_SIZE.size :], decompressed_size=size, asbytes=True))
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError("a piece is malformed: it cannot be decompressed") from error
