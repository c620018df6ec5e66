"""The baseline: a retrieval service as people usually write it, competent and naive.

One FastAPI process with a synchronous handler; float32 encoders with torch's default threads; one flat FAISS index
over all passages of the release and one over its images; a lock around the models, so one request at a time; no
batching. `POST /retrieve` takes the same JSON as `POST /v1/retrieve` and returns as many passages, with text and
provenance. `python -m benchmarks.baseline_service --port 8100`.
"""

from __future__ import annotations

import argparse
import base64
import io
import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from benchmarks.corpus import Corpus, load_corpus


class Query(BaseModel):
    question: str
    image: str | None = None
    k: int = 8
    k_images: int = 4


class Models:
    """The two encoders, called one text or image at a time."""

    def __init__(self, models: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(models / "minilm", local_files_only=True)
        self.text = AutoModel.from_pretrained(models / "minilm", dtype=torch.float32, local_files_only=True).eval()
        self.processor = AutoImageProcessor.from_pretrained(models / "joint-demo", local_files_only=True)
        self.joint = AutoModel.from_pretrained(models / "joint-demo", dtype=torch.float32, local_files_only=True).eval()

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Mean pooling over tokens: `(n, 384) float32`, rows of length 1."""
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            hidden = self.text(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return torch.nn.functional.normalize(pooled, dim=-1).numpy()

    def embed_image(self, data: bytes) -> np.ndarray:
        """`(1, d) float32`, a row of length 1."""
        image = Image.open(io.BytesIO(data)).convert("RGB")
        pixels = self.processor(image, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            out = self.joint.get_image_features(pixel_values=pixels)
        return torch.nn.functional.normalize(getattr(out, "pooler_output", out), dim=-1).numpy()


def create_app(models: Models, corpus: Corpus) -> FastAPI:
    app = FastAPI(title="baseline")
    lock = threading.Lock()
    passages = _flat(corpus.text_vectors)
    images = _flat(corpus.image_vectors)

    @app.get("/readyz")
    def readyz() -> dict[str, int]:
        return {"passages": passages.ntotal, "images": images.ntotal}

    @app.post("/retrieve")
    def retrieve(query: Query) -> dict[str, Any]:
        with lock:
            scores, rows = passages.search(models.embed_texts([query.question]), query.k)
            evidence = [
                {"score": float(score), **corpus.passages[row]}
                for score, row in zip(scores[0], rows[0], strict=True)
                if row >= 0
            ]
            if query.image is not None:
                vector = models.embed_image(base64.b64decode(query.image))
                scores, rows = images.search(vector, query.k_images)
                evidence += [
                    {"score": float(score), **corpus.images[row]}
                    for score, row in zip(scores[0], rows[0], strict=True)
                    if row >= 0
                ]
        return {"evidence": [{"n": n, **item} for n, item in enumerate(evidence, start=1)]}

    return app


def _flat(vectors: np.ndarray) -> faiss.IndexFlatIP:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="LINESIDE_HOME with models/ and store/")
    parser.add_argument("--port", type=int, default=8100)
    options = parser.parse_args()
    models = Models(options.home / "models")
    app = create_app(models, load_corpus(options.home / "store"))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
