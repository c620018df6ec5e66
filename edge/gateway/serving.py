"""One release with all that answers from it: index, encoders and language model, warm. A request keeps to one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from edge.gateway.models import Models
from edge.gateway.settings import GatewaySettings
from edge.routing import Level
from edge.routing.sparing import QuickEncoders, sparing
from edge.sync import OpenRelease
from lineside.answering.pipeline import Answerer
from lineside.answering.prompt import PromptSettings
from lineside.answering.stages import Search
from lineside.documents import Document
from lineside.local_stages import LocalEncoders, LocalSearch, local_stages
from lineside.releases.opened import cited_document, cited_image, warm_up
from lineside.search import ReleaseIndex
from lineside.shards.images import StoredImage

WrapSearch = Callable[[Search, "Serving"], Search]


class Serving:
    """Opens a release; models that have not changed are taken over from those `before`.

    Opening blocks for as long as models load; the coroutines of `answerer` and `encoders` belong to one event loop.
    """

    def __init__(
        self,
        release: OpenRelease,
        settings: GatewaySettings,
        before: Models | None = None,
        *,
        wrap_search: WrapSearch | None = None,
        level: Callable[[], Level] = lambda: Level.NORMAL,
    ) -> None:
        """`level` says how far the gateway spares itself now; `wrap_search` adds to the search.

        Raises:
            ConfigurationError: a model is missing, or is not the one that made the release.
        """
        self.publication = release.publication
        self.index = ReleaseIndex(release.shards, release.release, settings.search)
        with ExitStack() as undo:
            self.models = Models(settings, release.models, before)
            undo.callback(self.models.close)
            self.encoders.check(self.index)
            warm_up(self.index)
            undo.pop_all()
        self._searching = LocalSearch(lambda: self.index, max_batch=self.models.max_batch)
        self.search: Search = self._searching.search
        if wrap_search is not None:
            self.search = wrap_search(self.search, self)
        prompt = PromptSettings()
        if settings.writer is not None:
            prompt = PromptSettings(
                max_sentences=settings.writer.prompt_sentences, max_note_chars=settings.writer.prompt_chars
            )
        stages = local_stages(self.encoders, self.search, self.models.writer)
        quick = self.models.quick
        if quick is not None and settings.routing is not None:
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
        return self.models.encoders

    @property
    def writes(self) -> bool:
        """Whether there is a language model."""
        return self.models.writer is not None

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
        self.models.close()
