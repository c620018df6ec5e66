"""Encoders and language model of a release: loaded once, taken over by the next release that names the same ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from edge.gateway.encoders import load_encoders
from edge.gateway.settings import EncoderSettings, GatewaySettings, WriterSettings, model_place
from edge.gateway.shared import Shared
from lineside.errors import ConfigurationError
from lineside.generation import Generator
from lineside.generation.llamacpp import LlamaCppGenerator, LlamaCppSettings
from lineside.local_stages import LocalEncoders


class Models:
    """What a release is asked with, warm. Blocks for as long as models load; `close` lets go of them."""

    def __init__(self, settings: GatewaySettings, held: dict[str, Path], before: Models | None = None) -> None:
        """`held`: the folders of the models that came with the release.

        Raises:
            ConfigurationError: a model is missing, or is none of its kind.
            IntegrityError: a file is damaged.
        """
        if settings.encoders is None:
            raise ConfigurationError("gateway.yaml has no `encoders`: name those that made the knowledge")
        encoders, writer = settings.encoders, settings.writer
        self.max_batch = encoders.max_batch
        self._encoders_from = _encoder_places(encoders, held)
        self._writer_from = None if writer is None else _gguf(writer, held)
        self._encoders: tuple[Shared[LocalEncoders], ...]
        self._writer: Shared[Generator] | None = None
        with ExitStack() as undo:
            if before is not None and before._encoders_from == self._encoders_from:
                self._encoders = tuple(one.hold() for one in before._encoders)
            else:
                self._encoders = _load_all(encoders, held, settings)
            for one in self._encoders:
                undo.callback(one.let_go)
            if writer is not None and self._writer_from is not None:
                if before is not None and before._writer is not None and before._writer_from == self._writer_from:
                    self._writer = before._writer.hold()
                else:
                    self._writer = Shared(_load_writer(writer, self._writer_from))
            undo.pop_all()

    @property
    def encoders(self) -> LocalEncoders:
        return self._encoders[0].value

    @property
    def quick(self) -> LocalEncoders | None:
        """Int8 encoders for a gateway that spares itself, where they are wanted."""
        return self._encoders[1].value if len(self._encoders) > 1 else None

    @property
    def writer(self) -> Generator | None:
        return None if self._writer is None else self._writer.value

    def close(self) -> None:
        """The memory goes with the last release that holds them."""
        for one in self._encoders:
            one.let_go()
        if self._writer is not None:
            self._writer.let_go()


class EarlyModels:
    """Loads models in a thread while the shards of their release are being decrypted in another: a start in less time.

    A model that cannot be loaded is none here; who opens the release tries again, and says what is wrong.
    """

    def __init__(self, load: Callable[[dict[str, Path]], Models]) -> None:
        self._load = load
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lineside-models")
        self._loading: Future[Models] | None = None

    def begin(self, held: dict[str, Path]) -> None:
        """Starts to load what lies in these folders; once."""
        self._loading = self._thread.submit(self._load, held)
        self._thread.shutdown(wait=False)

    def take(self) -> Models | None:
        """What was loaded, the caller's to close; waits for it. None the next time, or where it failed."""
        loading, self._loading = self._loading, None
        return None if loading is None or loading.exception() is not None else loading.result()

    def close(self) -> None:
        """Lets go of what nobody took."""
        if (models := self.take()) is not None:
            models.close()


def _load_all(
    settings: EncoderSettings, held: dict[str, Path], gateway: GatewaySettings
) -> tuple[Shared[LocalEncoders], ...]:
    """The encoders and, where they are wanted, the quick ones after them."""
    limits = gateway.http.limits.image
    loaded = [Shared(load_encoders(settings, held, limits, settings.dtype))]
    if settings.quick:
        loaded.append(Shared(load_encoders(settings, held, limits, "int8")))
    return tuple(loaded)


def _encoder_places(settings: EncoderSettings, held: dict[str, Path]) -> tuple[Path | None, ...]:
    return tuple(None if name is None else model_place(name, held) for name in (settings.text, settings.joint))


def _gguf(settings: WriterSettings, held: dict[str, Path]) -> Path:
    """The model's file: itself, or the only .gguf file in its folder."""
    place = model_place(settings.model, held)
    files = [place] if place.is_file() else sorted(place.rglob("*.gguf"))
    if len(files) != 1:
        raise ConfigurationError(f"model {settings.model} has {len(files)} .gguf files; publish it with one")
    return files[0]


def _load_writer(settings: WriterSettings, file: Path) -> Generator:
    return LlamaCppGenerator(
        LlamaCppSettings(model=file, max_model_len=settings.max_tokens, slots=settings.slots, threads=settings.threads)
    )
