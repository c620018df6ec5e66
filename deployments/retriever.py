"""Retriever: batched hybrid search over the current release; a new release is loaded beside the old one and swapped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from ray import serve

from deployments.process import start_process
from deployments.settings import EncoderSettings, RetrieverLimits, read_user_config
from deployments.text_encoder import encode_questions, load_question_encoder
from lineside.answering.stages import QuestionVectors
from lineside.batching import MicroBatcher
from lineside.documents import Document
from lineside.errors import ConfigurationError, DataError, LinesideError, NotFound, RequestError
from lineside.releases import Catalogue
from lineside.search import SearchQuery, SearchResult, SearchSettings
from lineside.shards.images import StoredImage

if TYPE_CHECKING:
    from lineside.encoders import QuestionEncoder
    from lineside.search import ReleaseIndex

log = structlog.get_logger("lineside.retriever")


@dataclass(frozen=True, slots=True)
class RetrieverStatus:
    """What a replica serves; `refused` says why a newer release is not served."""

    release: int
    rows: int
    batches: int
    mean_batch: float
    refused: str | None = None


@serve.deployment
class Retriever:
    """One release in memory. Every batch is searched in one release, so no reply mixes two."""

    def __init__(
        self, store: Path, search: SearchSettings, text: EncoderSettings, joint: EncoderSettings, encodes_text: bool
    ) -> None:
        start_process()
        self._settings = search
        self._catalogue = Catalogue(store)
        self._encoder: QuestionEncoder | None = load_question_encoder(text, joint) if encodes_text else None
        self._index = self._load(self._catalogue.current().number)
        self._refused: str | None = None
        self._limits = RetrieverLimits()
        self._batcher: MicroBatcher[SearchQuery, SearchResult] = MicroBatcher(self._search, name="search")
        self._text_batcher: MicroBatcher[str, QuestionVectors] = MicroBatcher(self._encode, name="text")
        self._search([SearchQuery(text="warm up")])
        self._polling: asyncio.Task[None] | None = None

    def reconfigure(self, config: dict[str, Any]) -> None:
        self._limits = read_user_config(RetrieverLimits, config)
        self._batcher.max_batch = self._text_batcher.max_batch = self._limits.max_batch

    async def search(self, query: SearchQuery) -> SearchResult:
        """Evidence, scored sentences and signals for one question; raises NotFound for an unknown family.

        A query without vectors is encoded first, by a batcher of its own: one batch is encoded while another is
        searched.
        """
        self._poll()
        if query.text_vector is not None or self._encoder is None:
            return await self._batcher.submit(query)
        started = time.perf_counter()
        vectors = await self._text_batcher.submit(query.text)
        encoded_ms = (time.perf_counter() - started) * 1000
        result = await self._batcher.submit(replace(query, text_vector=vectors.text, joint_text_vector=vectors.joint))
        return replace(result, stages_ms={"encode_text": encoded_ms, **result.stages_ms})

    async def encode_text(self, question: str) -> QuestionVectors:
        """Vectors of a question, where the text encoder is placed here."""
        return await self._text_batcher.submit(question)

    async def document(self, document_id: str) -> Document:
        """A document of the current release; raises NotFound."""
        return await asyncio.to_thread(self._index.document, document_id)

    async def image(self, image_id: str) -> StoredImage:
        """A figure or a frame's thumbnail; raises NotFound."""
        return await asyncio.to_thread(self._index.image, image_id)

    async def status(self) -> RetrieverStatus:
        """What is served now."""
        self._poll()
        counted = self._batcher.statistics
        return RetrieverStatus(
            release=self._index.release,
            rows=len(self._index),
            batches=counted.batches,
            mean_batch=round(counted.items / max(1, counted.batches), 2),
            refused=self._refused,
        )

    def _encode(self, questions: Sequence[str]) -> list[QuestionVectors]:
        if self._encoder is None:
            raise ConfigurationError("the text encoder is not placed in the retriever")
        return encode_questions(self._encoder, questions)

    def _search(self, queries: Sequence[SearchQuery]) -> list[SearchResult | BaseException]:
        index = self._index  # one release for the whole batch, whatever is swapped in meanwhile
        known = set(index.families)
        unknown: dict[int, RequestError] = {
            place: NotFound(f"family {query.family!r} is not known; there are: {', '.join(sorted(known))}")
            for place, query in enumerate(queries)
            if query.family is not None and query.family not in known
        }
        found = iter(index.search_batch([query for place, query in enumerate(queries) if place not in unknown]))
        return [unknown[place] if place in unknown else next(found) for place in range(len(queries))]

    def _poll(self) -> None:
        """Starts watching the catalogue; done here because a constructor has no running loop to start it on."""
        if self._polling is None or self._polling.done():
            self._polling = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._limits.poll_s)
            try:
                number = (await asyncio.to_thread(self._catalogue.current)).number
                if number != self._index.release:
                    self._index = await asyncio.to_thread(self._load, number)
                    log.info("release_swapped", release=number, rows=len(self._index))
                self._refused = None
            except LinesideError as error:
                if str(error) != self._refused:
                    log.error("release_refused", serving=self._index.release, reason=str(error))
                self._refused = str(error)

    def _load(self, number: int) -> ReleaseIndex:
        from lineside.search import ReleaseIndex  # loads FAISS

        release = self._catalogue.get(number)
        index = ReleaseIndex.open(self._catalogue.paths(release), number, self._settings)
        if self._encoder is not None:
            made, ours = index.fingerprints, self._encoder.text.fingerprint
            if made.get("text") != ours:
                raise DataError(
                    f"release {number} was made with text encoder {made.get('text')}, this service runs {ours}: "
                    "re-index, or configure the encoder that made it"
                )
        return index
