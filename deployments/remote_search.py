"""The search stage of another deployment, with the same methods as one in this process."""

from __future__ import annotations

from typing import Protocol

from ray.serve.handle import DeploymentHandle

from deployments.handles import call
from deployments.search_stage import SearchStatus
from lineside.answering.stages import QuestionVectors
from lineside.documents import Document
from lineside.search import SearchQuery, SearchResult
from lineside.shards.images import StoredImage


class Searching(Protocol):
    """What the ingress needs of a search stage, wherever it runs."""

    async def search(self, query: SearchQuery) -> SearchResult: ...

    async def encode_text(self, question: str) -> QuestionVectors: ...

    async def document(self, document_id: str, version: str | None = None) -> Document: ...

    async def image(self, image_id: str) -> StoredImage: ...

    async def status(self) -> SearchStatus: ...


class RemoteSearch:
    """Calls a Retriever deployment; raises what its methods raise, and Unavailable where no replica is there."""

    def __init__(self, retriever: DeploymentHandle) -> None:
        self._retriever = retriever

    async def search(self, query: SearchQuery) -> SearchResult:
        found: SearchResult = await call(self._retriever, "search", query, stage="retriever")
        return found

    async def encode_text(self, question: str) -> QuestionVectors:
        vectors: QuestionVectors = await call(self._retriever, "encode_text", question, stage="text_encoder")
        return vectors

    async def document(self, document_id: str, version: str | None = None) -> Document:
        found: Document = await call(self._retriever, "document", document_id, version, stage="retriever")
        return found

    async def image(self, image_id: str) -> StoredImage:
        found: StoredImage = await call(self._retriever, "image", image_id, stage="retriever")
        return found

    async def status(self) -> SearchStatus:
        status: SearchStatus = await call(self._retriever, "status", stage="retriever")
        return status
