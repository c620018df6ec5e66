"""The figures that the project promises of itself, checked against what one run measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.latency import Summary
from benchmarks.rounds import Run
from benchmarks.scenarios import BASELINE, EXTRACT, EXTRACT_IMAGE, GENERATE, LINESIDE, closed


@dataclass(frozen=True, slots=True)
class Promise:
    """One figure and its bound. `value` is None where the run did not measure it; `kept` then is None too."""

    text: str
    value: float | None
    bound: float
    at_least: bool
    unit: str

    @property
    def kept(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        verdict = {True: "pass", False: "MISS", None: "none"}[self.kept]
        value = "not measured" if self.value is None else f"{self.value:.2f}{self.unit}"
        sense = "at least" if self.at_least else "at most"
        return f"{verdict}  {self.text}: {value} ({sense} {self.bound:g}{self.unit})"


def promises(run: Run) -> list[Promise]:
    """Ratios are medians over rounds of ratios taken within a round."""
    busy, alone = closed("text", 64), closed("text", 1)

    against_baseline = run.ratio(lambda r: run.rate(LINESIDE, busy, r), lambda r: run.rate(BASELINE, busy, r))
    against_raw = run.ratio(lambda r: run.rate(LINESIDE, busy, r), run.raw_best)
    p50 = run.ratio(lambda r: _p50(run.latency(LINESIDE, alone, r)), lambda r: _p50(run.latency(BASELINE, alone, r)))
    evidence = run.event(LINESIDE, GENERATE, "evidence")
    return [
        Promise("text retrieval at concurrency 64, requests/s against the baseline", against_baseline, 6.0, True, "x"),
        Promise("text retrieval at concurrency 64, requests/s against the raw encoder", against_raw, 0.5, True, "x"),
        Promise("text retrieval at concurrency 1, p50 against the baseline", p50, 1.3, False, "x"),
        Promise("extractive answers at 10/s, p95", _p95(run.latency(LINESIDE, EXTRACT)), 45.0, False, " ms"),
        Promise(
            "extractive answers with image at 10/s, p95", _p95(run.latency(LINESIDE, EXTRACT_IMAGE)), 80.0, False, " ms"
        ),
        Promise("evidence event while answers are generated, p95", _p95(evidence), 100.0, False, " ms"),
        Promise("requests of this application that failed", float(_failures(run)), 0.0, False, ""),
    ]


def _p50(summary: Summary | None) -> float | None:
    return None if summary is None else summary.p50


def _p95(summary: Summary | None) -> float | None:
    return None if summary is None else summary.p95


def _failures(run: Run) -> int:
    return sum(run.failures(LINESIDE, scenario) for scenario in run.scenarios)
