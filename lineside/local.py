"""The whole application in one process, without Ray: what a notebook and the evaluation answer with."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from lineside.answering.pipeline import Answerer
from lineside.answering.settings import AnsweringSettings
from lineside.answering.stages import Stages
from lineside.documents import Document
from lineside.encoders import (
    ImageLimits,
    JointEncoder,
    QuestionEncoder,
    Runtime,
    TextEncoder,
    load_joint_encoder,
    load_text_encoder,
)
from lineside.generation import Generator
from lineside.local_stages import LocalEncoders, LocalSearch, local_stages
from lineside.objects import open_store
from lineside.releases import Catalogue
from lineside.releases.follower import ReleaseFollower
from lineside.releases.settings import CacheSettings
from lineside.search import ReleaseIndex, SearchSettings
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
        self._generator = generator
        fingerprints = {"text": text.fingerprint} | ({} if joint is None else {"joint": joint.fingerprint})
        self._encoders = LocalEncoders(
            QuestionEncoder(text, joint), joint, fingerprints, limits=limits, max_batch=max_batch
        )
        self.releases = ReleaseFollower(catalogue, search, cache=cache, check=self._encoders.check)
        self._encoders.warm_up()
        self._searching = LocalSearch(lambda: self.releases.index, max_batch=max_batch)
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
        return local_stages(self._encoders, self._searching.search, self._generator)

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
        self._encoders.close()
        self._searching.close()
        if self._generator is not None:
            self._generator.close()

    def __enter__(self) -> LocalApplication:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
