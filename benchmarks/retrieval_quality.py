"""Retrieval quality on folders in BEIR layout with the production settings: nDCG@10, recall, MRR, latency.

    python -m benchmarks.retrieval_quality ../shared/data/cranfield ../shared/data/s10_manual [--json]

A folder holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels/test.tsv`. Each
corpus is chunked, embedded and written as a shard like any manual; a document ranks where its best passage ranks.
The same settings serve every set: nothing is fitted to one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ingest.chunk import chunk, chunker_fingerprint
from lineside.analysis import is_identifier
from lineside.documents import Document, Passage, Section
from lineside.encoders import Runtime, TextEncoder, load_text_encoder
from lineside.search import ReleaseIndex, SearchQuery, SearchResult, SearchSettings
from lineside.search.settings import FeedbackSettings, FusionSettings
from lineside.shards import ShardSettings, ShardVectors, encoder_text, sentence_spans, write_shard

_PASSAGES = 400  # passages read for one ranking of documents
_BATCH = 16

SYSTEMS = {
    "dense": SearchSettings(
        fusion=FusionSettings(dense=1, lexical=0, identifier=0), feedback=FeedbackSettings(passages=0)
    ),
    "lexical": SearchSettings(
        fusion=FusionSettings(dense=0, lexical=1, identifier=0), feedback=FeedbackSettings(passages=0)
    ),
    "fused": SearchSettings(feedback=FeedbackSettings(passages=0)),
    "hybrid": SearchSettings(),
}


@dataclass(frozen=True)
class Dataset:
    """A corpus as documents, its questions by id, and graded relevance: question id -> document id -> grade."""

    name: str
    documents: tuple[Document, ...]
    questions: Mapping[str, str]
    relevance: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Quality:
    """Means over the questions that have a relevant document; ms is one search in a batch, without encoding."""

    dataset: str
    system: str
    questions: int
    ndcg_at_10: float
    recall_at_10: float
    recall_at_100: float
    mrr: float
    ms: float


def read_dataset(folder: Path, qrels: Path | None = None, index_ids: bool = False) -> Dataset:
    """Reads a folder in BEIR layout. With `index_ids`, ids that look like codes become part of the title."""
    relevance: dict[str, dict[str, int]] = {}
    with (qrels or folder / "qrels" / "test.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                relevance.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return Dataset(
        name=folder.name,
        documents=tuple(_document(record, index_ids) for record in _records(folder / "corpus.jsonl")),
        questions={r["_id"]: r["text"] for r in _records(folder / "queries.jsonl")},
        relevance=relevance,
    )


def _records(path: Path) -> Iterator[dict[str, str]]:
    with path.open() as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _document(record: Mapping[str, str], index_ids: bool) -> Document:
    title, text, name = record.get("title") or "", record["text"], record["_id"]
    if title and text.startswith(title) and len(text) > len(title):
        text = text[len(title) :].strip()  # the title is the heading; twice would count twice
    if index_ids and is_identifier(name.casefold()):
        title = f"{name} {title}".strip()
    body = f"{title}\n{text}" if title else text
    section = Section(id="s1", title=title, level=1, path=(title,), start=0, end=len(body))
    return Document(
        id=name,
        title=title,
        version="0" * 12,
        family="evaluation",
        source=name,
        text=body,
        sections=(section,) if title else (),
    )


def build(dataset: Dataset, encoder: TextEncoder, out: Path, with_sentences: bool = False) -> Path:
    """Writes the corpus as one shard with the default settings; rankings do not read the sentences' vectors."""
    passages: list[Passage] = []
    for document in dataset.documents:
        passages += chunk(document, count_tokens=encoder.count_tokens)
    spans = sentence_spans(passages)
    sentences = [passages[s.passage].text[s.start : s.end] for s in spans] if with_sentences else []
    vectors = ShardVectors(
        text=encoder.encode([encoder_text(p) for p in passages]),
        sentences=encoder.encode(sentences) if sentences else np.zeros((len(spans), encoder.dimension), np.float32),
    )
    return write_shard(
        out,
        family="evaluation",
        documents=dataset.documents,
        passages=passages,
        figures=[],
        frames=[],
        vectors=vectors,
        fingerprints={"text": encoder.fingerprint, "chunker": chunker_fingerprint()},
        settings=ShardSettings(),
    ).path


