"""The search stage of one process: question encoder and current release behind one micro-batcher.

The Retriever deployment holds one; so does the ingress where `placement.retriever` is `ingress`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployments.settings import EncoderSettings, RetrieverLimits
from deployments.text_encoder import encode_questions, load_question_encoder
from lineside.answering.stages import QuestionVectors
from lineside.batching import MicroBatcher
from lineside.documents import Document
from lineside.encoders.model_folder import joint_fingerprint, text_fingerprint
from lineside.errors import ConfigurationError, DataError, NotFound
from lineside.objects import StoreLimits, open_store
from lineside.releases import Catalogue
from lineside.releases.follower import ReleaseFollower
from lineside.releases.settings import CacheSettings
from lineside.search import SearchQuery, SearchResult, SearchSettings
from lineside.shards.images import StoredImage

if TYPE_CHECKING:
    from lineside.encoders import QuestionEncoder
    from lineside.search import ReleaseIndex

# A poll that fails is repeated by the next one: the store's own patience would only delay it.
_PATIENCE = StoreLimits(connect_s=3, request_s=20, retries=2, retry_s=6)


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """What a search stage serves.

    `refused` says why the wanted release is not served, `outage` why the store could not be asked, `fault` what went
    wrong unforeseen while following, `pinned` which release `user_config` asks for.
    """

    release: int
    rows: int
    batches: int
    mean_batch: float
    refused: str | None = None
    outage: str | None = None
    pinned: int | None = None
    fault: str | None = None


class SearchStage:
    """One release in memory. Every batch is searched in one release, so no reply mixes two."""

    def __init__(
        self,
        store: str,
        cache: CacheSettings,
        search: SearchSettings,
        text: EncoderSettings,
        joint: EncoderSettings,
        encodes_text: bool,
    ) -> None:
        self._encoder: QuestionEncoder | None = load_question_encoder(text, joint) if encodes_text else None
        self._fingerprints = {"text": text_fingerprint(text.model), "joint": joint_fingerprint(joint.model)}
        self._releases = ReleaseFollower(
            Catalogue(open_store(store, _PATIENCE)), search, cache=cache, check=self._check_fingerprints
        )
        self._settled = False
        self._batcher: MicroBatcher[SearchQuery, SearchResult] = MicroBatcher(
            self._search, workers=text.runtime.streams if encodes_text else 1, name="search"
        )
        self._text_batcher: MicroBatcher[str, QuestionVectors] = MicroBatcher(self._encode, name="text")
        self._releases.start()

    def configure(self, limits: RetrieverLimits) -> None:
        """Changes what may change while requests are served; the first call opens the release that is asked for."""
        self._batcher.max_batch = self._text_batcher.max_batch = limits.max_batch
        self._releases.configure(poll_s=limits.poll_s, pin=limits.release)
        if not self._settled:  # no request comes before the first call returns: none is answered from another release
            self._releases.settle()
            self._settled = True

    async def search(self, query: SearchQuery) -> SearchResult:
        """Evidence, scored sentences and signals for one question; raises NotFound for an unknown family.

        A query without vectors is encoded first, in the same batch.
        """
        return await self._batcher.submit(query)

    async def encode_text(self, question: str) -> QuestionVectors:
        """Vectors of a question, where the text encoder is placed here."""
        return await self._text_batcher.submit(question)

    async def document(self, document_id: str, version: str | None = None) -> Document:
        """A document, in the version that was cited if one is given; raises NotFound."""
        return await asyncio.to_thread(self._releases.document, document_id, version)

    async def image(self, image_id: str) -> StoredImage:
        """A figure or a frame's thumbnail; raises NotFound."""
        return await asyncio.to_thread(self._releases.image, image_id)

    async def status(self) -> SearchStatus:
        """What is served now."""
        counted, index, following = self._batcher.statistics, self._releases.index, self._releases.status
        return SearchStatus(
            release=index.release,
            rows=len(index),
            batches=counted.batches,
            mean_batch=round(counted.items / max(1, counted.batches), 2),
            refused=following.refused,
            outage=following.outage,
            pinned=following.pinned,
            fault=following.fault,
        )

    def _encode(self, questions: Sequence[str]) -> list[QuestionVectors]:
        if self._encoder is None:
            raise ConfigurationError("the text encoder is not placed in the retriever")
        return encode_questions(self._encoder, questions)

    def _search(self, queries: Sequence[SearchQuery]) -> list[SearchResult | BaseException]:
        index = self._releases.index  # one release for the whole batch, whatever is swapped in meanwhile
        known = set(index.families)
        found: list[SearchResult | BaseException] = [
            NotFound(f"family {query.family!r} is not known; there are: {', '.join(sorted(known))}")
            for query in queries
        ]
        places = [place for place, query in enumerate(queries) if query.family is None or query.family in known]
        complete, encode_ms = self._encoded([queries[place] for place in places])
        for place, result in zip(places, index.search_batch(complete, waiting=self._batcher.waiting), strict=True):
            if encode_ms and queries[place].text_vector is None:
                result.stages_ms["encode_text"] = encode_ms
            found[place] = result
        return found

    def _encoded(self, queries: Sequence[SearchQuery]) -> tuple[list[SearchQuery], float]:
        """The queries with vectors where an encoder is placed here, and the milliseconds that the batch took."""
        complete = list(queries)
        bare = [place for place, query in enumerate(queries) if query.text_vector is None]
        if self._encoder is None or not bare:
            return complete, 0.0
        started = time.perf_counter()
        for place, vectors in zip(bare, self._encode([queries[place].text for place in bare]), strict=True):
            complete[place] = replace(queries[place], text_vector=vectors.text, joint_text_vector=vectors.joint)
        return complete, (time.perf_counter() - started) * 1000

    def _check_fingerprints(self, index: ReleaseIndex) -> None:
        """Vectors of different models must never meet; a release may lack a space."""
        for space, ours in self._fingerprints.items():
            made = index.fingerprints.get(space)
            if made and made != ours:
                raise DataError(
                    f"release {index.release} was made with {space} encoder {made}, this service runs {ours}: "
                    "re-index, or configure the encoder that made it"
                )
