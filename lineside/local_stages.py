"""The stages of the pipeline as objects of this process, each behind a micro-batcher; knows no torch.

A gateway, a notebook and the evaluation answer with them; where encoders and releases come from is theirs to say.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lineside.answering.stages import Generate, QuestionVectors, Search, Stages
from lineside.batching import BatchStatistics, MicroBatcher
from lineside.encoders.images import ImageLimits, read_image
from lineside.errors import ConfigurationError, NotFound, RequestError, Unavailable
from lineside.generation import Generator, Message, Sampling
from lineside.search import ReleaseIndex
from lineside.search.contract import SearchQuery, SearchResult, Vector


class EncodesQuestions(Protocol):
    """`n` questions → text rows `(n, d_text)` and joint rows `(n, d_joint)`, or None without a joint text tower."""

    def encode(self, questions: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]: ...


class EncodesImages(Protocol):
    """`n` RGB images → `(n, d_joint) float32`; `image_side` is the size in pixels that it wants."""

    @property
    def image_side(self) -> int: ...

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]: ...


class LocalEncoders:
    """Encoders of questions and, optionally, of images. The coroutines belong to one event loop.

    fingerprints: by space, `text` and where there is one `joint`: what the release must have been made with.
    """

    def __init__(
        self,
        questions: EncodesQuestions,
        images: EncodesImages | None,
        fingerprints: Mapping[str, str],
        *,
        limits: ImageLimits = ImageLimits(),
        max_batch: int = 32,
    ) -> None:
        self.fingerprints = dict(fingerprints)
        self._questions, self._images, self._limits = questions, images, limits
        self._text_batches: MicroBatcher[str, QuestionVectors] = MicroBatcher(
            self._encode_questions, max_batch=max_batch, name="text"
        )
        self._image_batches: MicroBatcher[bytes, Vector] = MicroBatcher(
            self._encode_images, max_batch=max_batch, name="image"
        )

    @property
    def encodes_images(self) -> bool:
        return self._images is not None

    async def encode_text(self, question: str) -> QuestionVectors:
        return await self._text_batches.submit(question)

    async def encode_image(self, image: bytes) -> Vector:
        """The vector of an encoded image.

        Raises:
            RequestError: it cannot be read, or is over a limit.
            Unavailable: no image encoder is configured.
        """
        return await self._image_batches.submit(image)

    def warm_up(self) -> None:
        """Compiles the encoders now, not while the first client waits."""
        self._questions.encode(["ready?"])
        if self._images is not None:
            self._images.encode_images([Image.new("RGB", (self._images.image_side, self._images.image_side))])

    def check(self, index: ReleaseIndex) -> None:
        """Whether questions can be compared with a release: vectors of different models must never meet.

        Raises:
            ConfigurationError: an encoder is not the one that made the release.
        """
        for space, ours in self.fingerprints.items():
            made_by = index.fingerprints.get(space, "")
            if ours != made_by:
                raise ConfigurationError(
                    f"release {index.release} was made with {space} encoder {made_by or '(none)'}, the configured one "
                    f"is {ours}: build a release with this model, or configure the model that made it"
                )

    def close(self) -> None:
        """Ends the threads."""
        self._text_batches.close()
        self._image_batches.close()

    def _encode_questions(self, questions: Sequence[str]) -> list[QuestionVectors]:
        text, joint = self._questions.encode(questions)
        return [QuestionVectors(row, None if joint is None else joint[i]) for i, row in enumerate(text)]

    def _encode_images(self, images: Sequence[bytes]) -> list[Vector | BaseException]:
        """An image that cannot be read fails alone, not the batch it came in."""
        if self._images is None:
            return [Unavailable("no image encoder is configured")] * len(images)
        pixels: list[Image.Image] = []
        places: list[int] = []
        refused: dict[int, RequestError] = {}
        for place, data in enumerate(images):
            try:
                pixels.append(read_image(data, self._limits, wanted_side=self._images.image_side))
                places.append(place)
            except RequestError as error:
                refused[place] = error
        rows = dict(zip(places, self._images.encode_images(pixels), strict=True)) if pixels else {}
        return [refused[place] if place in refused else rows[place] for place in range(len(images))]


class LocalSearch:
    """Search in the release that `index` gives: one release for a whole batch, whatever is swapped in meanwhile."""

    def __init__(self, index: Callable[[], ReleaseIndex], *, max_batch: int = 32) -> None:
        self._index = index
        self._batches: MicroBatcher[SearchQuery, SearchResult] = MicroBatcher(
            self._search, max_batch=max_batch, name="search"
        )

    @property
    def statistics(self) -> BatchStatistics:
        return self._batches.statistics

    async def search(self, query: SearchQuery) -> SearchResult:
        """Raises NotFound for a family that the release does not have."""
        return await self._batches.submit(query)

    def close(self) -> None:
        """Ends the thread."""
        self._batches.close()

    def _search(self, queries: Sequence[SearchQuery]) -> list[SearchResult | BaseException]:
        """A family that the release does not have is the caller's to mend."""
        index = self._index()
        known = [q for q in queries if q.family is None or q.family in index.families]
        results = iter(index.search_batch(known, waiting=self._batches.waiting) if known else ())
        return [
            next(results) if q.family is None or q.family in index.families else _unknown_family(q.family, index)
            for q in queries
        ]


def local_stages(encoders: LocalEncoders, search: Search, generator: Generator | None) -> Stages:
    """The stages for an `Answerer`; without a generator it quotes."""
    return Stages(
        encode_text=encoders.encode_text,
        encode_image=encoders.encode_image,
        search=search,
        generate=None if generator is None else _generate_with(generator),
    )


def _generate_with(generator: Generator) -> Generate:
    def generate(
        messages: tuple[Message, ...], sampling: Sampling, request_id: str, deadline_ms: float
    ) -> AsyncGenerator[str]:
        return generator.stream(messages, sampling, request_id=request_id, deadline_ms=deadline_ms)

    return generate


def _unknown_family(family: str, index: ReleaseIndex) -> NotFound:
    return NotFound(f"no family {family!r} in release {index.release}; it has {', '.join(index.families)}")
