"""Makes torch modules into functions of NumPy arrays on an engine."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from lineside.encoders.graphs import Compiled, compile_graph
from lineside.encoders.settings import Runtime

# Tracing changes state of the whole process: two encoders must not be compiled at the same time.
_COMPILING = threading.Lock()


def torch_dtype(runtime: Runtime) -> torch.dtype:
    """Precision in which torch holds the weights: openvino lowers it itself when it compiles."""
    if runtime.engine == "openvino":
        return torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32, "float16": torch.float16}[runtime.dtype]


def compile_module(module: torch.nn.Module, example: Sequence[torch.Tensor], runtime: Runtime) -> Compiled:
    """Makes a torch module into a function of NumPy arrays that returns its outputs as float32 arrays.

    `example`: inputs of the right dtypes and ranks with at least two rows; all sizes stay free.
    """
    if runtime.engine != "openvino":
        return _wrap_torch(module.eval(), runtime)
    with _COMPILING:
        return compile_graph(_trace(module, example), runtime)


def trace(module: torch.nn.Module, example: Sequence[torch.Tensor]) -> Any:
    """A float32 torch module as an `openvino.Model` whose sizes are free."""
    with _COMPILING:
        return _trace(module, example)


def _trace(module: torch.nn.Module, example: Sequence[torch.Tensor]) -> Any:
    import openvino

    with torch.inference_mode(), warnings.catch_warnings():
        # transformers' mask code branches on shapes; both branches give the same for the example's free sizes.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return openvino.convert_model(module.eval(), example_input=tuple(example))


def _wrap_torch(module: torch.nn.Module, runtime: Runtime) -> Compiled:
    if runtime.device == "cpu":
        torch.set_num_threads(runtime.threads)
    module = module.to(device=runtime.device, dtype=torch_dtype(runtime))

    def run(*inputs: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        tensors = [torch.from_numpy(array).to(runtime.device) for array in inputs]
        tensors = [t.to(torch_dtype(runtime)) if t.is_floating_point() else t for t in tensors]
        with torch.inference_mode():
            out = module(*tensors)
        return [o.float().cpu().numpy() for o in (out if isinstance(out, tuple) else (out,))]

    return run


def quiet() -> None:
    """Keeps transformers' progress bars and remarks about checkpoints out of the console."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
