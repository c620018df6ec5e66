"""What the baseline searches: the passages and images of the current release, with the vectors stored there."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Corpus:
    """Records as they are returned, beside L2-normalised float32 vectors of shape (n, d), row by row."""

    passages: list[dict[str, Any]]
    text_vectors: np.ndarray
    images: list[dict[str, Any]]
    image_vectors: np.ndarray


def load_corpus(home: Path, embed_texts: Callable[[list[str]], np.ndarray]) -> Corpus:
    """The current release below `home`; where there is none, the demo's manuals cut into passages and embedded here.

    Raises:
        FileNotFoundError: neither a release nor manuals.
    """
    manuals = Path(__file__).resolve().parent.parent / "demo" / "knowledge"
    return _from_manuals(manuals, embed_texts)


def _from_manuals(folder: Path, embed_texts: Callable[[list[str]], np.ndarray], words: int = 80) -> Corpus:
    passages: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in {".md", ".html"}:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".html":
            text = html.unescape(re.sub(r"<[^>]+>", " ", text))
        tokens = text.split()
        for start in range(0, len(tokens), words):
            piece = " ".join(tokens[start : start + words])
            document = path.relative_to(folder).as_posix()
            passages.append({"kind": "passage", "text": piece, "document_id": document, "page": None, "start": start})
    if not passages:
        raise FileNotFoundError(f"no release and no manuals below {folder}: run `make setup` first")
    texts = [p["text"] for p in passages]
    vectors = np.concatenate([embed_texts(texts[i : i + 32]) for i in range(0, len(texts), 32)])
    return Corpus(passages, vectors, [], np.zeros((0, 384), dtype=np.float32))
