"""llama.cpp through xllamacpp: GGUF models, quantised, on CPUs and small machines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lineside.errors import ConfigurationError, GenerationError
from lineside.generation.contract import Message, Sampling


class LlamaCppSettings(BaseModel):
    """What the engine is started with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path = Field(description="a .gguf file")
    max_model_len: int = Field(2048, ge=256, le=131_072, description="prompt and reply together, in tokens, a slot")
    slots: int = Field(1, ge=1, le=16, description="replies generated at the same time")
    threads: int = Field(2, ge=1, le=256)


class LlamaCppGenerator:
    """One model in this process; `slots` concurrent replies, more wait."""

    def __init__(self, settings: LlamaCppSettings) -> None:
        """Loads the model.

        Raises:
            ConfigurationError: there is no file at `settings.model`.
            GenerationError: llama.cpp cannot load it.
        """
        if not settings.model.is_file():
            raise ConfigurationError(f"no GGUF model at {settings.model} (run `make setup` for the demo's)")
        # Read when libgomp is loaded. Threads that spin at each of the hundreds of barriers of a token wait for others
        # that are not running: on two busy cores (load 8 to 17) a reply of 24 tokens took 5 to 46 s, without 1 to 12 s.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import xllamacpp

        self.settings = settings
        params = xllamacpp.CommonParams()
        params.model.path = str(settings.model)
        params.n_ctx = settings.max_model_len * settings.slots
        params.n_parallel = settings.slots
        params.cpuparams.n_threads = settings.threads
        params.verbosity = -1
        try:
            self._server = xllamacpp.Server(params)
            # One token: warm, and the engine's thread has surely begun. A server that is destroyed before that waits
            # for its thread for ever.
            self._server.handle_completions({"prompt": " ", "n_predict": 1})
        except (RuntimeError, ValueError) as error:
            raise GenerationError(f"llama.cpp cannot load {settings.model}: {error}") from error
        self._executor = ThreadPoolExecutor(max_workers=settings.slots, thread_name_prefix="llama")

    async def stream(
        self, messages: tuple[Message, ...], sampling: Sampling, *, request_id: str, deadline_ms: float
    ) -> AsyncGenerator[str]:
        """See `Generator.stream`. Closing the iterator stops the reply at its next token."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        cancelled = Event()
        refused: list[str] = []  # what is raised in `receive` is lost inside the engine

        def receive(chunk: dict[str, Any]) -> bool:
            for choice in chunk.get("choices", ()):
                if piece := choice["delta"].get("content"):
                    loop.call_soon_threadsafe(pieces.put_nowait, piece)
            if error := chunk.get("error"):
                refused.append(str(error.get("message", error) if isinstance(error, dict) else error))
            return bool(refused) or cancelled.is_set()

        def run() -> None:
            if cancelled.is_set():
                return
            request = {
                "messages": [{"role": m.role, "content": m.content} for m in messages],
                "max_tokens": sampling.max_tokens,
                "temperature": sampling.temperature,
                "repeat_penalty": sampling.repetition_penalty,
                "stop": list(sampling.stop),
                "stream": True,
                "cache_prompt": True,
            }
            try:
                self._server.handle_chat_completions(request, receive)
            except (ValueError, RuntimeError) as error:
                raise GenerationError(f"llama.cpp refused the prompt: {error}") from error
            if refused:
                raise GenerationError(f"llama.cpp refused the prompt: {refused[0]}")

        def end(done: asyncio.Future[None]) -> None:
            if not done.cancelled():
                done.exception()  # read here for a stream that was closed, where nobody awaits it
            pieces.put_nowait(None)

        try:
            running = loop.run_in_executor(self._executor, run)
        except RuntimeError as error:
            raise GenerationError("llama.cpp has been shut down") from error
        running.add_done_callback(end)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await running
        finally:
            cancelled.set()

    async def check(self) -> None:
        """See `Generator.check`: the engine lives in this process, so it answers while the process does."""

    def close(self) -> None:
        """See `Generator.close`."""
        self._executor.shutdown(wait=False, cancel_futures=True)
