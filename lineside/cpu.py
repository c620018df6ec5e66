"""What this machine's CPU computes in: models choose their precision by it."""

from __future__ import annotations

import functools


@functools.cache
def computes_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16 (AVX512_BF16 or AMX), as OpenVINO's plugin for it says.

    Without them everything still runs in bfloat16, by emulation: an encoder took 320 ms a question instead of 29, a
    language model of 135M parameters 4.2 s to the first token instead of 1.5 (one core of a 2.0 GHz Xeon, AVX-512).
    """
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
