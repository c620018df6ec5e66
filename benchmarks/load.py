"""The load generator: closed loop at a concurrency, open loop at a rate, in a process of its own.

In the open loop all arrival times are drawn before the run, and a latency counts from the time at which the request
was meant to be sent: a server that stalls is charged for everyone who would have come meanwhile (no coordinated
omission: Tene, "How NOT to Measure Latency"). `python -m benchmarks.load` runs one plan; it reads the plan as JSON on
stdin, prints a JSON line at the start and the end of the measured window and one with the result.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import uvloop

from benchmarks.http1 import CONNECTION, TIMEOUT, Connection, Reply
from benchmarks.latency import Summary
from benchmarks.target import Target

Arrivals = Literal["poisson", "uniform"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One load run. Exactly one of `concurrency` (closed loop) and `rate_per_s` (open loop) is given.

    `bodies` is a file with one JSON body a line; line `offset` is sent first. With `count`, the measured window ends
    once that many requests have been sent in it, or after `duration_s`.
    """

    url: str
    bodies: str
    concurrency: int | None = None
    rate_per_s: float | None = None
    arrivals: Arrivals = "poisson"
    warmup_s: float = 1.0
    duration_s: float = 5.0
    count: int | None = None
    timeout_s: float = 10.0
    max_connections: int = 512
    offset: int = 0
    seed: int = 0
    stream: bool = False

    def __post_init__(self) -> None:
        if (self.concurrency is None) == (self.rate_per_s is None):
            raise ValueError("give either a concurrency (closed loop) or a rate_per_s (open loop)")
        if (self.concurrency is not None and self.concurrency < 1) or (
            self.rate_per_s is not None and self.rate_per_s <= 0
        ):
            raise ValueError("concurrency and rate_per_s must be positive")
        if self.duration_s <= 0 or self.warmup_s < 0 or self.timeout_s <= 0:
            raise ValueError("duration_s and timeout_s must be positive, warmup_s not negative")


@dataclass(frozen=True, slots=True)
class Result:
    """What a run measured.

    `latency`: replies with status 2xx and time-outs (at the time waited: a lower bound), so that a server cannot look
    fast by never answering; other outcomes are only counted. `completed` and `requests_per_s`: 2xx replies that ended
    inside the window. `send_lag`: intended to actual sending, the generator's own share. `repeats`: requests whose
    body had been sent before. `events`: first arrival of each server-sent event.
    """

    completed: int
    window_s: float
    requests_per_s: float
    outcomes: dict[str, int]
    latency: Summary | None
    events: dict[str, Summary]
    send_lag: Summary | None
    sent: int
    repeats: int
    generator_cpu_s: float

    @property
    def failures(self) -> int:
        return sum(n for outcome, n in self.outcomes.items() if not outcome.startswith("2"))

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Result:
        def summary(value: dict[str, Any] | None) -> Summary | None:
            return None if value is None else Summary(**value)

        events = {name: Summary(**value) for name, value in data["events"].items()}
        lags = {"latency": summary(data["latency"]), "send_lag": summary(data["send_lag"])}
        return cls(**{**data, **lags, "events": events})


@dataclass(slots=True)
class Sample:
    """One request: `perf_counter` times in seconds."""

    intended: float
    sent: float
    reply: Reply


def arrival_times(rate_per_s: float, duration_s: float, arrivals: Arrivals, seed: int) -> np.ndarray:
    """Sorted arrival offsets in `[0, duration_s)`, shape (n,) float64 seconds, fixed before anything is sent."""
    if arrivals == "uniform":
        return np.arange(0.0, duration_s, 1.0 / rate_per_s)
    rng = np.random.default_rng(seed)
    expected = rate_per_s * duration_s
    gaps = rng.exponential(1.0 / rate_per_s, size=int(expected + 10 * expected**0.5 + 10))
    times = np.cumsum(gaps)
    return times[times < duration_s]


