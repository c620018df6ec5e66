"""Measures one index in a process of its own: `python -m benchmarks.index_bench_measure build|search ...`.

A process of its own, because the environment (`ONE_THREAD`) fixes the threads before libraries load, and because memory
is measured as its growth.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import psutil

from benchmarks.index_bench_data import Data, load_data
from benchmarks.index_bench_systems import Search, System, systems

ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
K: Final = 10
_BATCH: Final = 64


def main() -> None:
    step, name, system_name, folder, home = sys.argv[1:6]
    faiss.omp_set_num_threads(1)
    data = load_data(name, Path(folder), Path(home))
    n, d = data.vectors.shape
    system = next(s for s in systems(n, d) if s.name == system_name)
    path = index_path(Path(folder), name, system_name)
    report = build(system, data, path) if step == "build" else search(system, data, path)
    print(json.dumps(report))


def index_path(folder: Path, data: str, system: str) -> Path:
    """Where an index is kept."""
    return folder / data / ("".join(c if c.isalnum() else "_" for c in system) + ".index")


def build(system: System, data: Data, path: Path) -> dict[str, Any]:
    """Builds; seconds, and the highest memory of its own that this took."""
    path.with_suffix(".shape").write_text(json.dumps({"d": data.vectors.shape[1]}), encoding="utf-8")
    started = time.perf_counter()
    with _AnonymousPeak() as peak:
        system.build(data.vectors, path)
    report = {"seconds": round(time.perf_counter() - started, 1), "peak_mb": round(peak.bytes / 1e6, 1)}
    path.with_suffix(".built").write_text(json.dumps(report), encoding="utf-8")
    return report


def search(system: System, data: Data, path: Path) -> dict[str, Any]:
    """Recall, single queries and batches for the efforts that are worth their time."""
    queries, truth = np.ascontiguousarray(data.queries), data.truth
    before = psutil.Process().memory_info().rss
    points: list[dict[str, Any]] = []
    for effort, find in system.open(path, len(data.vectors)):
        recall, batch_rate = _batches(find, queries, truth)
        if points and recall < max(p["recall"] for p in points) + 0.001:
            continue
        points.append({"effort": effort, "recall": round(recall, 4), "batch_qps": round(batch_rate)})
        points[-1] |= _singles(find, queries)
        if recall > 0.9985:
            break
    return {"points": points, "bytes": _size(path), "resident": psutil.Process().memory_info().rss - before}


def _batches(find: Search, queries: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Recall@10, and queries a second in batches of 64, from the better of two rounds.

    A round before them reads a mapped index into memory: single queries are timed warm as well.
    """
    hits, rounds = 0, []
    for number in range(3):
        seconds = 0.0
        for start in range(0, len(queries), _BATCH):
            batch = queries[start : start + _BATCH]
            began = time.perf_counter()
            ids = find(batch, K)
            seconds += time.perf_counter() - began
            if number == 0:
                hits += sum(len(np.intersect1d(a, b)) for a, b in zip(ids, truth[start : start + _BATCH], strict=True))
        rounds.append(seconds)
    return hits / (len(queries) * K), len(queries) / min(rounds[1:])


def _singles(find: Search, queries: np.ndarray) -> dict[str, float]:
    """Queries a second one at a time, from the median of the better of two rounds; 95th percentile in ms."""
    rounds = []
    for _ in range(2):
        seconds = []
        for i in range(min(len(queries), 500)):
            query = queries[i : i + 1]
            began = time.perf_counter()
            find(query, K)
            seconds.append(time.perf_counter() - began)
        rounds.append(seconds)
    best = min(rounds, key=lambda s: float(np.median(s)))
    return {"qps": round(1 / float(np.median(best))), "p95_ms": round(1000 * float(np.quantile(best, 0.95)), 4)}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())


class _AnonymousPeak:
    """The highest growth of this process's own memory, pages of mapped files left out, looked at every 50 ms."""

    def __enter__(self) -> _AnonymousPeak:
        self.bytes, self._start, self._done = 0, _anonymous(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.bytes = max(self.bytes, _anonymous() - self._start)


def _anonymous() -> int:
    memory = psutil.Process().memory_info()
    return int(memory.rss - memory.shared)


if __name__ == "__main__":
    main()
