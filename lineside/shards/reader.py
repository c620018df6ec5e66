"""Reads a shard: verified, memory-mapped, immutable."""

from __future__ import annotations

from collections.abc import KeysView
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lineside.documents import Document
from lineside.errors import IntegrityError, NotFound, ShardError
from lineside.shards.arrow_files import read_table
from lineside.shards.files import ShardFiles, shard_files
from lineside.shards.images import ImagePack, StoredImage
from lineside.shards.known import TABLE as KNOWN_TABLE
from lineside.shards.known import KnownRows, no_known, read_known
from lineside.shards.lexical import LexicalPostings, read_postings
from lineside.shards.manifest import MANIFEST_NAME, Manifest, file_sha256, read_manifest
from lineside.shards.rows import DOCUMENT_SCHEMA, ROW_SCHEMA, document_at
from lineside.shards.vector_index import VectorIndex, read_vector_index
from lineside.shards.writer import SENTENCE_SCHEMA


class Shard:
    """An open shard. Reading is thread-safe; nothing is ever written.

    rows: table of `ROW_SCHEMA`, one row for every passage, figure and frame.
    text, joint: vector indexes; row i of the shard is vector i of `text` and vector `joint_rows[i]` of `joint`.
    sentence_rows, sentence_starts, sentence_ends: (s,) int32; sentence_vectors: (s, d) int8, times `sentence_scale`.
    known: questions that were looked up; shards written before there were any have none.
    """

    def __init__(self, files: ShardFiles, manifest: Manifest) -> None:
        self.files = files
        self.manifest = manifest
        self.rows: pa.Table = read_table(files.path("passages.arrow"), ROW_SCHEMA)
        self.documents: pa.Table = read_table(files.path("documents.arrow"), DOCUMENT_SCHEMA)
        sentences = read_table(files.path("sentences.arrow"), SENTENCE_SCHEMA)
        self.sentence_rows: NDArray[np.int32] = sentences.column("row").to_numpy()
        self.sentence_starts: NDArray[np.int32] = sentences.column("start").to_numpy()
        self.sentence_ends: NDArray[np.int32] = sentences.column("end").to_numpy()
        self.sentence_vectors: NDArray[np.int8] = _array(files.path("sentences.npy"), np.int8, 2)
        self.sentence_scale = manifest.sentence_scale
        self.joint_rows: NDArray[np.int32] = _array(files.path("joint_rows.npy"), np.int32, 1)
        self.lexical: LexicalPostings = read_postings(files)
        self.text = self._vectors("text")
        self.joint = self._vectors("joint") if "joint" in manifest.effort_curves else None
        dimension = manifest.dimensions["text"]
        has_known = KNOWN_TABLE in manifest.files
        self.known: KnownRows = read_known(files, dimension) if has_known else no_known(dimension)
        self._images = ImagePack(files)
        self._document_rows = {i: n for n, i in enumerate(self.documents.column("id").to_pylist())}
        self._row_of = {i: n for n, i in enumerate(self.rows.column("id").to_pylist())}
        self._check()

    @classmethod
    def open(cls, where: Path | ShardFiles, verify: bool = True) -> Shard:
        """Opens a folder or other files. `verify` hashes every file; without it only sizes are compared.

        Raises:
            IntegrityError: a file is missing or is not what the manifest says.
            ShardError: the content is malformed or of an unknown format.
        """
        files = shard_files(where)
        manifest = read_manifest(files.path(MANIFEST_NAME))
        verify_files(files, manifest, hashes=verify)
        return cls(files, manifest)

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def family(self) -> str:
        return self.manifest.family

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._row_of

    def row(self, i: int) -> dict[str, Any]:
        """The values of row `i` by column name."""
        return dict(self.rows.slice(i, 1).to_pylist()[0])

    def row_of(self, row_id: str) -> int:
        """Raises NotFound where no row has that id."""
        try:
            return self._row_of[row_id]
        except KeyError:
            raise NotFound(f"no passage, figure or frame {row_id}") from None

    def document(self, document_id: str) -> Document:
        """The document with text, pages and sections; raises NotFound."""
        try:
            return document_at(self.documents, self._document_rows[document_id])
        except KeyError:
            raise NotFound(f"no document {document_id}") from None

    @property
    def document_ids(self) -> KeysView[str]:
        return self._document_rows.keys()

    def image(self, row_id: str) -> StoredImage:
        """The stored image of a figure or frame; raises NotFound."""
        name = self.rows.column("image")[self.row_of(row_id)].as_py()
        if name is None:
            raise NotFound(f"{row_id} has no image")
        return self._images.get(name)

    def _vectors(self, name: str) -> VectorIndex:
        index = read_vector_index(self.files.path(f"{name}.faiss"), self.manifest.effort_curves[name])
        if index.dimension != self.manifest.dimensions[name]:
            raise ShardError(f"{self.files}: {name} vectors have {index.dimension} dimensions, not as in the manifest")
        return index

    def _check(self) -> None:
        n = len(self.rows)
        consistent = (
            len(self.text) == n == len(self.joint_rows) == len(self.lexical.body_len)
            and len(self.sentence_rows) == len(self.sentence_vectors) == len(self.lexical.sentence_indptr) - 1
            and (not n or int(self.joint_rows.max()) < (len(self.joint) if self.joint else 1))
        )
        if not consistent:
            raise ShardError(f"{self.files}: its files contradict each other")


def verify_files(where: Path | ShardFiles, manifest: Manifest, *, hashes: bool = True) -> None:
    """Raises IntegrityError for the first file whose size or sha256 is not the manifest's."""
    files = shard_files(where)
    for name, entry in manifest.files.items():
        try:
            if (size := files.size(name)) != entry.size:
                raise IntegrityError(f"{files}/{name} has {size} bytes, the manifest says {entry.size}")
            if hashes and file_sha256(files.path(name)) != entry.sha256:
                raise IntegrityError(f"{files}/{name} is damaged: its sha256 does not match the manifest")
        except OSError as error:
            raise IntegrityError(f"{files}/{name} cannot be read: {error}") from error


def _array(path: Path, dtype: type[np.generic], ndim: int) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ShardError(f"{path} cannot be read: {error}") from error
    if array.dtype != dtype or array.ndim != ndim:
        raise ShardError(f"{path}: unexpected type {array.dtype} with {array.ndim} dimensions")
    return array.view(np.ndarray)  # slicing a memmap costs several times as much as slicing its plain view
