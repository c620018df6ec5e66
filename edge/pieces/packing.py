"""Cuts files into pieces and puts those that the last publication did not have into new packs."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edge.pieces.chunking import Bytes, Chunker, PieceSizes
from edge.pieces.cipher import PieceCipher
from edge.pieces.framing import frame
from edge.pieces.index import PACK_BYTES_MAX, IndexedFile, Pack, Piece, PieceIndex
from lineside.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class PackingLimits:
    """`pack_bytes`: a pack is closed when it holds that much; small enough to be fetched again after a broken link.

    A pack of the last publication is kept while at least `live_share_min` of it is in use. Packs smaller than a quarter
    of `pack_bytes` are merged once there are more than `small_packs_max` of them.
    """

    pack_bytes: int = 1 << 20
    live_share_min: float = 0.5
    small_packs_max: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.pack_bytes <= PACK_BYTES_MAX // 2 or not 0 <= self.live_share_min <= 1:
            raise ConfigurationError(f"packs hold up to {PACK_BYTES_MAX // 2} bytes, with a live share of 0 to 1")


def pack_files(
    files: Mapping[str, Path | bytes],
    *,
    kind: Literal["shard", "model"],
    name: str,
    content: str,
    epoch: int,
    cipher: PieceCipher,
    store_pack: Callable[[str, bytes], None],
    previous: PieceIndex | None = None,
    sizes: PieceSizes = PieceSizes(),
    limits: PackingLimits = PackingLimits(),
) -> PieceIndex:
    """The index of `files` by name. `store_pack(sha256, data)` is called for every new pack before the index is there.

    `previous` is the last index of the same family under the same data key: its pieces are used again.
    """
    chunker = Chunker(cipher.chunking_secret, sizes)
    cut = {file: _Cut.of(source, chunker, cipher) for file, source in sorted(files.items())}
    used = {piece_id for file in cut.values() for piece_id in file.ids}
    packs = _Packs(store_pack, limits.pack_bytes)
    places = {} if previous is None else packs.keep(previous, used, limits)
    for file in cut.values():
        for piece_id, (start, end) in zip(file.ids, file.spans, strict=True):
            if piece_id not in places:
                places[piece_id] = packs.add(cipher.seal(frame(file.data[start:end].tobytes())))
    packs.close()
    return PieceIndex(
        kind=kind,
        name=name,
        content=content,
        epoch=epoch,
        packs=tuple(packs.listed),
        files={
            file: IndexedFile(
                size=len(parts.data),
                sha256=parts.sha256,
                pieces=tuple(Piece(piece_id, *places[piece_id]) for piece_id in parts.ids),
            )
            for file, parts in cut.items()
        },
    )


_Place = tuple[int, int, int]  # number of the pack, offset, size


def _text(piece_id: bytes) -> str:
    return base64.urlsafe_b64encode(piece_id).decode()


@dataclass(frozen=True, slots=True)
class _Cut:
    """A file, cut: `spans[i]` of `data` is the piece `ids[i]`."""

    data: Bytes
    sha256: str
    spans: list[tuple[int, int]]
    ids: list[str]

    @classmethod
    def of(cls, source: Path | bytes, chunker: Chunker, cipher: PieceCipher) -> _Cut:
        data: Bytes
        if isinstance(source, bytes):
            data = np.frombuffer(source, np.uint8)
        elif source.stat().st_size:
            data = np.memmap(source, np.uint8, "r")
        else:
            data = np.empty(0, np.uint8)
        ends = chunker.cuts(data)
        spans = list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []
        ids = [_text(cipher.identify(frame(data[start:end].tobytes()))) for start, end in spans]
        return cls(data, hashlib.sha256(data.data).hexdigest(), spans, ids)


class _Packs:
    """The packs of an index: kept ones first, then new ones of about `size` bytes."""

    def __init__(self, store: Callable[[str, bytes], None], size: int) -> None:
        self.listed: list[Pack] = []
        self._store = store
        self._size = size
        self._buffer = bytearray()

    def keep(self, previous: PieceIndex, used: set[str], limits: PackingLimits) -> dict[str, _Place]:
        """Keeps the packs that are worth it, and gives where the pieces in use lie in them."""
        by_pack: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
        for file in previous.files.values():
            for piece in file.pieces:
                if piece.id in used:
                    by_pack[piece.pack][piece.id] = (piece.offset, piece.size)
        worth = {
            number: spans
            for number, spans in sorted(by_pack.items())
            if sum(size for _, size in spans.values()) >= limits.live_share_min * previous.packs[number].size
        }
        small = [number for number in worth if previous.packs[number].size < limits.pack_bytes // 4]
        if len(small) > limits.small_packs_max:
            worth = {number: spans for number, spans in worth.items() if number not in small}
        places: dict[str, _Place] = {}
        for number, spans in worth.items():
            places |= {piece_id: (len(self.listed), offset, size) for piece_id, (offset, size) in spans.items()}
            self.listed.append(previous.packs[number])
        return places

    def add(self, sealed: bytes) -> _Place:
        if self._buffer and len(self._buffer) + len(sealed) > self._size:
            self.close()
        place = (len(self.listed), len(self._buffer), len(sealed))
        self._buffer += sealed
        return place

    def close(self) -> None:
        """Stores the pack that is being filled."""
        if self._buffer:
            data = bytes(self._buffer)
            self.listed.append(Pack(hashlib.sha256(data).hexdigest(), len(data)))
            self._store(self.listed[-1].sha256, data)
            self._buffer.clear()
