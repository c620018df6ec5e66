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

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineside.analysis import indexed_terms
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
    """Postings for rows given as (heading, body), and the term sets of the sentences of the rows.

    Terms are numbered as they come and kept as numbers: a corpus of millions of words stays small.
    """
    numbers: dict[str, int] = {}
    term_ids, rows = array("i"), array("i")
    body_tf, heading_tf = array("B"), array("B")
    lengths: list[tuple[int, int]] = []
    for row, (heading, body) in enumerate(fields):
        in_heading, in_body = Counter(indexed_terms(heading)), Counter(indexed_terms(body))
        lengths.append((in_body.total(), in_heading.total()))
        for term in in_heading.keys() | in_body.keys():
            term_ids.append(numbers.setdefault(term, len(numbers)))
            rows.append(row)
            body_tf.append(min(in_body[term], 255))
            heading_tf.append(min(in_heading[term], 255))
    sentence_terms, sentence_counts = array("i"), array("q")
    for sentence in sentences:
        distinct = {numbers.setdefault(term, len(numbers)) for term in indexed_terms(sentence)}
        sentence_terms.extend(distinct)
        sentence_counts.append(len(distinct))

    vocabulary = sorted(numbers)
    place = np.empty(len(vocabulary), np.int32)
    place[[numbers[term] for term in vocabulary]] = np.arange(len(vocabulary), dtype=np.int32)
    ids = place[np.asarray(term_ids, np.int32)]
    order = np.lexsort((np.asarray(rows, np.int32), ids))
    counts = np.asarray(sentence_counts, np.int64)
    of_sentences = place[np.asarray(sentence_terms, np.int32)]
    by_sentence = np.lexsort((of_sentences, np.repeat(np.arange(len(counts)), counts)))
    return LexicalPostings(
        vocabulary=tuple(vocabulary),
        indptr=_indptr(np.bincount(ids, minlength=len(vocabulary))),
        rows=np.asarray(rows, np.int32)[order],
        body_tf=np.asarray(body_tf, np.uint8)[order],
        heading_tf=np.asarray(heading_tf, np.uint8)[order],
        body_len=np.array([body for body, _ in lengths], np.int32),
        heading_len=np.array([heading for _, heading in lengths], np.int32),
        sentence_indptr=_indptr(counts),
        sentence_terms=of_sentences[by_sentence],
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
