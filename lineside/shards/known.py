"""The known questions of a shard: texts, whether they are answered, and their vectors in float16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lineside.documents import KnownQuestion
from lineside.errors import ShardError
from lineside.shards.arrow_files import read_table, write_table
from lineside.shards.files import ShardFiles

KNOWN_SCHEMA = pa.schema([("text", pa.string()), ("answered", pa.bool_())])
TABLE, VECTORS = "known.arrow", "known.npy"


@dataclass(frozen=True, slots=True)
class KnownRows:
    """texts: m questions; answered: (m,) bool; vectors: (m, d) float16, L2-normalised but for the rounding."""

    texts: pa.StringArray
    answered: NDArray[np.bool_]
    vectors: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.answered)


def in_order(questions: Sequence[KnownQuestion]) -> list[int]:
    """Places of the distinct questions in canonical order; the same one from two files counts once."""
    first: dict[tuple[str, bool], int] = {}
    for place, question in enumerate(questions):
        first.setdefault((question.text, question.answered), place)
    return [first[key] for key in sorted(first)]


def write_known(directory: Path, questions: Sequence[KnownQuestion], vectors: NDArray[np.float32]) -> None:
    """Two files; none where there are no questions. vectors: (m, d) float32, L2-normalised, in their order."""
    if not questions:
        return
    columns = {"text": [q.text for q in questions], "answered": [q.answered for q in questions]}
    write_table(pa.table(columns, schema=KNOWN_SCHEMA), directory / TABLE)
    np.save(directory / VECTORS, vectors.astype(np.float16), allow_pickle=False)


def read_known(files: ShardFiles, dimension: int) -> KnownRows:
    """Raises ShardError where the vectors are not those of the questions."""
    table = read_table(files.path(TABLE), KNOWN_SCHEMA).combine_chunks()
    try:
        vectors = np.load(files.path(VECTORS), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ShardError(f"{files}: {VECTORS} cannot be read: {error}") from error
    if vectors.dtype != np.float16 or vectors.shape != (len(table), dimension):
        raise ShardError(f"{files}: {VECTORS} is {vectors.dtype} {vectors.shape}, not that of {len(table)} questions")
    answered = table.column("answered").to_numpy(zero_copy_only=False)
    return KnownRows(table.column("text").chunk(0), answered, vectors.view(np.ndarray))


def no_known(dimension: int) -> KnownRows:
    """Of a shard without known questions."""
    return KnownRows(pa.array([], pa.string()), np.zeros(0, bool), np.zeros((0, dimension), np.float16))
