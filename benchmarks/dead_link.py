"""What a dead link to the cluster costs a question at a gateway: `python -m benchmarks.dead_link`.

The demo's knowledge behind a real router, in this process. Every question is analytics (priority batch), which goes to
the cluster where that can be reached: the worst case. Compared with the same pipeline without a router.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import structlog
import typer

from benchmarks.latency import Summary
from benchmarks.queries import DEMO
from demo.prepare_models import lineside_home
from edge.routing import Cloud, KnowledgeState, Router, RoutingSettings
from lineside.local import LocalApplication
from lineside.schema import AnswerRequest
from webapi.service import Answers


def measure(
    questions: Annotated[int, typer.Option(help="questions a row")] = 300,
    deadline_ms: Annotated[int, typer.Option(help="of each question")] = 1_000,
) -> None:
    """Prints the first questions, which find out, and the percentiles of those after the breaker has opened."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    asked = _questions(questions)
    with LocalApplication.load(lineside_home()) as application:
        asyncio.run(_compare(application, asked, deadline_ms))


async def _compare(application: LocalApplication, asked: Sequence[str], deadline_ms: int) -> None:
    state = KnowledgeState(application.index.release, frozenset(application.index.families), datetime.now(UTC))

    def knowledge() -> KnowledgeState:
        return state

    await _ask(application.answerer, asked, deadline_ms)  # warm
    with _closed_port() as closed, _black_hole() as silent:
        links = {"port closed": closed, "silent: takes connections, never answers": silent}
        clouds = {name: Cloud(RoutingSettings(cluster=(url,)), "cell-1") for name, url in links.items()}
        rows: dict[str, Answers] = {"no router": application.answerer}
        first: dict[str, list[float]] = {"no router": []}
        for name, cloud in clouds.items():
            rows[name] = Router(application.answerer, cloud, cloud.settings, knowledge, gateway="cell-1")
            first[name] = []
            while cloud.reachable:
                first[name] += await _ask(rows[name], asked[:1], deadline_ms)
        took: dict[str, list[float]] = {name: [] for name in rows}
        for question in asked:  # in turn, so that what else this machine does meets all rows alike
            for name, answers in rows.items():
                took[name] += await _ask(answers, [question], deadline_ms)
        for cloud in clouds.values():
            await cloud.close()
    for name in rows:
        print(_line(name, first[name], took[name]))


async def _ask(answers: Answers, asked: Sequence[str], deadline_ms: int) -> list[float]:
    """Seconds that each answer took, one after the other."""
    took = []
    for question in asked:
        request = AnswerRequest(question=question, mode="extract", priority="batch", deadline_ms=deadline_ms)
        started = time.perf_counter()
        await answers.answer(request, None, request_id="q", deadline=answers.deadline(request))
        took.append(time.perf_counter() - started)
    return took


def _line(name: str, first: Sequence[float], took: Sequence[float]) -> str:
    summary = Summary.of(took)
    assert summary is not None
    finding_out = ", ".join(f"{seconds * 1_000:.0f}" for seconds in first) or "none"
    return f"{name:42} finding out: {finding_out:20} ms; then p50 {summary.p50:.1f}, p95 {summary.p95:.1f} ms"


def _questions(count: int) -> list[str]:
    files = sorted((DEMO / "questions").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    texts = [json.loads(line)["question"] for line in lines]
    return [texts[i % len(texts)] for i in range(count)]


@contextmanager
def _black_hole() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _closed_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield url


if __name__ == "__main__":
    typer.run(measure)
