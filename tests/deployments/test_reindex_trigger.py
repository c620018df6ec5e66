"""A re-index that HTTP starts runs on the application's own cluster, and its release is served."""

from __future__ import annotations

import time

import httpx
import pytest

from lineside.client import Client
from tests.deployments.conftest import MANUAL, Application

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WITHIN_S = 240


@pytest.fixture
def client(application: Application) -> Client:
    return Client(application.url, timeout_s=60)


@pytest.mark.timeout(600)
def test_a_changed_manual_is_indexed_by_http_and_answered_from(application: Application, client: Client) -> None:
    application.wait_ready()
    manual = application.home / "source" / "drive" / "motor.md"
    before = manual.read_text()
    manual.write_text(MANUAL.format(limit=95).replace("45 Nm", "51 Nm"))
    try:
        started = post(application)
        assert started.status_code == 202, started.text
        busy = post(application)
        assert busy.status_code == 409
        assert busy.headers["retry-after"]
        run = finished(application, started.headers["location"])
        assert run["state"] == "done", run
        assert run["counts"]["parsed"] >= 1
        assert run["counts"]["shards_built"] == 1
        until_served(application, run["release"])
        answer = client.answer("How many Nm are the bearing cap screws tightened to?", mode="extract")
        assert "51 Nm" in answer.text
        assert answer.release == run["release"]
    finally:
        manual.write_text(before)
        again = post(application)
        assert again.status_code == 202, "the run before gave its place free"
        assert finished(application, again.headers["location"])["state"] == "done"


def post(application: Application) -> httpx.Response:
    """Asks for a re-index; waits a little for the place of a run that has just ended."""
    for _ in range(20):
        reply = httpx.post(f"{application.url}/v1/reindex", json={}, timeout=30, trust_env=False)
        listed = httpx.get(f"{application.url}/v1/reindex?count=1", timeout=30, trust_env=False).json()
        if reply.status_code != 409 or (listed and listed[0]["state"] not in ("done", "failed")):
            return reply
        time.sleep(0.5)
    return reply


def finished(application: Application, location: str) -> dict:  # type: ignore[type-arg]
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        view = httpx.get(f"{application.url}{location}", timeout=30, trust_env=False).json()
        if view["run"]["state"] in ("done", "failed", "cancelled"):
            run: dict = view["run"]  # type: ignore[type-arg]
            return run
        time.sleep(1)
    pytest.fail(f"the run did not end: {view}")


def until_served(application: Application, release: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if httpx.get(f"{application.url}/v1/status", timeout=30, trust_env=False).json()["release"] == release:
            return
        time.sleep(0.2)
    pytest.fail(f"release {release} is not served")
