"""The whole application in one process, without Ray: what a gateway, a notebook and the evaluation answer with."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import TracebackType

from PIL import Image

from lineside.answering.pipeline import Answerer
from lineside.answering.settings import AnsweringSettings
from lineside.answering.stages import Generate, QuestionVectors, Stages
from lineside.batching import MicroBatcher
from lineside.documents import Document
from lineside.encoders import (
    ImageLimits,
    JointEncoder,
    QuestionEncoder,
    Runtime,
    TextEncoder,
    load_joint_encoder,
    load_text_encoder,
    read_image,
)
from lineside.errors import ConfigurationError, NotFound, RequestError, Unavailable
from lineside.generation import Generator, Message, Sampling
from lineside.objects import open_store
from lineside.releases import Catalogue
from lineside.releases.follower import ReleaseFollower
from lineside.releases.settings import CacheSettings
from lineside.search import ReleaseIndex, SearchSettings
from lineside.search.contract import SearchQuery, SearchResult, Vector
from lineside.shards.images import StoredImage


def lineside_home() -> Path:
    """The local data directory: `$LINESIDE_HOME`, or `.lineside` below the current directory."""
    return Path(os.environ.get("LINESIDE_HOME") or ".lineside").absolute()


class LocalApplication:
    """Encoders, the current release of a catalogue and optionally a language model, each behind a micro-batcher.

    Its coroutines belong to one event loop. `refresh` follows the catalogue; requests under way keep the release that
    they were searched in.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        text: TextEncoder,
        joint: JointEncoder | None = None,
        generator: Generator | None = None,
        *,
        search: SearchSettings = SearchSettings(),
        answering: AnsweringSettings = AnsweringSettings(),
        limits: ImageLimits = ImageLimits(),
        cache: CacheSettings | None = None,
        max_batch: int = 32,
    ) -> None:
        """Opens the current release; where it cannot be had, the last one that was in use on this machine.

        Args:
            cache: where shards of a store elsewhere are kept, and which release was good; None: nowhere, which a
                store in a folder can do without.

        Raises:
            NotFound: nothing has been published.
            StoreUnavailable: the store does not answer, and no release was in use before.
            ConfigurationError: the release was made with other encoders than these.
            DataError: the catalogue or a shard is damaged.
        """
        self._text, self._joint, self._generator = text, joint, generator
        self._questions = QuestionEncoder(text, joint)
        self._limits = limits
        self.releases = ReleaseFollower(
            catalogue,
            search,
            cache=cache,
            check=lambda index: check_fingerprints(index, text, joint),
        )
        self._warm_up()
        self._text_batches: MicroBatcher[str, QuestionVectors] = MicroBatcher(
            self._encode_questions, max_batch=max_batch, name="text"
        )
        self._image_batches: MicroBatcher[bytes, Vector] = MicroBatcher(
            self._encode_images, max_batch=max_batch, name="image"
        )
        self._search_batches: MicroBatcher[SearchQuery, SearchResult] = MicroBatcher(
            self._search, max_batch=max_batch, name="search"
        )
        self.answerer = Answerer(self.stages, answering)

    @classmethod
    def load(
        cls,
        home: Path,
        generator: Generator | None = None,
        *,
        store: str | Path | None = None,
        text_model: str | Path = "minilm",
        joint_model: str | Path | None = "joint-demo",
        runtime: Runtime = Runtime(),
        search: SearchSettings = SearchSettings(),
        answering: AnsweringSettings = AnsweringSettings(),
    ) -> LocalApplication:
        """Models of `home/models` (or at absolute paths) with the catalogue in `store`: a folder or an `s3://` URL.

        Without `store`, it is the folder `home/store`.

        Raises:
            ConfigurationError: a model is missing, or not the one that made the release.
            NotFound: nothing has been published.
            DataError: the catalogue or a shard is damaged.
        """
        models = home / "models"
        text = load_text_encoder(models / text_model, runtime=runtime)
        joint = None if joint_model is None else load_joint_encoder(models / joint_model, runtime=runtime)
        catalogue = Catalogue(open_store(home / "store" if store is None else store))
        cache = CacheSettings(folder=home / "cache")
        return cls(catalogue, text, joint, generator, search=search, answering=answering, cache=cache)

    @property
    def stages(self) -> Stages:
        """The stages for an `Answerer`."""
        return Stages(
            encode_text=self._text_batches.submit,
            encode_image=self._image_batches.submit,
            search=self._search_batches.submit,
            generate=None if self._generator is None else _generate_with(self._generator),
        )

    @property
    def index(self) -> ReleaseIndex:
        """The release that is searched now."""
        return self.releases.index

    def refresh(self) -> bool:
        """Opens the catalogue's current release if it is not the one in use; blocks meanwhile. Whether it changed.

        `releases.start()` does this again and again in a thread.

        Raises:
            LinesideError: the new release cannot be had or used; the old one stays in use.
        """
        return self.releases.refresh()

    async def document(self, document_id: str, version: str | None = None) -> Document:
        """A document, in the version that was cited if one is given; raises NotFound."""
        return self.releases.document(document_id, version)

    async def image(self, image_id: str) -> StoredImage:
        """A figure or a frame's thumbnail; raises NotFound."""
        return self.releases.image(image_id)

    def close(self) -> None:
        """Ends the threads and the language model."""
        self.releases.stop()
        for batcher in (self._text_batches, self._image_batches, self._search_batches):
            batcher.close()
        if self._generator is not None:
            self._generator.close()

    def __enter__(self) -> LocalApplication:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _warm_up(self) -> None:
        """Compiles the encoders now, not while the first client waits."""
        self._questions.encode(["ready?"])
        if self._joint is not None:
            self._joint.encode_images([Image.new("RGB", (self._joint.image_side, self._joint.image_side))])

    def _encode_questions(self, questions: Sequence[str]) -> list[QuestionVectors]:
        text, joint = self._questions.encode(questions)
        return [QuestionVectors(row, None if joint is None else joint[i]) for i, row in enumerate(text)]

    def _encode_images(self, images: Sequence[bytes]) -> list[Vector | BaseException]:
        """An image that cannot be read fails alone, not the batch it came in."""
        if self._joint is None:
            return [Unavailable("no image encoder is configured")] * len(images)
        pixels: list[Image.Image] = []
        places: list[int] = []
        refused: dict[int, RequestError] = {}
        for place, data in enumerate(images):
            try:
                pixels.append(read_image(data, self._limits, wanted_side=self._joint.image_side))
                places.append(place)
            except RequestError as error:
                refused[place] = error
        rows = dict(zip(places, self._joint.encode_images(pixels), strict=True)) if pixels else {}
        return [refused[place] if place in refused else rows[place] for place in range(len(images))]

    def _search(self, queries: Sequence[SearchQuery]) -> list[SearchResult | BaseException]:
        """A family that the release does not have is the caller's to mend."""
        index = self.releases.index  # one release for the whole batch, whatever is swapped in meanwhile
        known = [q for q in queries if q.family is None or q.family in index.families]
        results = iter(index.search_batch(known, waiting=self._search_batches.waiting) if known else ())
        return [
            next(results) if q.family is None or q.family in index.families else _unknown_family(q.family, index)
            for q in queries
        ]


def check_fingerprints(index: ReleaseIndex, text: TextEncoder, joint: JointEncoder | None) -> None:
    """Whether questions can be compared with the release: vectors of different models must never meet.

    Raises:
        ConfigurationError: an encoder is not the one that made the release.
    """
    for space, encoder in (("text", text), ("joint", joint)):
        made_by = index.fingerprints.get(space, "")
        if encoder is not None and encoder.fingerprint != made_by:
            raise ConfigurationError(
                f"release {index.release} was made with {space} encoder {made_by or '(none)'}, the configured one is "
                f"{encoder.fingerprint}: build a release with this model, or configure the model that made it"
            )


def _generate_with(generator: Generator) -> Generate:
    def generate(
        messages: tuple[Message, ...], sampling: Sampling, request_id: str, deadline_ms: float
    ) -> AsyncGenerator[str]:
        return generator.stream(messages, sampling, request_id=request_id, deadline_ms=deadline_ms)

    return generate


def _unknown_family(family: str, index: ReleaseIndex) -> NotFound:
    return NotFound(f"no family {family!r} in release {index.release}; it has {', '.join(index.families)}")
