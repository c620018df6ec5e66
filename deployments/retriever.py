"""Retriever: batched hybrid search over the current release, as a deployment of its own."""

from __future__ import annotations

from typing import Any

from ray import serve

from deployments.process import start_process
from deployments.search_stage import SearchStage, SearchStatus
from deployments.settings import EncoderSettings, RetrieverLimits, read_user_config
from lineside.answering.stages import QuestionVectors
from lineside.documents import Document
from lineside.releases.settings import CacheSettings
from lineside.search import SearchQuery, SearchResult, SearchSettings
from lineside.shards.images import StoredImage


@serve.deployment
class Retriever:
    """A search stage that scales by itself; idle where the stage is placed inside the ingress."""

    def __init__(
        self,
        store: str,
        cache: CacheSettings,
        search: SearchSettings,
        text: EncoderSettings,
        joint: EncoderSettings,
        encodes_text: bool,
    ) -> None:
        start_process()
        self._stage = SearchStage(store, cache, search, text, joint, encodes_text)

    def reconfigure(self, config: dict[str, Any]) -> None:
        self._stage.configure(read_user_config(RetrieverLimits, config))

    async def search(self, query: SearchQuery) -> SearchResult:
        """See `SearchStage.search`."""
        return await self._stage.search(query)

    async def encode_text(self, question: str) -> QuestionVectors:
        """See `SearchStage.encode_text`."""
        return await self._stage.encode_text(question)

    async def document(self, document_id: str, version: str | None = None) -> Document:
        """See `SearchStage.document`."""
        return await self._stage.document(document_id, version)

    async def image(self, image_id: str) -> StoredImage:
        """See `SearchStage.image`."""
        return await self._stage.image(image_id)

    async def status(self) -> SearchStatus:
        """See `SearchStage.status`."""
        return await self._stage.status()
