"""A piece before it is sealed: one byte that says how, then its bytes as they are or compressed, whichever is shorter.

Numbers and text of a shard shrink to a third, vectors hardly. Pieces are small, and a gateway opens some hundred
thousand of them before it can answer: pyarrow's codec makes a context for each, which takes ten times as long as the
decompression.
"""

from __future__ import annotations

import struct
import threading
from typing import Final

import zstandard

from lineside.errors import IntegrityError

_RAW: Final = b"\x00"
_ZSTD: Final = b"\x01"
_SIZE = struct.Struct("<I")
PLAIN_BYTES_MAX: Final = 4 << 20


class _Codec(threading.local):
    """Contexts of Zstandard, which one thread at a time may use."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


_CODEC = _Codec()


def frame(plain: bytes) -> bytes:
    """The framed piece."""
    shorter = _CODEC.compressor.compress(plain)
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
    compressed = body[_SIZE.size :]
    try:
        # What says of itself that it is longer is an error, not memory; what says nothing gets this much.
        if zstandard.frame_content_size(compressed) not in (size, -1):
            raise IntegrityError("a piece is malformed: it is not as long as it says")
        plain = _CODEC.decompressor.decompress(compressed, max_output_size=size)
    except zstandard.ZstdError as error:
        raise IntegrityError("a piece is malformed: it cannot be decompressed") from error
    if len(plain) != size:
        raise IntegrityError("a piece is malformed: it is not as long as it says")
    return plain
