"""Makes torch modules into functions of NumPy arrays on an engine."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from lineside.encoders.settings import Runtime

# Small groups follow the activations better, large ones are quicker: 32 took 2.1 ms a question, 128 1.7, bfloat16 2.4.
INT8_GROUP = 128

Compiled = Callable[..., list[NDArray[np.float32]]]

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
    module = module.eval()
    if runtime.engine != "openvino":
        return _wrap_torch(module, runtime)
    with _COMPILING:
        return _compile_openvino(module, example, runtime)


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


def _compile_openvino(module: torch.nn.Module, example: Sequence[torch.Tensor], runtime: Runtime) -> Compiled:
    import openvino

    with torch.inference_mode(), warnings.catch_warnings():
        # transformers' mask code branches on shapes; both branches give the same for the example's free sizes.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        graph = openvino.convert_model(module, example_input=tuple(example))
    if runtime.dtype == "int8":
        weights_to_int8(graph)
    compiled = openvino.Core().compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32" if runtime.dtype == "float32" else "bf16",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": INT8_GROUP if runtime.dtype == "int8" else 0,
            "INFERENCE_NUM_THREADS": runtime.threads * runtime.streams,
            "NUM_STREAMS": runtime.streams,
            "ENABLE_CPU_PINNING": False,  # replicas would all pin themselves to the same first cores
        },
    )
    of_thread = threading.local()  # a request holds its inputs and outputs: threads must not share one

    def run(*inputs: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        if not hasattr(of_thread, "request"):
            of_thread.request = compiled.create_infer_request()
        out = of_thread.request.infer(inputs)
        return [np.array(out[port], dtype=np.float32) for port in compiled.outputs]

    return run


def weights_to_int8(graph: Any) -> None:
    """Replaces the weights of every matrix product by int8 rows with a scale each; activations stay as they are.

    Symmetric, per output channel (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", without training). The CPU plugin quantises activations as they come, in groups
    of `INT8_GROUP` values with a scale each.
    """
    from openvino import opset13 as ops

    for node in graph.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        weights = node.input(1).get_source_output().get_node()
        if weights.get_type_name() != "Constant" or len(weights.shape) != 2:
            continue
        values = np.asarray(weights.data, np.float32)
        inner = 1 if node.get_attributes()["transpose_b"] else 0
        scale = np.maximum(np.abs(values).max(axis=inner, keepdims=True), 1e-12) / 127
        stored = ops.convert(ops.constant(np.rint(values / scale).astype(np.int8)), "f32")
        node.input(1).replace_source_output(ops.multiply(stored, ops.constant(scale)).output(0))


def quiet() -> None:
    """Keeps transformers' progress bars and remarks about checkpoints out of the console."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def length_batches(
    lengths: Sequence[int], max_batch: int, pad_multiple: int = 0, max_length: int | None = None
) -> Iterator[tuple[list[int], int]]:
    """(places in `lengths`, tokens to pad them to) of batches of similar length, shortest first.

    Padding is computed like text, so a batch costs its longest row. With `pad_multiple`, a row is padded to the next
    multiple of it (at most `max_length`) whatever stands beside it: the shape, and with it every bit of the row's
    vector, then depends on the row alone.
    """
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    if not pad_multiple:
        for first in range(0, len(order), max_batch):
            places = order[first : first + max_batch]
            yield places, lengths[places[-1]]
        return
    widths: dict[int, list[int]] = {}
    for place in order:
        width = max(1, -(-lengths[place] // pad_multiple)) * pad_multiple
        widths.setdefault(width if max_length is None else min(width, max_length), []).append(place)
    for width, members in widths.items():
        for first in range(0, len(members), max_batch):
            yield members[first : first + max_batch], width


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(n, d) float32` → the same with every row of length 1 (a row of zeros stays)."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(norms, np.float32(1e-12))
