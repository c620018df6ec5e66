"""Vector indexes side by side: `python -m benchmarks.index_bench [--quick]`.

Recall@10 against queries a second and bytes a vector, for every FAISS setting that the shard builder can choose, for
the builder's own choice under budgets, and for hnswlib, usearch and ScaNN (`pip install "lineside[index-bench]"`; what
is not installed is left out and named). One thread each; single queries and batches of 64. Vectors and indexes are
kept in `$LINESIDE_HOME/bench/index`, so that a second run measures without building. Writes a table, a JSON file and a
plot to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.index_bench_data import load_data
from benchmarks.index_bench_measure import ONE_THREAD, index_path
from benchmarks.index_bench_plot import draw
from benchmarks.index_bench_systems import systems
from benchmarks.machine import describe_machine
from benchmarks.report import number, table
from lineside.local import lineside_home

RESULTS = Path(__file__).resolve().parent / "results"
DATA: Final = ("sift5k", "manuals", "clustered-200000", "isotropic-200000", "clustered-1000000")
QUICK: Final = ("sift5k", "clustered-20000")
_MODULES: Final = {"hnswlib": "hnswlib", "usearch": "usearch", "ScaNN": "scann"}
_RECALLS: Final = (0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Measured:
    """What one system did on one data set; `points` as `index_bench_measure` reports them."""

    data: str
    system: str
    rows: int
    built: dict[str, Any]
    bytes: int
    resident: int
    points: list[dict[str, Any]]

    def at(self, recall: float) -> dict[str, Any] | None:
        """The fastest point with this recall."""
        reaching = [p for p in self.points if p["recall"] >= recall]
        return max(reaching, key=lambda p: p["qps"], default=None)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    folder = options.home / "bench" / "index"
    measured: list[Measured] = []
    left_out: dict[str, str] = {
        name: "not installed" for name, module in _MODULES.items() if importlib.util.find_spec(module) is None
    }
    for name in options.data:
        try:
            data = load_data(name, folder, options.home)
        except FileNotFoundError as error:
            left_out[name] = str(error)
            continue
        for system in systems(*data.vectors.shape):
            if system.name.split()[0] in left_out or not any(s in system.name for s in options.systems):
                continue
            print(f"{name}: {system.name}", file=sys.stderr, flush=True)
            found = _measure(name, system.name, folder, options)
            if isinstance(found, str):
                left_out[f"{name}, {system.name}"] = found
            elif found:
                measured.append(Measured(name, system.name, len(data.vectors), **found))
    if options.stage == "build":
        return 0
    text = render(describe_machine(), measured, left_out)
    print(text)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "index.txt").write_text(text + "\n", encoding="utf-8")
    content = {"machine": describe_machine(), "left_out": left_out, "measured": [m.__dict__ for m in measured]}
    (options.results / "index.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    draw([m.__dict__ for m in measured], options.results / "index.png")
    return 0


def _measure(data: str, system: str, folder: Path, options: argparse.Namespace) -> dict[str, Any] | str | None:
    """Builds where nothing is built, then searches; the reason where that failed, None where nothing was to do."""
    path = index_path(folder, data, system)
    built = path.with_suffix(".built")
    if not built.is_file():
        if options.stage == "search":
            return None
        outcome = _child("build", data, system, folder, options)
        if isinstance(outcome, str):
            return outcome
    if options.stage == "build":
        return None
    outcome = _child("search", data, system, folder, options)
    return outcome if isinstance(outcome, str) else {"built": json.loads(built.read_text(encoding="utf-8")), **outcome}


def _child(step: str, data: str, system: str, folder: Path, options: argparse.Namespace) -> dict[str, Any] | str:
    command = [sys.executable, "-m", "benchmarks.index_bench_measure", step, data, system]
    try:
        done = subprocess.run(
            [*command, str(folder), str(options.home)],
            env=os.environ | ONE_THREAD,
            capture_output=True,
            text=True,
            timeout=options.timeout,
        )
    except subprocess.TimeoutExpired:
        return f"{step} took more than {options.timeout} s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"{step} ended with {done.returncode}"
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return report


def render(machine: dict[str, Any], measured: Sequence[Measured], left_out: dict[str, str]) -> str:
    """Every measured point, the fastest at equal recall, and what is missing."""
    sections = [f"{machine['cpu']}, one thread, {machine['when']}; recall@10, queries/s single and in batches of 64"]
    for data in dict.fromkeys(m.data for m in measured):
        here = [m for m in measured if m.data == data]
        head = (
            "index",
            "effort",
            "recall",
            "q/s",
            "p95 ms",
            "q/s batch",
            "B/vector",
            "resident B",
            "built s",
            "peak MB",
        )
        rows = [
            (
                m.system,
                p["effort"],
                number(p["recall"], 3),
                number(p["qps"], 0),
                number(p["p95_ms"], 2),
                number(p["batch_qps"], 0),
                number(m.bytes / m.rows, 0),
                number(m.resident / m.rows, 0),
                number(m.built["seconds"], 0),
                number(m.built["peak_mb"], 0),
            )
            for m in here
            for p in m.points
        ]
        sections.append(f"{data}: {here[0].rows} rows\n{table(head, rows)}")
        fastest = []
        for recall in _RECALLS:
            reaching = [(m, p) for m in here if (p := m.at(recall)) is not None]
            for m, p in sorted(reaching, key=lambda found: -found[1]["qps"])[:8]:
                fastest.append((f"{recall:.2f}", m.system, p["effort"], number(p["qps"], 0), number(m.bytes / 1e6, 1)))
        sections.append(f"{data}: fastest at recall\n{table(('recall', 'index', 'effort', 'q/s', 'MB'), fastest)}")
    sections += [f"left out: {name}: {reason}" for name, reason in left_out.items()]
    return "\n\n".join(sections)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Vector indexes: recall, queries a second, bytes.")
    parser.add_argument("--data", nargs="+", help=f"default: {' '.join(DATA)}; also clustered-N, isotropic-N")
    parser.add_argument("--systems", nargs="+", default=[""], help="only those whose name contains one of these")
    parser.add_argument("--quick", action="store_true", help=f"a few minutes: {' '.join(QUICK)}")
    parser.add_argument("--stage", choices=("build", "search", "all"), default="all")
    parser.add_argument("--timeout", type=float, default=7_200, help="seconds that one build or measurement may take")
    parser.add_argument("--home", type=Path, default=lineside_home())
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    options.data = options.data or (QUICK if options.quick else DATA)
    return options


if __name__ == "__main__":
    sys.exit(main())
