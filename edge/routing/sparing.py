"""Stages that do less while the gateway spares itself: quicker encoders, and wider searches to make up for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge.routing.health import Level
from lineside.answering.stages import EncodeImage, EncodeText, QuestionVectors, Stages
from lineside.search.contract import SearchQuery, SearchResult, Vector


@dataclass(frozen=True, slots=True)
class QuickEncoders:
    """Encoders of less precision on the CPU; their vectors are compared with the same index."""

    encode_text: EncodeText
    encode_image: EncodeImage | None = None


def sparing(stages: Stages, quick: QuickEncoders, level: Callable[[], Level], widening: float) -> Stages:
    """The stages, with `quick` in place of their encoders from level SAVING on.

    int8 vectors lie a little beside those of the index (cosine 0.99 to 0.997), so that a neighbour may be in a list
    that is not probed: `widening` is the factor on the time in which the search chooses its effort then.
    """
    encode_image = quick.encode_image or stages.encode_image

    async def text(question: str) -> QuestionVectors:
        return await (quick.encode_text if level() >= Level.SAVING else stages.encode_text)(question)

    async def image(data: bytes) -> Vector:
        return await (encode_image if level() >= Level.SAVING else stages.encode_image)(data)

    async def search(query: SearchQuery) -> SearchResult:
        if level() >= Level.SAVING and query.budget_ms is not None:
            query = replace(query, budget_ms=query.budget_ms * widening)
        return await stages.search(query)

    return replace(stages, encode_text=text, encode_image=image, search=search)
