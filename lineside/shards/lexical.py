"""The lexical part of a shard: postings with term counts per field, as plain arrays.

Stored are raw counts and field lengths, not scores: BM25's idf and average lengths belong to the whole release, so
`lineside.search.lexical_index` computes them when the shards of a release meet (docs/adr/0001-lexical-index.md).

    terms.txt               sorted distinct terms, UTF-8, one a line; the term's id is its line
    indptr.npy     (V+1,)   int64: postings of term t are [indptr[t], indptr[t+1])
    rows.npy       (P,)     int32: row of the posting, ascending within a term
    body_tf.npy    (P,)     uint8: occurrences in the body, at most 255
    heading_tf.npy (P,)     uint8: occurrences in title, section path, label
    body_len.npy   (n,)     int32: terms in the body of a row
    heading_len.npy (n,)    int32: terms in the heading
    sentence_indptr.npy (s+1,) int64 and sentence_terms.npy int32: the distinct terms of every sentence
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineside.analysis import terms
from lineside.errors import ShardError
from lineside.shards.files import ShardFiles, shard_files

_DIRECTORY = "lexical"
_ARRAYS = {
    "indptr": np.int64,
    "rows": np.int32,
    "body_tf": np.uint8,
    "heading_tf": np.uint8,
    "body_len": np.int32,
    "heading_len": np.int32,
    "sentence_indptr": np.int64,
    "sentence_terms": np.int32,
}


@dataclass(frozen=True, slots=True)
class LexicalPostings:
    """Postings of the rows of one shard; the module's docstring has shapes and dtypes."""

    vocabulary: tuple[str, ...]
    indptr: NDArray[np.int64]
    rows: NDArray[np.int32]
    body_tf: NDArray[np.uint8]
    heading_tf: NDArray[np.uint8]
    body_len: NDArray[np.int32]
    heading_len: NDArray[np.int32]
    sentence_indptr: NDArray[np.int64]
    sentence_terms: NDArray[np.int32]


def build_postings(fields: Sequence[tuple[str, str]], sentences: Sequence[str]) -> LexicalPostings:
    """Postings for rows given as (heading, body), and the term sets of the sentences of the rows."""
    headings = [terms(heading) for heading, _ in fields]
    bodies = [terms(body) for _, body in fields]
    sentence_sets = [set(terms(sentence)) for sentence in sentences]
    vocabulary = sorted({t for found in (*headings, *bodies, *sentence_sets) for t in found})
    ids = {term: i for i, term in enumerate(vocabulary)}

    columns: list[list[int]] = [[], [], [], []]
    for row, (heading, body) in enumerate(zip(headings, bodies, strict=True)):
        in_heading, in_body = Counter(heading), Counter(body)
        for term in in_heading.keys() | in_body.keys():
            posting = (
                ids[term],
                row,
                min(in_body[term], 255),
                min(in_heading[term], 255),
            )
            for column, value in zip(columns, posting, strict=True):
                column.append(value)
    term_ids, rows = np.array(columns[0], np.int64), np.array(columns[1], np.int64)
    order = np.lexsort((rows, term_ids))
    sentence_terms = [np.array(sorted(ids[t] for t in found), np.int32) for found in sentence_sets]
    return LexicalPostings(
        vocabulary=tuple(vocabulary),
        indptr=_indptr(np.bincount(term_ids, minlength=len(vocabulary))),
        rows=rows[order].astype(np.int32),
        body_tf=np.array(columns[2], np.uint8)[order],
        heading_tf=np.array(columns[3], np.uint8)[order],
        body_len=np.array([len(b) for b in bodies], np.int32),
        heading_len=np.array([len(h) for h in headings], np.int32),
        sentence_indptr=_indptr(np.array([len(s) for s in sentence_terms], np.int64)),
        sentence_terms=np.concatenate([*sentence_terms, np.empty(0, np.int32)]),
    )


def _indptr(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def write_postings(postings: LexicalPostings, directory: Path) -> None:
    """Writes the arrays and the vocabulary below `directory/lexical`."""
    target = directory / _DIRECTORY
    target.mkdir(parents=True, exist_ok=True)
    (target / "terms.txt").write_bytes("".join(f"{t}\n" for t in postings.vocabulary).encode())
    for name in _ARRAYS:
        np.save(target / f"{name}.npy", getattr(postings, name), allow_pickle=False)


def read_postings(where: Path | ShardFiles) -> LexicalPostings:
    """Maps the arrays below `lexical/` of a shard's files.

    Raises:
        ShardError: an array is missing, of the wrong type, or the arrays contradict each other.
    """
    files = shard_files(where)
    source = f"{files}/{_DIRECTORY}"
    try:
        vocabulary = tuple(files.path(f"{_DIRECTORY}/terms.txt").read_bytes().decode().split("\n")[:-1])
        arrays = {
            n: np.load(files.path(f"{_DIRECTORY}/{n}.npy"), mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for n in _ARRAYS
        }
    except (OSError, ValueError) as error:
        raise ShardError(f"{source} cannot be read: {error}") from error
    wrong = [n for n, dtype in _ARRAYS.items() if arrays[n].dtype != dtype or arrays[n].ndim != 1]
    if wrong:
        raise ShardError(f"{source}: unexpected arrays {wrong}")
    postings = LexicalPostings(vocabulary, **arrays)
    n_postings, n_rows = len(postings.rows), len(postings.body_len)
    consistent = (
        len(postings.indptr) == len(vocabulary) + 1
        and postings.indptr[-1] == n_postings == len(postings.body_tf) == len(postings.heading_tf)
        and len(postings.heading_len) == n_rows
        and postings.sentence_indptr[-1] == len(postings.sentence_terms)
        and (n_postings == 0 or int(postings.rows.max()) < n_rows)
    )
    if not consistent:
        raise ShardError(f"{source}: the arrays contradict each other")
    return postings
