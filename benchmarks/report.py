"""The side-by-side run as a text table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.acceptance import promises
from benchmarks.rounds import Run
from benchmarks.scenarios import BASELINE, GENERATE, LINESIDE

_HEAD = (
    "scenario",
    "service",
    "req/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "x base",
    "of raw",
    "CPU ms",
    "load ms",
    "failed",
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first two to the left, the others to the right."""
    widths = [max(len(str(line[i])) for line in (head, *rows)) for i in range(len(head))]

    def format_line(line: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join((format_line(head), format_line(["-" * w for w in widths]), *map(format_line, rows)))


def number(value: float | None, digits: int = 1, suffix: str = "") -> str:
    return "-" if value is None else f"{value:.{digits}f}{suffix}"


def render(run: Run) -> str:
    """Everything that `make bench` prints."""
    return "\n\n".join(section for section in _sections(run) if section)


def _sections(run: Run) -> Iterator[str]:
    m = run.machine
    yield (
        f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']:.0f} GB; torch {m['torch']}, "
        f"{m['when']}; {'quick run, ' if run.quick else ''}{len(run.rounds)} round(s), medians over rounds"
    )
    yield table(
        ("round", "service", "ready s", "memory MB", "idle CPU", "machine GFLOP/s", "load avg", "replies"),
        [
            (
                str(p.round),
                p.service,
                number(p.ready_s),
                number(p.memory_mb, 0),
                number(100 * p.idle_cpu_share, 0, " %"),
                number(p.machine_gflops, 0),
                number(p.load_average),
                ", ".join(f"{k} {v}" for k, v in p.replies.items()),
            )
            for p in run.phases
        ],
    )
    yield table(_HEAD, list(_rows(run)))
    yield _raw(run)
    yield _stream(run)
    yield _notes(run)
    yield "\n".join(str(line) for line in promises(run))


def _rows(run: Run) -> Iterator[tuple[str, ...]]:
    for scenario in run.scenarios:
        for service in (BASELINE, LINESIDE):
            rate, latency = run.rate(service, scenario), run.latency(service, scenario)
            if rate is None:
                continue
            is_closed = "closed" in scenario
            own, base = partial(run.rate, service, scenario), partial(run.rate, BASELINE, scenario)
            against, raw = run.ratio(own, base), run.ratio(own, run.raw_best)
            yield (
                scenario,
                service,
                number(rate),
                number(latency.p50 if latency else None),
                number(latency.p95 if latency else None),
                number(latency.p99 if latency else None),
                number(against if is_closed and service != BASELINE else None, 2),
                number(raw if is_closed and scenario.endswith(", text") else None, 2),
                number(run.cpu_ms(service, scenario), 2),
                number(run.generator_ms(service, scenario), 2),
                str(run.failures(service, scenario)),
            )


def _raw(run: Run) -> str:
    settings = sorted({(p.threads, p.batch, p.dtype) for points in run.raw.values() for p in points})
    rows = []
    for threads, batch, dtype in settings:
        same = [p for ps in run.raw.values() for p in ps if (p.threads, p.batch, p.dtype) == (threads, batch, dtype)]
        rate = sorted(p.questions_per_s for p in same)[len(same) // 2]
        cpu = sorted(p.cpu_ms_per_question for p in same)[len(same) // 2]
        rows.append(
            (f"text encoder alone, {dtype}", f"{threads} thread(s), batch {batch}", number(rate), number(cpu, 2))
        )
    return table(("raw limit", "setting", "questions/s", "CPU ms"), rows) if rows else ""


def _stream(run: Run) -> str:
    rows = []
    for name in ("evidence", "token", "answer"):
        seen = run.event(LINESIDE, GENERATE, name)
        if seen is not None:
            rows.append((name, str(seen.n), *(number(v) for v in (seen.p50, seen.p95, seen.p99))))
    return table((GENERATE, "n", "p50 ms", "p95 ms", "p99 ms"), rows) if rows else ""


def _notes(run: Run) -> str:
    lag = [row.measured.result.send_lag for row in run.rows if row.scenario.startswith("open")]
    worst = max((s.p99 for s in lag if s is not None), default=0.0)
    return (
        "Latency counts from the intended send time; time-outs count at the time waited. CPU ms: per request, over\n"
        "the service's whole process tree; load ms: the load generator's own, on the same cores, not included.\n"
        f"p99 of the generator's send lag in the open loop: at most {worst:.1f} ms. "
        f"Bodies sent more than once: {run.repeats}."
    )
