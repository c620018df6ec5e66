"""The side-by-side run as a picture: latency against throughput, highest rates, CPU, and the stream's timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.queries import KINDS, Kind
from benchmarks.rounds import Run
from benchmarks.scenarios import BASELINE, CONCURRENCIES, EXTRACT, EXTRACT_IMAGE, GENERATE, LINESIDE, closed

_COLOUR: Final = {BASELINE: "#b0562b", LINESIDE: "#1f6f8b"}
_GREY: Final = "#666666"


def draw(run: Run, path: Path) -> None:
    """Write the plot as PNG."""
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 3, figsize=(15, 8.5), constrained_layout=True)
    for axis, kind in zip(axes[0], KINDS, strict=True):
        _curves(axis, run, kind)
    _bars(axes[1][0], run)
    _cpu(axes[1][1], run)
    _answers(axes[1][2], run)
    quick = " (quick run)" if run.quick else ""
    figure.suptitle(f"One machine, {run.machine['cores']} cores: {run.machine['cpu']}{quick}, {run.machine['when']}")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _curves(axis: Any, run: Run, kind: Kind) -> None:
    axis.set_title(f"retrieval, {kind}: latency at throughput")
    drawn = False
    for service in (BASELINE, LINESIDE):
        points = [(n, run.rate(service, closed(kind, n)), run.latency(service, closed(kind, n))) for n in CONCURRENCIES]
        known = [(n, rate, latency) for n, rate, latency in points if rate is not None and latency is not None]
        if not known:
            continue
        drawn = True
        rates = [rate for _, rate, _ in known]
        axis.plot(rates, [s.p50 for *_, s in known], "o-", color=_COLOUR[service], label=f"{service} p50")
        axis.plot(rates, [s.p95 for *_, s in known], "^:", color=_COLOUR[service], label=f"{service} p95", alpha=0.7)
        for n, rate, latency in known:
            axis.annotate(
                str(n), (rate, latency.p50), textcoords="offset points", xytext=(5, -11), color=_COLOUR[service]
            )
    raw = run.raw_best()
    if kind == "text" and raw is not None:
        axis.axvline(raw, color=_GREY, linestyle="--", label="encoder alone, batched")
    if not drawn:
        _empty(axis)
        return
    axis.set_yscale("log")
    axis.set_xlim(left=0)
    axis.set_xlabel("requests per second, closed loop (numbers: concurrency)")
    axis.set_ylabel("latency, ms")
    axis.grid(alpha=0.25, which="both")
    axis.legend(frameon=False, loc="best")


def _empty(axis: Any) -> None:
    axis.text(0.5, 0.5, "not measured", ha="center", transform=axis.transAxes, color=_GREY)
    axis.set_axis_off()


def _pairs(axis: Any, run: Run, value: Any, digits: int) -> None:
    """One group of bars a kind, one bar a service."""
    for place, service in enumerate((BASELINE, LINESIDE)):
        heights = [value(service, kind) for kind in KINDS]
        xs = [n + (place - 0.5) * 0.38 for n in range(len(KINDS))]
        known = [(x, h) for x, h in zip(xs, heights, strict=True) if h is not None]
        if known:
            bars = axis.bar(*zip(*known, strict=True), width=0.36, color=_COLOUR[service], label=service)
            axis.bar_label(bars, fmt=f"%.{digits}f", padding=2)
    axis.set_xticks(range(len(KINDS)), KINDS)
    axis.set_xlim(-0.6, len(KINDS) - 0.4)
    axis.margins(y=0.15)


def _bars(axis: Any, run: Run) -> None:
    axis.set_title("requests per second at concurrency 64")
    _pairs(axis, run, lambda service, kind: run.rate(service, closed(kind, 64)), 0)
    raw = run.raw_best()
    if raw is not None:
        axis.plot((-0.45, 0.45), (raw, raw), "--", color=_GREY)
        axis.annotate(f"encoder alone {raw:.0f}", (0.47, raw), va="center", color=_GREY)
    axis.legend(frameon=False)


def _cpu(axis: Any, run: Run) -> None:
    axis.set_title("CPU ms per request at concurrency 64, all processes")
    _pairs(axis, run, lambda service, kind: run.cpu_ms(service, closed(kind, 64)), 1)
    axis.legend(frameon=False)


def _answers(axis: Any, run: Run) -> None:
    axis.set_title("answers: p50 (bar) and p95 (line), ms")
    rows = [
        ("extractive, 10/s", run.latency(LINESIDE, EXTRACT)),
        ("extractive with image, 10/s", run.latency(LINESIDE, EXTRACT_IMAGE)),
        ("streamed: evidence", run.event(LINESIDE, GENERATE, "evidence")),
        ("streamed: first token", run.event(LINESIDE, GENERATE, "token")),
        ("streamed: answer", run.event(LINESIDE, GENERATE, "answer")),
    ]
    known = [(name, seen) for name, seen in rows if seen is not None]
    if not known:
        _empty(axis)
        return
    for y, (_, seen) in enumerate(known):
        axis.barh(y, seen.p50, color=_COLOUR[LINESIDE], height=0.55)
        axis.plot((seen.p50, seen.p95), (y, y), color="black", linewidth=1.5)
        axis.annotate(f"{seen.p50:.0f} / {seen.p95:.0f}", (seen.p95, y), textcoords="offset points", xytext=(5, -3))
    axis.set_yticks(range(len(known)), [name for name, _ in known])
    axis.set_xscale("log")
    axis.set_xlim(left=1, right=4 * max(seen.p95 for _, seen in known))
    axis.invert_yaxis()
