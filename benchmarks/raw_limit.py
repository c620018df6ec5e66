"""The raw limit: the text encoder alone, batched, in process, on the very questions that the services are asked.

No HTTP, no search, no batching delay: nothing that answers these questions with this encoder on this machine can be
faster. Runs in a process of its own, so that its threads and memory are gone afterwards; prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import get_args

from lineside.encoders import Dtype, Runtime, load_text_encoder


@dataclass(frozen=True, slots=True)
class RawPoint:
    """Questions per second of one setting."""

    batch: int
    threads: int
    dtype: Dtype
    questions_per_s: float
    cpu_ms_per_question: float


def measure(model: Path, texts: Sequence[str], *, batch: int, threads: int, dtype: Dtype, seconds: float) -> RawPoint:
    """Encode batches of distinct texts for `seconds`, after a warm-up of three batches."""
    encoder = load_text_encoder(model, runtime=Runtime(dtype=dtype, threads=threads, max_batch=batch))
    batches = [texts[i : i + batch] for i in range(0, len(texts) - batch + 1, batch)]
    for warm in batches[:3]:
        encoder.encode(warm)
    began, cpu, done = time.perf_counter(), time.process_time(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        done += len(encoder.encode(batches[(done // batch) % len(batches)]))
    return RawPoint(batch, threads, dtype, done / elapsed, 1000 * (time.process_time() - cpu) / done)


def run_raw_limit(
    model: Path,
    bodies: Path,
    *,
    batches: Sequence[int] = (32, 64),
    seconds: float = 4.0,
    dtypes: Sequence[Dtype] = ("bfloat16", "int8"),
) -> list[RawPoint]:
    """Measure every precision and batch size with one thread and with all, each in a process of its own.

    Raises:
        subprocess.CalledProcessError: the measuring process failed.
    """
    points = []
    for dtype, threads in product(dtypes, sorted({1, os.cpu_count() or 1})):
        command = [sys.executable, "-m", "benchmarks.raw_limit", "--model", str(model), "--bodies", str(bodies)]
        command += ["--threads", str(threads), "--seconds", str(seconds), "--dtype", dtype, "--batches"]
        command += [str(b) for b in batches]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        points += [RawPoint(**point) for point in json.loads(done.stdout.splitlines()[-1])]
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--bodies", type=Path, required=True, help="request bodies, one JSON object a line")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--dtype", choices=get_args(Dtype), default="bfloat16")
    options = parser.parse_args()
    texts = [json.loads(line)["question"] for line in options.bodies.read_text(encoding="utf-8").splitlines()]
    points = [
        measure(
            options.model, texts, batch=batch, threads=options.threads, dtype=options.dtype, seconds=options.seconds
        )
        for batch in options.batches
    ]
    print(json.dumps([asdict(point) for point in points]))


if __name__ == "__main__":
    main()
