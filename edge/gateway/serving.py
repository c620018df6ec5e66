"""One release with all that answers from it: index, encoders and language model, warm. A request keeps to one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from edge.gateway.encoders import load_encoders
from edge.gateway.settings import EncoderSettings, GatewaySettings, WriterSettings, model_place
from edge.gateway.shared import Shared
from edge.routing import Level
from edge.routing.sparing import QuickEncoders, sparing
from edge.sync import OpenRelease
from lineside.answering.pipeline import Answerer
from lineside.answering.prompt import PromptSettings
from lineside.answering.stages import Search
from lineside.documents import Document
from lineside.encoders.images import ImageLimits
from lineside.errors import ConfigurationError
from lineside.generation import Generator
from lineside.generation.llamacpp import LlamaCppGenerator, LlamaCppSettings
from lineside.local_stages import LocalEncoders, LocalSearch, local_stages
from lineside.releases.opened import cited_document, cited_image, warm_up
from lineside.search import ReleaseIndex
from lineside.shards.images import StoredImage

WrapSearch = Callable[[Search, "Serving"], Search]


class Serving:
    """Opens a release; models that have not changed are taken over from the `before` one.

    Opening blocks for as long as models load; the coroutines of `answerer` and `encoders` belong to one event loop.
    """

    def __init__(
        self,
        release: OpenRelease,
        settings: GatewaySettings,
        before: Serving | None = None,
        *,
        wrap_search: WrapSearch | None = None,
        level: Callable[[], Level] = lambda: Level.NORMAL,
    ) -> None:
        """`level` says how far the gateway spares itself now; `wrap_search` adds to the search.

        Raises:
            ConfigurationError: a model is missing, or is not the one that made the release.
        """
        if settings.encoders is None:
            raise ConfigurationError("gateway.yaml has no `encoders`: name those that made the knowledge")
        self.publication = release.publication
        self.index = ReleaseIndex(release.shards, release.release, settings.search)
        with ExitStack() as undo:
            self._encoders_from = _encoder_places(settings.encoders, release.models)
            self._encoders: tuple[Shared[LocalEncoders], ...]
            if before is not None and before._encoders_from == self._encoders_from:
                self._encoders = tuple(held.hold() for held in before._encoders)
            else:
                self._encoders = _load_all(settings.encoders, release.models, settings.http.limits.image)
            for held in self._encoders:
                undo.callback(held.let_go)
            self.encoders.check(self.index)
            self._writer_from = None if settings.writer is None else _gguf(settings.writer, release.models)
            self._writer: Shared[Generator] | None = None
            if settings.writer is not None and self._writer_from is not None:
                if before is not None and before._writer is not None and before._writer_from == self._writer_from:
                    self._writer = before._writer.hold()
                else:
                    self._writer = Shared(_load_writer(settings.writer, self._writer_from))
                undo.callback(self._writer.let_go)
            warm_up(self.index)
            undo.pop_all()
        self._searching = LocalSearch(lambda: self.index, max_batch=settings.encoders.max_batch)
        self.search: Search = self._searching.search
        if wrap_search is not None:
            self.search = wrap_search(self.search, self)
        prompt = PromptSettings()
        if settings.writer is not None:
            prompt = PromptSettings(
                max_sentences=settings.writer.prompt_sentences, max_note_chars=settings.writer.prompt_chars
            )
        stages = local_stages(self.encoders, self.search, None if self._writer is None else self._writer.value)
        if len(self._encoders) > 1 and settings.routing is not None:
            quick = self._encoders[1].value
            images = quick.encode_image if quick.encodes_images else None
            widening = settings.routing.health.search_widening
            stages = sparing(stages, QuickEncoders(quick.encode_text, images), level, widening)
        self.answerer = Answerer(stages, settings.answering, prompt=prompt)

    @property
    def release(self) -> int:
        return self.index.release

    @property
    def joint_dimension(self) -> int:
        """Length of a vector of the joint space; 0 where the release has none."""
        return max(shard.manifest.dimensions["joint"] for shard in self.index.shards)

    @property
    def encoders(self) -> LocalEncoders:
        return self._encoders[0].value

    @property
    def writes(self) -> bool:
        """Whether there is a language model."""
        return self._writer is not None

    @property
    def mean_batch(self) -> float:
        counted = self._searching.statistics
        return round(counted.items / max(1, counted.batches), 2)

    def document(self, document_id: str, version: str | None) -> Document:
        return cited_document(self.index.shards, self.release, document_id, version)

    def image(self, image_id: str) -> StoredImage:
        return cited_image(self.index.shards, self.release, image_id)

    def close(self) -> None:
        """Ends its threads and lets go of the models; the memory goes with the last reference."""
        self._searching.close()
        for held in self._encoders:
            held.let_go()
        if self._writer is not None:
            self._writer.let_go()


def _load_all(
    settings: EncoderSettings, models: dict[str, Path], limits: ImageLimits
) -> tuple[Shared[LocalEncoders], ...]:
    """The encoders and, where they are wanted, the quick ones after them."""
    loaded = [Shared(load_encoders(settings, models, limits, settings.dtype))]
    if settings.quick:
        loaded.append(Shared(load_encoders(settings, models, limits, "int8")))
    return tuple(loaded)


def _encoder_places(settings: EncoderSettings, models: dict[str, Path]) -> tuple[Path | None, ...]:
    return tuple(None if name is None else model_place(name, models) for name in (settings.text, settings.joint))


def _gguf(settings: WriterSettings, models: dict[str, Path]) -> Path:
    """The model's file: itself, or the only .gguf file in its folder."""
    place = model_place(settings.model, models)
    files = [place] if place.is_file() else sorted(place.rglob("*.gguf"))
    if len(files) != 1:
        raise ConfigurationError(f"model {settings.model} has {len(files)} .gguf files; publish it with one")
    return files[0]


def _load_writer(settings: WriterSettings, file: Path) -> Generator:
    return LlamaCppGenerator(
        LlamaCppSettings(model=file, max_model_len=settings.max_tokens, slots=settings.slots, threads=settings.threads)
    )
