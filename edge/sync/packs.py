"""Packs on the gateway's disk: sealed as they came, named by their SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

from edge.pieces import IndexedFile, Pack, PieceCipher, PieceIndex
from edge.pieces.framing import unframe
from edge.sync.durable import remove_unfinished, write_durably
from lineside.errors import IntegrityError

_PACKS_CACHED = 8


class PackStore:
    """Content-addressed files. What is there is whole: it is checked before it is written, and again when read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder

    def remove_unfinished(self) -> None:
        """Removes what a writer that was killed has left; only its successor may do that."""
        remove_unfinished(self.folder)

    def has(self, pack: Pack) -> bool:
        path = self.folder / pack.sha256
        return path.is_file() and path.stat().st_size == pack.size

    def add(self, pack: Pack, data: bytes) -> None:
        """Raises IntegrityError where the data is not that pack's."""
        if not self.is_that(pack, data):
            raise IntegrityError(f"pack {pack.sha256[:12]} from the store is not the one that was published")
        write_durably(self.folder / pack.sha256, data)

    def read(self, pack: Pack) -> bytes:
        """The file as it is; empty where it cannot be read."""
        try:
            return self._read(pack)
        except IntegrityError:
            return b""

    @staticmethod
    def is_that(pack: Pack, data: bytes) -> bool:
        return len(data) == pack.size and hashlib.sha256(data).hexdigest() == pack.sha256

    def remove(self, pack: Pack) -> None:
        (self.folder / pack.sha256).unlink(missing_ok=True)

    def keep_only(self, wanted: Collection[str]) -> None:
        """Removes every pack whose SHA-256 is not among these."""
        for path in self.folder.iterdir():
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def used_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def plain(self, index: PieceIndex, file: IndexedFile, cipher: PieceCipher) -> Iterator[bytes]:
        """The opened pieces of a file, in order.

        Raises:
            IntegrityError: a pack is missing, or a piece of it damaged.
        """
        read = lru_cache(_PACKS_CACHED)(self._read)  # pieces of a file that changed alternate between few packs
        for piece in file.pieces:
            sealed = read(index.packs[piece.pack])[piece.offset : piece.offset + piece.size]
            yield unframe(cipher.open(piece.id_bytes, sealed))

    def _read(self, pack: Pack) -> bytes:
        try:
            return (self.folder / pack.sha256).read_bytes()
        except OSError as error:
            raise IntegrityError(f"pack {pack.sha256[:12]} cannot be read: {error.strerror}") from error
