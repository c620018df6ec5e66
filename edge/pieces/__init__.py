"""Pieces: what a release is cut into, sealed and moved as (docs/adr/0006-trust-and-transport.md)."""

from edge.pieces.chunking import Chunker, PieceSizes
from edge.pieces.cipher import PieceCipher, PlainPieces, SealedPieces
from edge.pieces.index import IndexedFile, Pack, Piece, PieceIndex
from edge.pieces.packing import PackingLimits, pack_files
from edge.pieces.wrapping import GatewayIdentity, new_data_key, wrap_data_key

__all__ = [
    "Chunker",
    "GatewayIdentity",
    "IndexedFile",
    "Pack",
    "PackingLimits",
    "Piece",
    "PieceCipher",
    "PieceIndex",
    "PieceSizes",
    "PlainPieces",
    "SealedPieces",
    "new_data_key",
    "pack_files",
    "wrap_data_key",
]
