"""The triggers of a re-index: only configured sources, one run at a time, and its progress for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from lineside.errors import Conflict, NotFound
from lineside.runs import ErrorReport, FileError, Run
from webapi import create_api

from .fake_service import FakeService


class FakeReindexing:
    """Keeps runs in memory; never finishes one by itself."""

    sources: Sequence[str] = ("s3://plant/manuals", "/srv/manuals")

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.notes: list[str] = []
        self.report = ErrorReport()

    async def start(self, source: str, note: str) -> Run:
        if any(run.state != "done" for run in self.runs.values()):
            raise Conflict("a re-index is under way: wait for it, then ask again")
        now = datetime.now(UTC)
        self.notes.append(note)
        run = Run(id=f"run-{len(self.runs)}", source=source, started=now, updated=now)
        self.runs[run.id] = run
        return run

    async def run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise NotFound(f"no run {run_id!r}")
        return self.runs[run_id]

    async def errors(self, run_id: str) -> ErrorReport:
        return self.report

    async def latest(self, count: int) -> list[Run]:
        return list(self.runs.values())[::-1][:count]


@pytest.fixture
def jobs() -> FakeReindexing:
    return FakeReindexing()


@pytest.fixture
async def http(service: FakeService, jobs: FakeReindexing) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_api(service, reindexing=jobs), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_run_is_started_and_followed(http: httpx.AsyncClient, jobs: FakeReindexing) -> None:
    started = await http.post("/v1/reindex", json={"source": "s3://plant/manuals", "note": "new pumps"})
    assert started.status_code == 202
    assert started.headers["location"] == "/v1/reindex/run-0"
    assert started.json()["run"]["state"] == "queued"
    assert jobs.notes == ["new pumps"]
    run = jobs.runs["run-0"]
    run.state, run.counts.parsed, run.stage.done = "parsing", 7, 7
    jobs.report = ErrorReport(errors=(FileError(path="a.pdf", reason="is encrypted", advice="remove its password"),))
    seen = (await http.get(started.headers["location"])).json()
    assert (seen["run"]["state"], seen["run"]["counts"]["parsed"], seen["silent"]) == ("parsing", 7, False)
    assert seen["errors"] == [{"path": "a.pdf", "reason": "is encrypted", "advice": "remove its password"}]
    assert [row["id"] for row in (await http.get("/v1/reindex")).json()] == ["run-0"]


async def test_a_second_run_waits_for_the_first(http: httpx.AsyncClient) -> None:
    await http.post("/v1/reindex", json={"source": "/srv/manuals"})
    second = await http.post("/v1/reindex", json={"source": "/srv/manuals"})
    assert second.status_code == 409
    assert int(second.headers["retry-after"]) > 0
    assert second.json()["code"] == "conflict"


@pytest.mark.parametrize("body", [{"source": "s3://elsewhere"}, {}, {"source": "/etc"}, {"store": "s3://x"}])
async def test_only_configured_sources_are_indexed(
    body: dict[str, str], http: httpx.AsyncClient, jobs: FakeReindexing
) -> None:
    refused = await http.post("/v1/reindex", json=body)
    assert refused.status_code == 422
    assert not jobs.runs


async def test_the_only_source_need_not_be_named(http: httpx.AsyncClient, jobs: FakeReindexing) -> None:
    jobs.sources = ("/srv/manuals",)
    assert (await http.post("/v1/reindex")).status_code == 202
    assert jobs.runs["run-0"].source == "/srv/manuals"


async def test_a_run_that_died_is_seen_to_be_silent(http: httpx.AsyncClient, jobs: FakeReindexing) -> None:
    await http.post("/v1/reindex", json={"source": "/srv/manuals"})
    jobs.runs["run-0"].updated -= timedelta(minutes=5)
    assert (await http.get("/v1/reindex/run-0")).json()["silent"]
    jobs.runs["run-0"].state = "done"
    assert not (await http.get("/v1/reindex/run-0")).json()["silent"]


async def test_an_unknown_run_is_404(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/reindex/none")).status_code == 404


async def test_it_is_off_unless_configured(client: httpx.AsyncClient) -> None:
    refused = await client.post("/v1/reindex", json={"source": "/srv/manuals"})
    assert refused.status_code == 404
    assert "serve_config.yaml" in refused.json()["message"]
    assert (await client.get("/v1/reindex/x")).status_code == 404
