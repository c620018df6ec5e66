"""What machine a figure was measured on, and how fast it is at the moment."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch


def machine_gflops(side: int = 1024, seconds: float = 0.5) -> float:
    """float32 matrix product with all threads, in GFLOP/s: shows drift and neighbours between turns."""
    a = np.random.default_rng(0).random((side, side), dtype=np.float32)
    began, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        np.matmul(a, a)
        done += 1
    return 2 * side**3 * done / elapsed / 1e9


def describe_machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": psutil.virtual_memory().total / 1e9,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "when": time.strftime("%Y-%m-%d %H:%M"),
    }