class _Run:
    """State of one run inside its process."""

    def __init__(self, plan: Plan, target: Target, requests: Sequence[bytes], on_window: Callable[[str], None]) -> None:
        self.plan = plan
        self.target = target
        self.requests = requests
        self.on_window = on_window
        self.next = 0
        self.samples: list[Sample] = []
        self.idle: list[Connection] = []
        self.opened = 0
        self.cpu = [0.0, 0.0]
        self.window = [0.0, 0.0]

    def take_request(self) -> bytes:
        request = self.requests[self.next % len(self.requests)]
        self.next += 1
        return request

    def mark(self, which: int, at: float | None = None) -> None:
        """Note an end of the window, which lies at `at` (a timer rings later) or now."""
        self.window[which] = perf_counter() if at is None else at
        self.cpu[which] = time.process_time()
        self.on_window(("window_start", "window_end")[which])

    async def exchange(self, connection: Connection | None, intended: float | None) -> Connection | None:
        """Send one request, note the sample, and return the connection if it can be used again."""
        if connection is None or not connection.usable:
            try:
                connection = await Connection.open(self.target)
            except OSError:
                now = perf_counter()
                self.samples.append(Sample(intended or now, now, Reply(CONNECTION, now)))
                await asyncio.sleep(0.05)  # a server that is down must not be hammered by a closed loop
                return None
        sent = perf_counter()
        reply = await connection.send(self.take_request(), self.plan.timeout_s)
        self.samples.append(Sample(sent if intended is None else intended, sent, reply))
        return connection if connection.usable else None

    async def closed(self) -> None:
        plan = self.plan
        assert plan.concurrency is not None
        start = perf_counter() + plan.warmup_s
        stop = start + plan.duration_s
        sent_in_window = 0
        enough = asyncio.Event()

        async def client() -> None:
            nonlocal sent_in_window
            connection: Connection | None = None
            while not enough.is_set() and (now := perf_counter()) < stop:
                if now >= start:
                    sent_in_window += 1
                    if plan.count is not None and sent_in_window >= plan.count:
                        enough.set()
                connection = await self.exchange(connection, None)
            if connection is not None:
                connection.close()

        clients = [asyncio.create_task(client()) for _ in range(plan.concurrency)]
        await asyncio.sleep(start - perf_counter())
        self.mark(0)
        if plan.count is None:
            await asyncio.sleep(stop - perf_counter())
            self.mark(1)
            await asyncio.gather(*clients)
        else:
            await asyncio.gather(*clients)
            self.mark(1)

    async def open_one(self, intended: float, slots: asyncio.Semaphore) -> None:
        async with slots:
            connection = None
            while self.idle and (connection is None or not connection.usable):
                connection = self.idle.pop()
            connection = await self.exchange(connection, intended)
            if connection is not None:
                self.idle.append(connection)

    async def open(self) -> None:
        plan = self.plan
        assert plan.rate_per_s is not None
        offsets = arrival_times(plan.rate_per_s, plan.warmup_s + plan.duration_s, plan.arrivals, plan.seed)
        if plan.count is not None:
            before = int(np.searchsorted(offsets, plan.warmup_s))
            offsets = offsets[: before + plan.count]
        slots = asyncio.Semaphore(plan.max_connections)
        tasks: set[asyncio.Task[None]] = set()
        base = perf_counter() + 0.01
        start = base + plan.warmup_s
        asyncio.get_running_loop().call_later(start - perf_counter(), self.mark, 0, start)
        for offset in offsets.tolist():
            due = base + offset
            await _until(due)
            task = asyncio.create_task(self.open_one(due, slots))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if plan.count is None:
            await _until(start + plan.duration_s)
            self.mark(1, start + plan.duration_s)
            await asyncio.gather(*tasks)
        else:
            await asyncio.gather(*tasks)
            self.mark(1)
        for connection in self.idle:
            connection.close()

    def result(self) -> Result:
        start, end = self.window
        measured = [s for s in self.samples if start <= s.intended < end or (self.plan.count and s.intended >= start)]
        good = [s for s in measured if s.reply.outcome.startswith("2")]
        counted = good + [s for s in measured if s.reply.outcome == TIMEOUT]
        completed = sum(s.reply.outcome.startswith("2") and start <= s.reply.finished <= end for s in self.samples)
        names = sorted({name for s in good for name in s.reply.events})
        events = {n: [s.reply.events[n] - s.intended for s in good if n in s.reply.events] for n in names}
        return Result(
            completed=completed,
            window_s=end - start,
            requests_per_s=completed / (end - start),
            outcomes=dict(Counter(s.reply.outcome for s in measured)),
            latency=Summary.of([s.reply.finished - s.intended for s in counted]),
            events={name: summary for name, times in events.items() if (summary := Summary.of(times))},
            send_lag=Summary.of([s.sent - s.intended for s in measured]),
            sent=self.next,
            repeats=max(0, self.next - len(self.requests)),
            generator_cpu_s=self.cpu[1] - self.cpu[0],
        )


async def generate_load(
    plan: Plan, bodies: Sequence[bytes], on_window: Callable[[str], None] = lambda _: None
) -> Result:
    """Run a plan in this process. `on_window` hears `window_start` and `window_end`.

    Raises:
        TargetRefused: the plan's URL is not a loopback address.
        ValueError: no bodies.
    """
    target = Target.parse(plan.url)
    if not bodies:
        raise ValueError("no request bodies")
    accept = "text/event-stream" if plan.stream else "application/json"
    requests = [target.post(body, accept=accept) for body in bodies]
    run = _Run(plan, target, requests, on_window)
    await (run.closed() if plan.concurrency is not None else run.open())
    return run.result()


async def _until(due: float) -> None:
    """Sleep until `due`. Timers have whole milliseconds and may ring early: what is left is waited for again."""
    while (delay := due - perf_counter()) > 0:  # noqa: ASYNC110  a time is awaited, not an event
        await asyncio.sleep(delay)


def read_bodies(path: Path, offset: int) -> list[bytes]:
    """The lines of a file from line `offset` on, then the ones before it."""
    lines = path.read_bytes().splitlines()
    start = offset % len(lines) if lines else 0
    return lines[start:] + lines[:start]


def main() -> None:
    """Run the plan on stdin; see the module's docstring."""
    plan = Plan(**json.load(sys.stdin))
    bodies = read_bodies(Path(plan.bodies), plan.offset)

    def say(event: str) -> None:
        print(json.dumps({"event": event}), flush=True)

    gc.freeze()
    gc.disable()  # a run is short, and a collection of many bodies would count as latency
    result = uvloop.run(generate_load(plan, bodies, say))
    print(json.dumps({"event": "result", "result": result.to_json()}), flush=True)


if __name__ == "__main__":
    main()
