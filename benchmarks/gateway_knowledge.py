"""A release as large as a plant's: real passages of manuals, repeated with other numbers and words, with their vectors.

Every copy of a document has its own digits and, here and there, its own words, all of the same length, so that spans,
sections and sizes stay those of real text. Its vectors are those of the original with noise, as those of a revised
manual would be. Rows have a text vector (384) and a joint vector (512), passages have their sentences as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ingest.chunk import chunk, chunker_fingerprint
from ingest.limits import ParseLimits
from ingest.parse import is_document, parse
from ingest.source import SourceFile, read_folder
from lineside.documents import Document, Passage, passage_id
from lineside.encoders import QuestionEncoder
from lineside.releases import Catalogue
from lineside.shards import ShardRef, ShardVectors, encoder_text, sentence_spans, write_shard

SHARED: Final = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
FAMILIES: Final = 4
_NOISE: Final = 0.15
_EVERY: Final = 12


@dataclass(frozen=True)
class Base:
    """Documents and their passages, with float32 rows: text (n, 384), joint (n, 512), sentences (s, 384)."""

    documents: list[Document]
    passages: list[list[Passage]]
    text: np.ndarray
    joint: np.ndarray
    sentences: np.ndarray


def questions() -> list[str]:
    """Questions that people asked of one of the manuals.

    Raises:
        FileNotFoundError: the data folder is not beside the repository.
    """
    lines = (SHARED / "s10_manual" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def build(store: Path, rows: int, encoder: QuestionEncoder, *, documents: int = 400) -> None:
    """Publishes a release of about `rows` rows in `FAMILIES` shards.

    Raises:
        FileNotFoundError: the data folder is not beside the repository.
    """
    base = _base(encoder, documents)
    copies = max(FAMILIES, round(rows / len(base.text)))
    catalogue = Catalogue(store)
    fingerprints = {
        "text": encoder.text.fingerprint,
        "joint": "" if encoder.joint is None else encoder.joint.fingerprint,
        "chunker": chunker_fingerprint(160),
    }
    shards = []
    for number in range(FAMILIES):
        family = f"line-{number + 1}"
        mine = [copy for copy in range(copies) if copy % FAMILIES == number]
        print(f"writing {family}: {len(mine) * len(base.text):,} rows ...", flush=True)
        shards.append((family, _write(catalogue.shards_root, family, base, mine, fingerprints)))
    catalogue.publish(shards, fingerprints={"text": fingerprints["text"], "joint": fingerprints["joint"]})


def sources() -> Iterator[SourceFile]:
    """The manual that questions exist for, section by section, then the files of a larger one."""
    for line in (SHARED / "s10_manual" / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        section = json.loads(line)
        text = f"# {section['title']}\n\n{section['text']}\n"
        yield SourceFile(f"s10/{section['_id']}.md", text.encode())
    yield from read_folder(SHARED / "marlin", ParseLimits())


def _base(encoder: QuestionEncoder, documents: int) -> Base:
    found: list[Document] = []
    for source in sources():
        if is_document(source.path) and len(found) < documents + 450:
            found += parse(source).documents
    passages = [chunk(document, count_tokens=encoder.text.count_tokens, max_tokens=160) for document in found]
    flat = [passage for part in passages for passage in part]
    print(f"encoding {len(flat):,} passages of {len(found):,} documents ...", flush=True)
    text, joint = encoder.encode([encoder_text(passage) for passage in flat])
    if joint is None:
        raise ValueError("the joint encoder has no text tower")
    spans = sentence_spans(flat)
    sentences = encoder.text.encode([flat[s.passage].text[s.start : s.end] for s in spans])
    return Base(found, passages, text, joint, sentences)


def _write(root: Path, family: str, base: Base, copies: list[int], fingerprints: dict[str, str]) -> ShardRef:
    documents, passages = [], []
    for copy in copies:
        for document, parts in zip(base.documents, base.passages, strict=True):
            text = varied(document.text, copy)
            renamed = f"{document.id}.{copy}"
            documents.append(document.model_copy(update={"id": renamed, "family": family, "text": text}))
            for part in parts:
                own = text[part.start : part.end]
                changes = {
                    "id": passage_id(renamed, part.start, own),
                    "document_id": renamed,
                    "family": family,
                    "text": own,
                }
                passages.append(part.model_copy(update=changes))
    rng = np.random.default_rng(copies[0])
    # Sentences are cut again: a changed digit may join or split one. Their vectors are drawn from the real ones.
    spans = sentence_spans(passages)
    drawn = base.sentences[np.arange(len(spans)) % len(base.sentences)]
    vectors = ShardVectors(
        text=_noisy(np.tile(base.text, (len(copies), 1)), rng),
        sentences=drawn,
        joint=_noisy(np.tile(base.joint, (len(copies), 1)), rng),
        joint_rows=np.arange(len(passages), dtype=np.int32),
    )
    return write_shard(
        root,
        family=family,
        documents=documents,
        passages=passages,
        figures=[],
        frames=[],
        vectors=vectors,
        fingerprints=fingerprints,
    )


def varied(text: str, copy: int) -> str:
    """The same text with other digits and other words in places; copy 0 is the original. The length stays."""
    if not copy:
        return text
    digits = str.maketrans({str(d): str((d + copy) % 10) for d in range(10)})
    letters = str.maketrans(dict(zip("aeiou", _rotated("aeiou", copy), strict=True)))
    words = text.translate(digits).split(" ")
    return " ".join(w.translate(letters) if n % _EVERY == copy % _EVERY else w for n, w in enumerate(words))


def _rotated(letters: str, by: int) -> str:
    by = 1 + by % (len(letters) - 1)
    return letters[by:] + letters[:by]


def _noisy(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(rows.shape, np.float32)
    noise *= _NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    out = rows + noise
    return out / np.linalg.norm(out, axis=1, keepdims=True)
