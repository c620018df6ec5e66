"""Generator: a language model that streams; the engine's health is the replica's health."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ray import serve

from deployments.process import start_process
from deployments.settings import GeneratorSettings
from lineside.errors import ConfigurationError
from lineside.generation import Generator as Engine
from lineside.generation import Message, Sampling


def load_engine(settings: GeneratorSettings) -> Engine:
    """Starts the configured engine."""
    if settings.engine == "vllm" and settings.vllm is not None:
        from lineside.generation.vllm import VllmGenerator

        return VllmGenerator(settings.vllm)
    if settings.engine == "llamacpp" and settings.llamacpp is not None:
        from lineside.generation.llamacpp import LlamaCppGenerator

        return LlamaCppGenerator(settings.llamacpp)
    raise ConfigurationError(f"there is no generation engine {settings.engine}")


@serve.deployment
class Generator:
    """One engine. A dead engine fails the health check, and Serve replaces the replica."""

    def __init__(self, settings: GeneratorSettings) -> None:
        start_process()
        self._engine = load_engine(settings)

    async def stream(
        self, messages: tuple[Message, ...], sampling: Sampling, request_id: str, deadline_ms: float
    ) -> AsyncGenerator[str]:
        """Pieces of the reply. When the caller cancels, the engine drops the request."""
        pieces = self._engine.stream(messages, sampling, request_id=request_id, deadline_ms=deadline_ms)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def unfinished(self) -> int:
        """Requests that the engine still works on; -1 where the engine does not say."""
        count = getattr(self._engine, "unfinished", None)
        return int(count()) if count is not None else -1

    async def check(self) -> None:
        """Returns when the engine answers; raises GenerationError when it is dead."""
        await self._engine.check()

    async def check_health(self) -> None:
        """Called by Serve."""
        await self._engine.check()

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None:
            engine.close()
