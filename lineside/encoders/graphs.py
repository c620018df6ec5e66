"""Compiles OpenVINO graphs to functions of NumPy arrays; in int8 where that is asked for. Knows no torch."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineside.cpu import computes_bfloat16
from lineside.encoders.settings import Dtype, Runtime

log = logging.getLogger("lineside.encoders")  # of the library: scripts keep their standard output

# Small groups follow the activations better, large ones are quicker: 32 took 2.1 ms a question, 128 1.7, bfloat16 2.4.
INT8_GROUP = 128

Compiled = Callable[..., list[NDArray[np.float32]]]


def compile_graph(graph: Any, runtime: Runtime) -> Compiled:
    """`openvino.Model` → a function of its inputs in order that returns its outputs as float32 arrays.

    With dtype int8 the graph's weights are replaced.
    """
    import openvino

    if runtime.dtype == "int8":
        weights_to_int8(graph)
    core = openvino.Core()
    hint = precision_hint(runtime.dtype, computes_bfloat16())
    if hint == "f32" and runtime.dtype != "float32":
        _say_once_that_it_is_float32(core.get_property("CPU", "FULL_DEVICE_NAME"))
    compiled = core.compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": hint,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": INT8_GROUP if runtime.dtype == "int8" else 0,
            "INFERENCE_NUM_THREADS": runtime.threads * runtime.streams,
            "NUM_STREAMS": runtime.streams,
            "CPU_RUNTIME_CACHE_CAPACITY": runtime.kernels_kept,
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


def precision_hint(dtype: Dtype, bfloat16: bool) -> str:
    """The precision that a CPU is told to compute in, which has instructions for `bfloat16` or has not.

    Without them the plugin obeys a hint of bfloat16 by emulating them: on a Xeon with AVX-512 alone a question took
    320 ms instead of 29, sixteen passages 52 s instead of 1.1. float32 gives the same vectors to a cosine of 0.9999
    (docs/adr/0003).
    """
    return "bf16" if dtype != "float32" and bfloat16 else "f32"


@functools.cache
def _say_once_that_it_is_float32(cpu: str) -> None:
    log.info("this CPU has no bfloat16 instructions: encoders compute in float32 (%s)", cpu)


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
        if weights.get_type_name() == "Convert":  # stored in float16
            weights = weights.input(0).get_source_output().get_node()
        if weights.get_type_name() != "Constant" or len(weights.shape) != 2:
            continue
        values = np.asarray(weights.data, np.float32)
        inner = 1 if node.get_attributes()["transpose_b"] else 0
        scale = np.maximum(np.abs(values).max(axis=inner, keepdims=True), 1e-12) / 127
        stored = ops.convert(ops.constant(np.rint(values / scale).astype(np.int8)), "f32")
        node.input(1).replace_source_output(ops.multiply(stored, ops.constant(scale)).output(0))
