"""What the pipeline is written against: the stages, wherever they run.

On the cluster a stage is a handle to a Serve deployment, on a gateway a local object behind a micro-batcher, in a unit
test a function of a few lines.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from lineside.generation import Message, Sampling
from lineside.search.contract import SearchQuery, SearchResult, Vector


@dataclass(frozen=True, slots=True)
class QuestionVectors:
    """A question in both spaces: float32, L2-normalised; `joint` is None where the joint encoder takes no text."""

    text: Vector
    joint: Vector | None


EncodeText = Callable[[str], Awaitable[QuestionVectors]]
EncodeImage = Callable[[bytes], Awaitable[Vector]]
Search = Callable[[SearchQuery], Awaitable[SearchResult]]
Generate = Callable[[tuple[Message, ...], Sampling, str, float], AsyncGenerator[str]]


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one application.

    `search_encodes_text`: the search stage holds a question encoder of its own, so a query without vectors costs one
    hop less. `encode_text` is used all the same where an image is encoded at the same time.
    """

    encode_text: EncodeText
    encode_image: EncodeImage
    search: Search
    generate: Generate | None = None
    search_encodes_text: bool = False
