"""How an encoder runs: settings that can be read and checked without loading torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Engine = Literal["openvino", "torch"]
Dtype = Literal["bfloat16", "float32", "float16", "int8"]
DEFAULT_MAX_TOKENS = 256


class Runtime(BaseModel):
    """Engine, device, precision, threads and batch size of an encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine = Field("openvino", description="openvino on CPUs (twice torch's speed there); torch elsewhere")
    device: str = Field("cpu", description="torch device: cpu, cuda, cuda:1 ...; openvino runs on cpu")
    dtype: Dtype = Field(
        "bfloat16",
        description="precision of weights and activations; vectors are float32 always. Under openvino a CPU without "
        "bfloat16 instructions computes in float32 instead. int8: openvino's "
        "alone, three quarters of bfloat16's time on CPUs with VNNI, cosine to float32 above 0.997",
    )
    threads: int = Field(
        1, ge=1, le=256, description="CPU threads of one replica; more replicas than cores / threads fight"
    )
    streams: int = Field(
        1, ge=1, le=64, description="batches encoded at the same time, each on `threads` threads; openvino only"
    )
    kernels_kept: int = Field(
        5_000,
        ge=64,
        le=100_000,
        description="compiled for shapes of batches seen before; about seven a shape, 0.1 MiB each; openvino only",
    )
    max_batch: int = Field(32, ge=1, le=1024, description="rows in one forward pass; longer inputs are cut into these")

    @model_validator(mode="after")
    def _engine_fits_device(self) -> Runtime:
        if self.engine == "openvino" and self.device != "cpu":
            raise ValueError(f"engine openvino runs on cpu, not on {self.device}: set engine to torch")
        if self.engine == "openvino" and self.dtype == "float16":
            raise ValueError("engine openvino takes dtype bfloat16, float32 or int8 on cpu")
        if self.engine != "openvino" and self.dtype == "int8":
            raise ValueError("dtype int8 is openvino's: torch takes bfloat16, float32 or float16")
        if self.engine != "openvino" and self.streams > 1:
            raise ValueError("streams are openvino's: leave it at 1 and raise max_batch or the replicas")
        return self
