"""What the CPU says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineside.cpu import computes_bfloat16

CPU_INFO = Path("/proc/cpuinfo")


@pytest.mark.skipif("avx512" not in CPU_INFO.read_text(), reason="the flags of x86 CPUs with AVX-512 are compared")
def test_it_has_bfloat16_where_its_flags_say_so() -> None:
    flags = set(CPU_INFO.read_text().split())
    assert computes_bfloat16() == bool(flags & {"avx512_bf16", "amx_bf16"})
