"""The shard on disk: written once, content-addressed, read by memory map."""

from lineside.shards.files import FolderFiles, ShardFiles
from lineside.shards.index_building import build_vector_index
from lineside.shards.reader import Shard, verify_files
from lineside.shards.rows import SentenceSpan, encoder_text, sentence_spans
from lineside.shards.settings import ShardSettings, VectorIndexSettings
from lineside.shards.vector_index import Allowed, VectorIndex
from lineside.shards.writer import ShardRef, ShardVectors, write_shard

__all__ = [
    "Allowed",
    "FolderFiles",
    "SentenceSpan",
    "Shard",
    "ShardFiles",
    "ShardRef",
    "ShardSettings",
    "ShardVectors",
    "VectorIndex",
    "VectorIndexSettings",
    "build_vector_index",
    "encoder_text",
    "sentence_spans",
    "verify_files",
    "write_shard",
]
