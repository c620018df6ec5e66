"""Vectors that index benchmarks search: generated clusters, SIFT descriptors, passages of real manuals.

Everything is made once and kept as `.npy` files below `LINESIDE_HOME`, outside the repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import faiss
import numpy as np

SHARED: Final = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
QUERIES: Final = 1_000
TRUTH: Final = 10
_BLOCK: Final = 50_000
_MANUALS: Final = ("marlin", "linuxcnc")


@dataclass(frozen=True)
class Data:
    """Rows (n, d) and queries (q, d), float32 and L2-normalised, and the exact ids (q, 10) of the best rows."""

    name: str
    vectors: np.ndarray
    queries: np.ndarray
    truth: np.ndarray


def load_data(name: str, folder: Path, home: Path) -> Data:
    """`clustered-N`, `isotropic-N`, `sift5k` or `manuals`.

    Raises:
        FileNotFoundError: the data set comes from files that are not here.
    """
    target = folder / name
    if not (target / "truth.npy").is_file():
        target.mkdir(parents=True, exist_ok=True)
        kind, _, count = name.partition("-")
        if kind in ("clustered", "isotropic"):
            queries = _write_clustered(target / "vectors.npy", int(count), decay=0.5 if kind == "clustered" else 0.0)
        else:
            vectors, queries = _sift() if kind == "sift5k" else _manuals(home)
            np.save(target / "vectors.npy", _normalised(vectors))
        np.save(target / "queries.npy", _normalised(queries))
        vectors = np.load(target / "vectors.npy", mmap_mode="r", allow_pickle=False)
        np.save(target / "truth.npy", exact_ids(vectors, np.load(target / "queries.npy", allow_pickle=False)))
    vectors = np.load(target / "vectors.npy", mmap_mode="r", allow_pickle=False)
    return Data(
        name,
        vectors,
        np.load(target / "queries.npy", allow_pickle=False),
        np.load(target / "truth.npy", allow_pickle=False),
    )


def clustered(count: int, *, d: int = 512, clusters: int, decay: float, seed: int = 20_260) -> Iterator[np.ndarray]:
    """Blocks of `count` normalised rows around random unit centres.

    A row is a centre, chosen evenly, plus noise of length about 0.6. The noise's standard deviation falls over 512
    random orthogonal directions as i ** -decay, as the spectra of real embeddings do; with decay 0 it is isotropic,
    which leaves the members of a cluster nearly equidistant: the hardest case for short codes.
    """
    rng = np.random.default_rng(seed)
    centres = _normalised(rng.standard_normal((clusters, d), np.float32))
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0].astype(np.float32)
    deviations = np.arange(1, d + 1, dtype=np.float32) ** np.float32(-decay)
    shape = (0.6 * deviations / np.linalg.norm(deviations))[:, None] * rotation
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        chosen = rng.integers(0, clusters, size)
        yield _normalised(centres[chosen] + rng.standard_normal((size, d), np.float32) @ shape)


def exact_ids(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The ids (q, 10) of the rows with the highest inner product, by comparing all."""
    heap = faiss.ResultHeap(len(queries), TRUTH, keep_max=True)
    for start in range(0, len(vectors), _BLOCK):
        block = np.ascontiguousarray(vectors[start : start + _BLOCK])
        scores, ids = faiss.knn(queries, block, TRUTH, metric=faiss.METRIC_INNER_PRODUCT)
        heap.add_result(scores, ids + start)
    heap.finalize()
    return heap.I


def _write_clustered(path: Path, count: int, decay: float) -> np.ndarray:
    """Writes `count` rows as they are made, so that memory does not bound them; returns queries made after them."""
    blocks = clustered(count + QUERIES, clusters=max(50, count // 100), decay=decay)
    array = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
        path, mode="w+", dtype=np.float32, shape=(count, 512)
    )
    queries, start = [], 0
    for block in blocks:
        rows = block[: max(0, count - start)]
        array[start : start + len(rows)] = rows
        queries.append(block[len(rows) :])
        start += len(block)
    array.flush()
    return np.concatenate(queries)


def _sift() -> tuple[np.ndarray, np.ndarray]:
    return _fvecs(SHARED / "sift5k" / "base.fvecs"), _fvecs(SHARED / "sift5k" / "query.fvecs")


def _fvecs(path: Path) -> np.ndarray:
    """float32 rows, each behind its length as int32 (the format of the TEXMEX collections)."""
    raw = np.fromfile(path, np.int32)
    return raw.reshape(-1, raw[0] + 1)[:, 1:].view(np.float32)


def _manuals(home: Path) -> tuple[np.ndarray, np.ndarray]:
    """Passages of two open manuals as rows; sentences of them, as short as questions, as queries."""
    from ingest.chunk import chunk
    from ingest.parse import is_document, parse
    from ingest.source import read_folder
    from lineside.encoders import load_text_encoder
    from lineside.shards import encoder_text, sentence_spans

    encoder = load_text_encoder(home / "models" / "minilm")
    passages = []
    for name in _MANUALS:
        if not (SHARED / name).is_dir():
            raise FileNotFoundError(f"{SHARED / name} is not there")
        for source in read_folder(SHARED / name):
            if is_document(source.path):
                for document in parse(source).documents:
                    passages += chunk(document, count_tokens=encoder.count_tokens, max_tokens=160)
    spans = sentence_spans(passages)
    spans = [span for span in spans if span.end - span.start >= 30]
    spans = spans[:: max(1, len(spans) // QUERIES)][:QUERIES]
    sentences = [passages[s.passage].text[s.start : s.end] for s in spans]
    return encoder.encode([encoder_text(p) for p in passages]), encoder.encode(sentences)


def _normalised(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled.astype(np.float32)
