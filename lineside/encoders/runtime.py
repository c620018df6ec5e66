"""Where, by which engine and in which precision an encoder runs, and the identity of what it computes."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lineside.errors import ConfigurationError

Engine = Literal["openvino", "torch"]
Dtype = Literal["bfloat16", "float32", "float16"]
Compiled = Callable[..., list[NDArray[np.float32]]]

# Tracing changes state of the whole process: two encoders must not be compiled at the same time.
_COMPILING = threading.Lock()

# Files that decide which vectors come out of a model folder.
_DEFINING_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}


class Runtime(BaseModel):
    """Engine, device, precision, threads and batch size of an encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine = Field("openvino", description="openvino on CPUs (twice torch's speed there); torch elsewhere")
    device: str = Field("cpu", description="torch device: cpu, cuda, cuda:1 ...; openvino runs on cpu")
    dtype: Dtype = Field("bfloat16", description="precision of weights and activations; vectors are float32 always")
    threads: int = Field(
        1, ge=1, le=256, description="CPU threads of one replica; more replicas than cores / threads fight"
    )
    max_batch: int = Field(32, ge=1, le=1024, description="rows in one forward pass; longer inputs are cut into these")

    @model_validator(mode="after")
    def _engine_fits_device(self) -> Runtime:
        if self.engine == "openvino" and self.device != "cpu":
            raise ValueError(f"engine openvino runs on cpu, not on {self.device}: set engine to torch")
        if self.engine == "openvino" and self.dtype == "float16":
            raise ValueError("engine openvino takes dtype bfloat16 or float32 on cpu")
        return self

    @property
    def torch_dtype(self) -> torch.dtype:
        """Precision in which torch holds the weights: openvino lowers it itself when it compiles."""
        if self.engine == "openvino":
            return torch.float32
        return {"bfloat16": torch.bfloat16, "float32": torch.float32, "float16": torch.float16}[self.dtype]


def compile_module(module: torch.nn.Module, example: Sequence[torch.Tensor], runtime: Runtime) -> Compiled:
    """Makes a torch module into a function of NumPy arrays that returns its outputs as float32 arrays.

    `example`: inputs of the right dtypes and ranks with at least two rows; all sizes stay free.
    """
    module = module.eval()
    if runtime.engine != "openvino":
        return _wrap_torch(module, runtime)
    with _COMPILING:
        return _compile_openvino(module, example, runtime)


def _wrap_torch(module: torch.nn.Module, runtime: Runtime) -> Compiled:
    if runtime.device == "cpu":
        torch.set_num_threads(runtime.threads)
    module = module.to(device=runtime.device, dtype=runtime.torch_dtype)

    def run(*inputs: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        tensors = [torch.from_numpy(array).to(runtime.device) for array in inputs]
        tensors = [t.to(runtime.torch_dtype) if t.is_floating_point() else t for t in tensors]
        with torch.inference_mode():
            out = module(*tensors)
        return [o.float().cpu().numpy() for o in (out if isinstance(out, tuple) else (out,))]

    return run


def _compile_openvino(module: torch.nn.Module, example: Sequence[torch.Tensor], runtime: Runtime) -> Compiled:
    import openvino

    with torch.inference_mode(), warnings.catch_warnings():
        # transformers' mask code branches on shapes; both branches give the same for the example's free sizes.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        graph = openvino.convert_model(module, example_input=tuple(example))
    compiled = openvino.Core().compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[runtime.dtype],
            "INFERENCE_NUM_THREADS": runtime.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # replicas would all pin themselves to the same first cores
        },
    )
    request = compiled.create_infer_request()

    def run(*inputs: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        out = request.infer(inputs)
        return [np.array(out[port], dtype=np.float32) for port in compiled.outputs]

    return run


def model_directory(path: str | Path) -> Path:
    """The folder of a model, checked.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"no model at {folder}: expected a Hugging Face folder with config.json "
            "(run `make setup` for the demo's models, or set the path to your own)"
        )
    return folder


def fingerprint(folder: Path, *, role: str) -> str:
    """16 hex digits that change whenever the vectors of the model in `folder` may change.

    Engine, device and precision are left out on purpose: their vectors of one model agree and share an index.
    """
    digest = hashlib.sha256(role.encode())
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in _DEFINING_SUFFIXES:
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(n, d) float32` → the same with every row of length 1 (a row of zeros stays)."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(norms, np.float32(1e-12))
