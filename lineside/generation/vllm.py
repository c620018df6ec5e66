"""vLLM: continuous batching with a shared prefix cache (Kwon et al. 2023), the engine in a process of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field

from lineside.cpu import computes_bfloat16
from lineside.errors import ConfigurationError, GenerationError
from lineside.generation.contract import Message, Sampling

log = logging.getLogger("lineside.generation")


class VllmSettings(BaseModel):
    """What an engine is started with; the names are vLLM's where vLLM has one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path = Field(description="Hugging Face folder of the model")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="auto: bfloat16 where the device has instructions for it; a quantised model's own"
    )
    quantization: str | None = Field(
        None, description="awq, gptq, fp8, compressed-tensors ...; None: as the model says"
    )
    max_model_len: int = Field(2048, ge=256, le=131_072, description="prompt and reply together, in tokens")
    max_num_seqs: int = Field(8, ge=1, le=1024, description="replies generated at the same time")
    enforce_eager: bool = Field(True, description="no compilation: ready sooner, a little slower; set false on GPUs")
    kv_cache_gib: int = Field(1, ge=1, le=1024, description="CPU only: memory for keys and values, whole GiB")
    gpu_memory_utilization: float = Field(0.85, gt=0, le=1, description="GPU only: share of the device's memory")
    tensor_parallel_size: int = Field(1, ge=1, le=64)
    cpu_threads: int = Field(1, ge=1, le=256, description="CPU only: cores the engine computes on")
    niceness: int = Field(10, ge=0, le=19, description="CPU only: lower priority than retrieval on the same cores")


class VllmGenerator:
    """One engine, many concurrent replies."""

    def __init__(self, settings: VllmSettings) -> None:
        """Starts the engine: seconds to a minute.

        Raises:
            ConfigurationError: there is no model at `settings.model`.
            GenerationError: the engine did not start.
        """
        if not (settings.model / "config.json").is_file():
            raise ConfigurationError(
                f"no model at {settings.model}: expected a Hugging Face folder (run `make setup` for the demo's)"
            )
        self.settings = settings
        _set_environment(settings)
        from vllm import AsyncEngineArgs  # read the environment first: vLLM does so when it is imported
        from vllm.v1.engine.async_llm import AsyncLLM

        options: dict[str, Any] = {"gpu_memory_utilization": settings.gpu_memory_utilization} if _has_gpu() else {}
        try:
            self._engine = AsyncLLM.from_engine_args(
                AsyncEngineArgs(
                    model=str(settings.model),
                    dtype=compute_dtype(settings),
                    quantization=settings.quantization,
                    max_model_len=settings.max_model_len,
                    max_num_seqs=settings.max_num_seqs,
                    enforce_eager=settings.enforce_eager,
                    tensor_parallel_size=settings.tensor_parallel_size,
                    enable_prefix_caching=True,
                    disable_log_stats=True,
                    **options,
                )
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise GenerationError(f"vLLM did not start with {settings.model}: {error}") from error
        self._tokenizer: Any = self._engine.get_tokenizer()
        if settings.niceness and not _has_gpu():
            _lower_priority_of_children(settings.niceness)

    async def stream(
        self, messages: tuple[Message, ...], sampling: Sampling, *, request_id: str, deadline_ms: float
    ) -> AsyncGenerator[str]:
        """See `Generator.stream`. A consumer that closes the iterator aborts the request inside the engine."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        prompt = self._tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages], tokenize=True, add_generation_prompt=True
        )
        ids = prompt if isinstance(prompt, list) else prompt["input_ids"]
        room = self.settings.max_model_len - len(ids)
        if room < 1:
            raise GenerationError(f"the prompt has {len(ids)} tokens; the model takes {self.settings.max_model_len}")
        params = SamplingParams(
            max_tokens=min(sampling.max_tokens, room),
            temperature=sampling.temperature,
            repetition_penalty=sampling.repetition_penalty,
            stop=list(sampling.stop),
            output_kind=RequestOutputKind.DELTA,
        )
        replies = self._engine.generate({"prompt_token_ids": ids}, params, request_id)
        try:
            async for reply in replies:
                if piece := reply.outputs[0].text:
                    yield piece
        except (EngineDeadError, EngineGenerateError, ValueError) as error:
            raise GenerationError(f"vLLM failed: {type(error).__name__} {error}".strip()) from error
        finally:
            await replies.aclose()  # aborts what is still running

    async def check(self) -> None:
        """See `Generator.check`."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            await self._engine.check_health()
        except EngineDeadError as error:
            raise GenerationError("vLLM's engine process is dead") from error

    def unfinished(self) -> int:
        """Requests the engine still works on."""
        return self._engine.output_processor.get_num_unfinished_requests()

    def close(self) -> None:
        """See `Generator.close`."""
        self._engine.shutdown()


def compute_dtype(settings: VllmSettings) -> str:
    """What vLLM is told to compute in; its own `auto` is the dtype that the model was stored in."""
    if settings.dtype != "auto" or settings.quantization is not None:
        return settings.dtype
    if _has_gpu():
        import torch

        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if computes_bfloat16():
        return "bfloat16"
    log.info("this CPU has no bfloat16 instructions: the language model computes in float32")
    return "float32"


def _set_environment(settings: VllmSettings) -> None:
    """vLLM reads these when it is imported and when its engine process starts."""
    defaults = {
        "VLLM_CPU_KVCACHE_SPACE": str(settings.kv_cache_gib),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(settings.cpu_threads),
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "HF_HUB_OFFLINE": "1",
    }
    if settings.tensor_parallel_size == 1 and not _has_gpu():
        # The model in the engine's own process: half the start-up time, one process less, and none that polls the
        # other. OMP_NUM_THREADS above is what vLLM would otherwise need the worker process for.
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.update(defaults)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _lower_priority_of_children(niceness: int) -> None:
    """The engine yields its cores to encoders and retrieval: a late token costs less than late evidence."""
    for child in psutil.Process().children(recursive=True):
        try:
            child.nice(niceness)
        except psutil.NoSuchProcess:
            continue