def ranked_documents(result: SearchResult, document_of: Mapping[str, str]) -> list[str]:
    """Documents in the order of their best passages; folded duplicates follow the passage that stands for them."""
    found = (document_of[row] for e in result.evidence if e.kind == "passage" for row in (e.id, *e.duplicates))
    return list(dict.fromkeys(found))


def measure(dataset: Dataset, index: ReleaseIndex, vectors: Mapping[str, np.ndarray], system: str) -> Quality:
    """Scores one system on all judged questions."""
    document_of = dict(index.passages())
    judged = [q for q in dataset.questions if dataset.relevance.get(q)]
    queries = [SearchQuery(dataset.questions[q], text_vector=vectors[q], k=_PASSAGES, k_images=0) for q in judged]
    rankings = [ranked_documents(index.search(q), document_of) for q in queries]
    usual = [SearchQuery(q.text, text_vector=q.text_vector) for q in queries]
    seconds = []
    for start in range(0, len(usual), _BATCH):
        started = time.perf_counter()
        index.search_batch(usual[start : start + _BATCH])
        seconds.append((time.perf_counter() - started) / len(usual[start : start + _BATCH]))
    scored = [_scores(ranking, dataset.relevance[q]) for q, ranking in zip(judged, rankings, strict=True)]
    ndcg, recall_10, recall_100, mrr = np.mean(scored, axis=0).tolist()
    return Quality(
        dataset=dataset.name,
        system=system,
        questions=len(judged),
        ndcg_at_10=ndcg,
        recall_at_10=recall_10,
        recall_at_100=recall_100,
        mrr=mrr,
        ms=float(np.median(seconds)) * 1000,
    )


def _scores(ranking: Sequence[str], grades: Mapping[str, int]) -> tuple[float, float, float, float]:
    """nDCG@10 (linear gain, as trec_eval), recall@10, recall@100, reciprocal rank."""
    discount = 1 / np.log2(np.arange(2, 12))
    gains = np.array([grades.get(d, 0) for d in ranking[:10]], float)
    ideal = np.array(sorted(grades.values(), reverse=True)[:10], float)
    ndcg = float(gains @ discount[: len(gains)]) / float(ideal @ discount[: len(ideal)])
    places = [i for i, d in enumerate(ranking) if d in grades]
    recall_10 = sum(p < 10 for p in places) / len(grades)
    recall_100 = sum(p < 100 for p in places) / len(grades)
    return ndcg, recall_10, recall_100, 1 / (places[0] + 1) if places else 0.0


def evaluate(dataset: Dataset, encoder: TextEncoder, systems: Mapping[str, SearchSettings] = SYSTEMS) -> list[Quality]:
    """Builds the shard and measures every system on it."""
    vectors = dict(zip(dataset.questions, encoder.encode(list(dataset.questions.values())), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        shard = build(dataset, encoder, Path(folder))
        return [measure(dataset, ReleaseIndex.open([shard], 1, s), vectors, name) for name, s in systems.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    home = Path(os.environ.get("LINESIDE_HOME", ".lineside"))
    parser.add_argument("--model", type=Path, default=home / "models" / "minilm", help="folder of the sentence encoder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--index-ids", action="store_true", help="make ids that look like codes searchable")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder = load_text_encoder(options.model, runtime=Runtime(threads=options.threads))
    found = [q for f in options.folders for q in evaluate(read_dataset(f, index_ids=options.index_ids), encoder)]
    if options.json:
        print(json.dumps([asdict(q) for q in found], indent=2))
        return
    print(f"{'dataset':<16}{'system':<10}{'questions':>10}{'nDCG@10':>9}{'R@10':>8}{'R@100':>8}{'MRR':>8}{'ms':>8}")
    for q in found:
        figures = f"{q.ndcg_at_10:9.4f}{q.recall_at_10:8.3f}{q.recall_at_100:8.3f}{q.mrr:8.3f}{q.ms:8.2f}"
        print(f"{q.dataset:<16}{q.system:<10}{q.questions:>10}{figures}")


if __name__ == "__main__":
    main()
