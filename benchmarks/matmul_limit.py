"""How many matrix products this machine does a second: the limit that encoders are held against.

Products run through the encoders' own engine, as chains of linear layers without anything between them, so that the
limit is held in the same precision, with the same threads and with weights laid out in the same way. A limit is the
fastest call seen; an encoder's time is a median.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from benchmarks.flops import Tower
from lineside.encoders import Runtime
from lineside.encoders.pretrained.modules import compile_module


def call_seconds(call: Callable[[], object], *, budget_s: float, least: int = 3) -> list[float]:
    """Seconds of each `call` after two warm-ups, of at least `least` calls and for about `budget_s`.

    Encoders and compiled modules return NumPy arrays, so a call has ended when it returns, on CUDA too.
    """
    call()
    call()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < least or time.perf_counter() - began < budget_s:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def square_limit(runtime: Runtime, *, budget_s: float = 1.0) -> float:
    """FLOP/s of large square products, the machine at its best: the faster of the engine's and torch's own."""
    side, depth = (8192, 8) if runtime.device.startswith("cuda") else (2048, 4)
    chained = _chain_seconds([side] * (depth + 1), side, runtime, budget_s)
    return max(2 * side**3 * depth / chained, _torch_square(side, runtime, budget_s))


def shaped_limit(tower: Tower, batch: int, runtime: Runtime, *, budget_s: float = 0.2) -> float:
    """FLOP/s of the encoder's own linear layers on a batch's rows: all that is left when nothing else costs time."""
    widths = [tower.hidden]
    for _ in range(tower.layers):
        widths += [tower.hidden] * 4 + [tower.feed_forward, tower.hidden]
    rows = batch * tower.tokens
    flop = 2 * rows * sum(a * b for a, b in pairwise(widths))
    return flop / _chain_seconds(widths, rows, runtime, budget_s)


def _chain_seconds(widths: list[int], rows: int, runtime: Runtime, budget_s: float) -> float:
    layers = [torch.nn.Linear(a, b, bias=False) for a, b in pairwise(widths)]
    chain = compile_module(torch.nn.Sequential(*layers), (torch.randn(2, widths[0]),), runtime)
    inputs = np.random.default_rng(0).standard_normal((rows, widths[0]), dtype=np.float32)
    return min(call_seconds(lambda: chain(inputs), budget_s=budget_s))


def _torch_square(side: int, runtime: Runtime, budget_s: float) -> float:
    dtype = {"bfloat16": torch.bfloat16, "float32": torch.float32, "float16": torch.float16}[runtime.dtype]
    torch.set_num_threads(runtime.threads)
    left = torch.randn(side, side, device=runtime.device).to(dtype)
    out = torch.empty_like(left)

    def product() -> None:
        torch.matmul(left, left, out=out)
        if runtime.device.startswith("cuda"):
            torch.cuda.synchronize(runtime.device)

    return 2 * side**3 / min(call_seconds(product, budget_s=budget_s))
