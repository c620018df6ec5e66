"""The load generator tells the truth about a server that answers, stalls, refuses, breaks or streams."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.load import Plan, Result, arrival_times, generate_load, read_bodies
from benchmarks.processes import run_load
from benchmarks.target import Target, TargetRefused

from .conftest import JSON_REPLY, http_server

BODIES = [json.dumps({"question": f"question {n}"}).encode() for n in range(500)]


def load(handle, **plan) -> Result:  # type: ignore[no-untyped-def]
    async def run() -> Result:
        async with http_server(handle) as url:
            return await generate_load(Plan(url=url, bodies="", **{"warmup_s": 0.0, **plan}), BODIES)

    return asyncio.run(run())


async def at_once(_: int, writer: asyncio.StreamWriter) -> None:
    writer.write(JSON_REPLY)


async def after_20_ms(_: int, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.02)
    writer.write(JSON_REPLY)


def test_closed_loop_keeps_the_concurrency_it_was_given() -> None:
    running = highest = 0

    async def handle(n: int, writer: asyncio.StreamWriter) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await after_20_ms(n, writer)
        running -= 1

    result = load(handle, concurrency=7, duration_s=0.5)
    assert highest == 7
    assert result.latency is not None
    assert 20 <= result.latency.p50 < 200
    assert result.requests_per_s <= 7 / 0.020
    assert result.failures == 0


def test_closed_loop_sends_the_counted_number_of_requests() -> None:
    result = load(at_once, concurrency=4, duration_s=10.0, count=40)
    assert 40 <= sum(result.outcomes.values()) < 40 + 4
    assert result.window_s < 5.0


def test_open_loop_charges_a_stall_to_every_request_that_was_due_in_it() -> None:
    """A 400 ms stall of a server on 100 requests/s delays some 40 requests, not one."""

    async def handle(n: int, writer: asyncio.StreamWriter) -> None:
        if n == 20:
            time.sleep(0.4)  # noqa: ASYNC251  the whole server stands still
        writer.write(JSON_REPLY)

    async def run(url: str) -> Result:
        plan = Plan(url=url, bodies="", rate_per_s=100.0, arrivals="uniform", warmup_s=0.0, duration_s=1.5)
        return await generate_load(plan, BODIES)

    result = asyncio.run(_with_server_thread(handle, run))
    assert result.latency is not None
    assert result.latency.n == 150
    assert result.latency.p99 > 300
    assert result.latency.mean > 400 * 0.5 * 40 / 150 * 0.6  # mean of a triangle of waits over all requests
    assert result.latency.p50 < 250


async def _with_server_thread(handle, run):  # type: ignore[no-untyped-def]
    """Run the server on a loop of its own, so that its stall does not stall the generator."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    server_loop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        server_loop.append((asyncio.get_running_loop(), stop))
        async with http_server(handle) as address:
            loop.call_soon_threadsafe(url.set_result, address)
            await stop.wait()

    thread = asyncio.create_task(asyncio.to_thread(asyncio.run, serve()))
    try:
        return await run(await url)
    finally:
        done.set()
        owner, stop = server_loop[0]
        owner.call_soon_threadsafe(stop.set)
        await thread


def test_open_loop_keeps_sending_while_replies_are_late() -> None:
    result = load(after_20_ms, rate_per_s=200.0, arrivals="uniform", duration_s=0.5)
    assert sum(result.outcomes.values()) == 100
    assert result.latency is not None
    assert result.latency.p50 < 250


def test_time_outs_count_at_the_time_waited() -> None:
    async def handle(n: int, writer: asyncio.StreamWriter) -> None:
        if n % 2:
            await asyncio.sleep(5)
        writer.write(JSON_REPLY)

    result = load(handle, concurrency=2, duration_s=0.5, timeout_s=0.2)
    assert result.outcomes["timeout"] >= 2
    assert result.failures == result.outcomes["timeout"]
    assert result.latency is not None
    assert result.latency.max >= 200


