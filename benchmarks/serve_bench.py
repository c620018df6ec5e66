"""Baseline, Serve application and raw encoder limit, side by side in one run: `python -m benchmarks.serve_bench`.

Only one of them runs at a time; a round gives each its turn, and the order turns round from round to round, so that
drift of the machine hits all alike. Writes a table, a JSON file and a plot to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import plots, scenarios
from benchmarks.acceptance import promises
from benchmarks.load import Plan
from benchmarks.machine import describe_machine, machine_gflops
from benchmarks.processes import Service, run_load, spent_between
from benchmarks.queries import KINDS, write_bodies
from benchmarks.raw_limit import run_raw_limit
from benchmarks.report import render
from benchmarks.rounds import Phase, Row, Run
from benchmarks.scenarios import BASELINE, LINESIDE, Scenario

RESULTS = Path(__file__).resolve().parent / "results"
RAW = "raw"


@dataclass(frozen=True)
class Contestant:
    """A service that can be started, where it listens, and what it is asked."""

    name: str
    command: tuple[str, ...]
    base_url: str
    paths: dict[str, str]
    scenarios: tuple[Scenario, ...]


class Bench:
    """One run. Bodies are written once, before anything is measured."""

    def __init__(self, run: Run, work: Path, logs: Path, *, seconds: float, warmup_s: float, k: int, seed: int) -> None:
        self.run = run
        self.work = work
        self.logs = logs
        self.seconds = seconds
        self.warmup_s = warmup_s
        self.k = k
        self.seed = seed
        self._written: dict[str, int] = {}

    def body_file(self, scenario: Scenario) -> Path:
        return self.work / f"{scenario.bodies}.jsonl"

    def write_bodies(self, wanted: Sequence[Scenario], texts: int, images: int) -> None:
        for scenario in wanted:
            path = self.body_file(scenario)
            if not path.exists():
                many = (texts if scenario.kind == "text" else images) if scenario.endpoint == "retrieve" else 800
                # Answers are asked what retrieval was not: another seed.
                seed = self.seed + 100 * (scenario.endpoint == "answer") + 1000 * (scenario.mode == "generate")
                self._written[scenario.bodies] = many
                share = 0.75 if scenario.endpoint == "answer" else 0.0
                write_bodies(path, scenario.kind, many, seed=seed, answerable_share=share, **scenario.fields(self.k))

    def turn(self, contestant: Contestant, number: int) -> None:
        """Start the service, let it answer every scenario, and stop it."""
        gflops, load = machine_gflops(), os.getloadavg()[0]
        service = Service(
            contestant.name,
            contestant.command,
            ready_url=f"{contestant.base_url}/readyz",
            log=self.logs / f"{contestant.name}.log",
        )
        with service:
            replies = {"passages": self._probe(contestant)}
            replies.update(self._probe_answers(contestant))
            before, began = service.cpu_seconds(), time.monotonic()
            time.sleep(2.0)
            idle = spent_between(before, service.cpu_seconds()) / (time.monotonic() - began)
            say(f"  {contestant.name} ready after {service.ready_s:.0f} s")
            sent: Counter[str] = Counter()
            capacity = 0.0
            for n, scenario in enumerate(contestant.scenarios):
                rate = scenario.rate_per_s or (scenario.share and max(1.0, scenario.share * capacity))
                plan = Plan(
                    url=contestant.base_url + contestant.paths[scenario.endpoint],
                    bodies=str(self.body_file(scenario)),
                    concurrency=scenario.concurrency,
                    rate_per_s=rate,
                    warmup_s=self.warmup_s,
                    duration_s=self.seconds * scenario.seconds_factor,
                    count=scenario.count,
                    timeout_s=60.0 if scenario.stream else 10.0,
                    offset=sent[scenario.bodies],
                    seed=self.seed + 10 * number + n,
                    stream=scenario.stream,
                )
                measured = run_load(plan, service.cpu_seconds)
                sent[scenario.bodies] += measured.result.sent
                if scenario.concurrency and scenario.kind == "text" and scenario.endpoint == "retrieve":
                    capacity = max(capacity, measured.result.requests_per_s)
                self.run.rows.append(Row(number, contestant.name, scenario.name, measured))
                latency = measured.result.latency
                shown = f"p50 {latency.p50:.1f} ms, p95 {latency.p95:.1f} ms" if latency else "no reply"
                say(f"    {scenario.name:<38} {measured.result.requests_per_s:7.1f} requests/s, {shown}")
            memory = service.rss_bytes() / 1e6
        self.run.repeats += sum(max(0, n - self._written[bodies]) for bodies, n in sent.items())
        self.run.phases.append(Phase(number, contestant.name, service.ready_s, memory, idle, gflops, load, replies))

    def _probe(self, contestant: Contestant) -> float:
        """Mean number of passages in ten replies that the load does not repeat.

        Raises:
            RuntimeError: a reply without any passage's text.
        """
        counts = []
        for kind in KINDS:
            for body in self._spare(Scenario("", kind)):
                reply = post(contestant.base_url + contestant.paths["retrieve"], body)
                passages = [e for e in reply["evidence"] if e["kind"] == "passage" and e["text"]]
                if not passages:
                    raise RuntimeError(f"{contestant.name} returned no passage for {json.loads(body)['question']!r}")
                counts.append(len(passages))
        return round(sum(counts) / len(counts), 1)

    def _probe_answers(self, contestant: Contestant) -> dict[str, int]:
        """Statuses of ten extractive answers, so that a fast abstention is not taken for a fast answer."""
        statuses: Counter[str] = Counter()
        for scenario in contestant.scenarios:
            if scenario.endpoint == "answer" and scenario.mode == "extract":
                for body in self._spare(scenario):
                    statuses[post(contestant.base_url + contestant.paths["answer"], body)["status"]] += 1
        return dict(statuses)

    def _spare(self, scenario: Scenario, count: int = 10) -> list[bytes]:
        path = self.body_file(scenario)
        return path.read_bytes().splitlines()[-count:] if path.exists() else []


def post(url: str, body: bytes) -> dict[str, Any]:
    """The JSON reply to one request. Raises: urllib.error.HTTPError."""
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def serve_command() -> tuple[str, ...]:
    """`lineside serve` of this environment."""
    script = Path(sys.executable).with_name("lineside")
    return (str(script), "serve") if script.exists() else (sys.executable, "-m", "lineside.cli", "serve")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, fewer scenarios")
    parser.add_argument("--rounds", type=int, help="default 2, quick 1")
    parser.add_argument("--seconds", type=float, help="measured window of a scenario; default 6, quick 3")
    parser.add_argument("--only", nargs="+", choices=(BASELINE, LINESIDE, RAW), default=[BASELINE, RAW, LINESIDE])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("LINESIDE_HOME") or ".lineside"))
    parser.add_argument("--baseline-port", type=int, default=8100)
    parser.add_argument("--serve-url", default="http://127.0.0.1:8000", help="where `lineside serve` listens")
    parser.add_argument("--serve-command", help="default: lineside serve")
    parser.add_argument("--k", type=int, default=8, help="passages asked for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a promise is missed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    rounds = options.rounds or (1 if options.quick else 2)
    retrieval = tuple(scenarios.retrieval(options.kinds, quick=options.quick))
    python_baseline = ("-m", "benchmarks.baseline_service", "--home", str(options.home), "--port")
    contestants = {
        BASELINE: Contestant(
            BASELINE,
            (sys.executable, *python_baseline, str(options.baseline_port)),
            f"http://127.0.0.1:{options.baseline_port}",
            {"retrieve": "/retrieve"},
            retrieval,
        ),
        LINESIDE: Contestant(
            LINESIDE,
            tuple(shlex.split(options.serve_command)) if options.serve_command else serve_command(),
            options.serve_url.rstrip("/"),
            {"retrieve": "/v1/retrieve", "answer": "/v1/answer"},
            (*retrieval, *scenarios.answering(options.kinds)),
        ),
    }
    run = Run(describe_machine(), options.quick)
    options.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lineside-bench-") as work:
        bench = Bench(
            run,
            Path(work),
            options.results,
            seconds=options.seconds or (3.0 if options.quick else 6.0),
            warmup_s=1.0 if options.quick else 1.5,
            k=options.k,
            seed=options.seed,
        )
        say("writing questions and frames")
        wanted = [s for name in options.only if name != RAW for s in contestants[name].scenarios] or list(retrieval)
        bench.write_bodies(wanted, 12_000 if options.quick else 40_000, 600 if options.quick else 2_500)
        text_bodies = bench.body_file(Scenario("", "text"))
        order = [name for name in (BASELINE, RAW, LINESIDE) if name in options.only]
        for number in range(1, rounds + 1):
            for name in order if number % 2 else reversed(order):
                say(f"round {number} of {rounds}: {name}")
                if name == RAW:
                    seconds = 2.0 if options.quick else 4.0
                    run.raw[number] = run_raw_limit(options.home / "models" / "minilm", text_bodies, seconds=seconds)
                else:
                    bench.turn(contestants[name], number)
    text = render(run)
    print(text)
    (options.results / "serve.txt").write_text(text + "\n", encoding="utf-8")
    (options.results / "serve.json").write_text(json.dumps(run.to_json(), indent=1), encoding="utf-8")
    plots.draw(run, options.results / "serve.png")
    say(f"written: {options.results}/serve.txt, serve.json, serve.png")
    return int(options.strict and any(p.kept is not True for p in promises(run)))


if __name__ == "__main__":
    sys.exit(main())
