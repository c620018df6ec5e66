"""Writes a judged corpus as one shard, as the builder writes a family: same chunker, encoder, writer and settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from index_builder.evaluation.beir import FAMILY, Corpus
from index_builder.evaluation.vector_cache import Rows, VectorCache
from ingest.chunk import DEFAULT_MAX_TOKENS, chunk, chunker_fingerprint
from lineside.documents import Passage
from lineside.encoders import TextEncoder
from lineside.shards import ShardRef, ShardSettings, ShardVectors, encoder_text, sentence_spans, write_shard

Report = Callable[[str, int, int | None], None]
"""Stage, how many are done, of how many."""


@dataclass(frozen=True, slots=True)
class CorpusShard:
    """A written corpus: where, and how many passages it became."""

    ref: ShardRef
    passages: int
    fingerprints: dict[str, str]


def write_corpus(
    corpus: Corpus,
    encoder: TextEncoder,
    cache: VectorCache,
    out: Path,
    *,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    settings: ShardSettings = ShardSettings(),
    report: Report = lambda stage, done, total: None,
) -> CorpusShard:
    """Chunks, encodes and writes the corpus below `out`.

    Raises:
        DataError: the cache cannot be used.
        ConfigurationError: no vector index reaches the recall bar within the budget.
    """
    passages: list[Passage] = []
    for number, document in enumerate(corpus.documents, start=1):
        passages += chunk(document, count_tokens=encoder.count_tokens, max_tokens=max_tokens)
        report("documents cut", number, len(corpus.documents))
    text = encode_texts([encoder_text(p) for p in passages], encoder, cache, "passages encoded", report)
    spans = sentence_spans(passages)
    quoted = [passages[span.passage].text[span.start : span.end] for span in spans]
    sentences = encode_texts(quoted, encoder, cache, "sentences encoded", report)
    report("passages indexed", 0, len(passages))
    fingerprints = {"text": encoder.fingerprint, "joint": "", "chunker": chunker_fingerprint(max_tokens)}
    ref = write_shard(
        out,
        family=FAMILY,
        documents=corpus.documents,
        passages=passages,
        figures=[],
        frames=[],
        vectors=ShardVectors(text=text, sentences=sentences),
        fingerprints=fingerprints,
        settings=settings,
    )
    report("passages indexed", len(passages), len(passages))
    return CorpusShard(ref, len(passages), fingerprints)


def encode_texts(
    texts: Sequence[str],
    encoder: TextEncoder,
    cache: VectorCache,
    stage: str = "texts encoded",
    report: Report = lambda stage, done, total: None,
) -> Rows:
    """Vectors of the texts, from the cache where they are known."""
    return cache.rows(
        [text.encode() for text in texts],
        lambda places: encoder.encode([texts[place] for place in places]),
        lambda done, total: report(stage, done, total),
    )
