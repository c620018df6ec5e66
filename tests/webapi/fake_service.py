"""An application without models: plain functions for stages, one document, one image; it ranks nothing."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from lineside.answering.pipeline import Answerer
from lineside.answering.stages import QuestionVectors, Stages
from lineside.documents import Document, Page, Section
from lineside.errors import NotFound
from lineside.schema import Evidence
from lineside.search.contract import ScoredSentence, SearchQuery, SearchResult, Signals, Vector
from lineside.shards.images import StoredImage
from webapi.service import Readiness, Status

TEXT = "Bearings\nThe bearing temperature limit is 95 °C. Stop the motor above 105 °C.\n"


def png(width: int = 16, height: int = 16) -> bytes:
    """A small grey PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "grey").save(buffer, "PNG")
    return buffer.getvalue()


class FakeService:
    """Answers every question from one passage; remembers what it was asked."""

    def __init__(self) -> None:
        self.queries: list[SearchQuery] = []
        self.images: list[bytes] = []
        self.before_search: Callable[[], object] = lambda: None
        self.ready = True
        self.answerer = Answerer(Stages(self._encode_text, self._encode_image, self._search))

    async def _encode_text(self, question: str) -> QuestionVectors:
        return QuestionVectors(np.ones(4, np.float32) / 2, None)

    async def _encode_image(self, image: bytes) -> Vector:
        self.images.append(image)
        return np.ones(4, np.float32) / 2

    async def _search(self, query: SearchQuery) -> SearchResult:
        outcome = self.before_search()
        if hasattr(outcome, "__await__"):
            await outcome
        self.queries.append(query)
        passage = TEXT.splitlines()[1]
        evidence = Evidence(
            n=1,
            id="p1",
            kind="passage",
            family="drive",
            score=1.0,
            text=passage,
            document_id="drive.manual.md",
            title="Drive manual",
            source="drive/manual.md",
            section_path=("Bearings",),
            url="/v1/documents/drive.manual.md/sections/s1?start=9&end=48",
        )
        first = passage.index(".") + 1
        spans = [(0, first), (first + 1, len(passage))]
        return SearchResult(
            release=3,
            evidence=(evidence,),
            sentences=tuple(ScoredSentence(1, start, end, 0.9, 0.9, 0.9) for start, end in spans),
            labels=(),
            signals=Signals(dense=0.9, coverage=1.0, unknown_terms=(), missing_identifiers=(), answerability=1.0),
            stages_ms={"rank": 0.1},
        )

    async def document(self, document_id: str, version: str | None = None) -> Document:
        if document_id != "drive.manual.md" or version not in (None, "0123456789ab"):
            raise NotFound(f"no document {document_id} in release 3")
        return Document(
            id=document_id,
            title="Drive <manual>",
            version="0123456789ab",
            family="drive",
            source="drive/manual.md",
            text=TEXT,
            pages=(Page(number=1, start=0, end=len(TEXT)),),
            sections=(Section(id="s1", title="Bearings", level=1, path=("Bearings",), start=0, end=len(TEXT)),),
        )

    async def image(self, image_id: str) -> StoredImage:
        if image_id != "f1":
            raise NotFound(f"no passage, figure or frame {image_id}")
        return StoredImage(data=png(), media_type="image/png")

    async def status(self) -> Status:
        return Status(release=3, rows=1, mean_batch=1.0, generating=0)

    async def readiness(self) -> Readiness:
        stages = {"retriever": "ready" if self.ready else "loading"}
        return Readiness(ready=self.ready, stages=stages, release=3 if self.ready else None)