def test_error_replies_are_counted_and_kept_out_of_the_latency() -> None:
    async def handle(n: int, writer: asyncio.StreamWriter) -> None:
        writer.write(JSON_REPLY if n % 4 else b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")

    result = load(handle, concurrency=1, duration_s=5.0, count=100)
    assert result.outcomes == {"200": 75, "503": 25}
    assert result.latency is not None
    assert result.latency.n == 75


def test_broken_connections_are_failures_and_new_ones_are_opened() -> None:
    async def handle(n: int, writer: asyncio.StreamWriter) -> None:
        if n % 2:
            writer.transport.abort()
        else:
            writer.write(JSON_REPLY)

    result = load(handle, concurrency=1, duration_s=5.0, count=40)
    assert result.outcomes == {"200": 20, "connection": 20}


def test_chunked_replies_are_read_to_their_end() -> None:
    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")
        await asyncio.sleep(0.03)
        writer.write(b"0\r\n\r\n")

    result = load(handle, concurrency=1, duration_s=5.0, count=5)
    assert result.latency is not None
    assert result.latency.p50 >= 30


def stream(*events: str, pause_s: float = 0.03):  # type: ignore[no-untyped-def]
    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in events:
            data = f"event: {event}\r\ndata: {{}}\r\n\r\n".encode()
            for part in (data[:9], data[9:]):  # the name arrives in two pieces
                writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
            await asyncio.sleep(pause_s)
        writer.write(b"0\r\n\r\n")

    return handle


def test_stream_times_evidence_first_token_and_answer() -> None:
    result = load(stream("evidence", "token", "token", "answer"), concurrency=1, duration_s=5.0, count=3, stream=True)
    evidence, token, answer = (result.events[name] for name in ("evidence", "token", "answer"))
    assert evidence.p50 < 30 <= token.p50 < answer.p50
    assert answer.p50 >= 90
    assert result.outcomes == {"200": 3}


@pytest.mark.parametrize("events", [("evidence", "token"), ("evidence", "error"), ("evidence", "answer", "error")])
def test_stream_without_a_clean_answer_is_a_failure(events: tuple[str, ...]) -> None:
    result = load(stream(*events, pause_s=0.0), concurrency=1, duration_s=5.0, count=2, stream=True)
    assert result.outcomes == {"stream": 2}
    assert result.latency is None


def test_nothing_listening_is_a_failure_not_an_exception() -> None:
    async def run() -> Result:
        async with http_server(at_once) as url:
            pass
        return await generate_load(Plan(url=url, bodies="", concurrency=2, warmup_s=0.0, duration_s=0.2), BODIES)

    result = asyncio.run(run())
    assert result.completed == 0
    assert set(result.outcomes) == {"connection"}


@pytest.mark.parametrize("url", ["http://192.0.2.1/x", "http://[2001:db8::1]:80/", "http://0.0.0.0:80/"])
def test_only_loopback_targets_are_loaded(url: str) -> None:
    with pytest.raises(TargetRefused, match="loopback"):
        asyncio.run(generate_load(Plan(url=url, bodies="", concurrency=1), BODIES))


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "ftp://127.0.0.1/", "127.0.0.1:80"])
def test_only_plain_http_is_loaded(url: str) -> None:
    with pytest.raises(TargetRefused, match="http://"):
        Target.parse(url)


def test_localhost_and_ipv6_loopback_are_accepted() -> None:
    assert Target.parse("http://localhost:8000/v1/retrieve").path == "/v1/retrieve"
    assert Target.parse("http://[::1]:8000/").address == "::1"


def test_poisson_arrivals_have_the_rate_and_are_the_same_for_a_seed() -> None:
    times = arrival_times(200.0, 50.0, "poisson", seed=3)
    assert np.array_equal(times, arrival_times(200.0, 50.0, "poisson", seed=3))
    assert np.all(np.diff(times) > 0)
    assert times[-1] < 50.0
    assert len(times) == pytest.approx(10_000, rel=0.05)
    assert np.diff(times).std() == pytest.approx(1 / 200, rel=0.1)


@pytest.mark.parametrize("loop", [{}, {"concurrency": 1, "rate_per_s": 1.0}, {"concurrency": 0}, {"rate_per_s": -1.0}])
def test_plan_needs_exactly_one_loop(loop: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="concurrency"):
        Plan(url="http://127.0.0.1/", bodies="", **loop)  # type: ignore[arg-type]


def test_bodies_start_at_the_offset_and_come_round(tmp_path: Path) -> None:
    path = tmp_path / "bodies.jsonl"
    path.write_text("a\nb\nc\n")
    assert read_bodies(path, 4) == [b"b", b"c", b"a"]


@pytest.mark.integration
def test_load_in_its_own_process_reports_repeats_and_the_services_cpu(tmp_path: Path) -> None:
    path = tmp_path / "bodies.jsonl"
    path.write_bytes(b"\n".join(BODIES[:10]))

    async def run(url: str):  # type: ignore[no-untyped-def]
        plan = Plan(url=url, bodies=str(path), concurrency=1, warmup_s=0.0, duration_s=20.0, count=25)
        readings = iter([{(1, 0.0): 1.0}, {(1, 0.0): 1.5, (2, 0.0): 0.25}])
        return await asyncio.to_thread(run_load, plan, lambda: next(readings))

    measured = asyncio.run(_with_server_thread(at_once, run))
    assert measured.result.completed == 25
    assert measured.result.repeats == 15
    assert measured.service_cpu_s == pytest.approx(0.75)
    assert measured.cpu_ms_per_request == pytest.approx(30.0)
