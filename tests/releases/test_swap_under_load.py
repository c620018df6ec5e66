"""The real application on a store in S3: releases swap under load, and operators steer it while it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.application import application, without_model
from benchmarks.processes import Service
from benchmarks.release_swap import Edition, build_editions, publish, swap_under_load
from lineside.releases import Catalogue
from tests.s3_server import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS = 15


@dataclass(frozen=True)
class Running:
    url: str
    catalogue: Catalogue
    editions: list[Edition]
    fingerprints: dict[str, str]
    service: Service
    store_server: S3Server

    def status(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/v1/status", timeout=30, trust_env=False).json())

    def wait_for(self, holds: Callable[[dict[str, Any]], bool], within_s: float = 90) -> dict[str, Any]:
        """The first status that fulfils the condition."""
        until = time.monotonic() + within_s
        while True:
            status = self.status()
            if holds(status):
                return status
            assert time.monotonic() < until, status
            time.sleep(0.2)

    def answer(self) -> dict[str, Any]:
        body = {"question": "How hot may the bearing of the pump become?", "mode": "extract", "deadline_ms": 20_000}
        reply = httpx.post(f"{self.url}/v1/answer", json=body, timeout=60, trust_env=False)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())


@pytest.fixture(scope="module")
def running(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`lineside serve` without a language model, on an S3 store with the first of seven editions."""
    folder = tmp_path_factory.mktemp("swap")
    server = S3Server(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        try:
            editions, fingerprints = build_editions(folder, models_dir, 7)
            catalogue = Catalogue(f"{server.create_bucket()}/knowledge")
            publish(catalogue, editions[0], fingerprints, base=None)
            service, url = application(folder, without_model(folder, models_dir.parent, catalogue.store.url))
            with service:
                yield Running(url, catalogue, editions, fingerprints, service, server)
        finally:
            server.stop()


def test_five_releases_swap_in_and_one_rolls_back_without_a_failed_or_a_mixed_response(running: Running) -> None:
    counts = asyncio.run(
        swap_under_load(
            running.url,
            running.catalogue,
            running.editions[:6],
            running.fingerprints,
            seconds=SECONDS,
            concurrency=16,
        )
    )
    assert counts.failed == []
    assert counts.mixed == []
    assert set(counts.responses_by_release) == {1, 2, 3, 4, 5, 6}
    assert counts.citations_opened > 0
    assert running.catalogue.current().number == 5


def test_a_damaged_release_is_refused_and_said_to_be_while_the_good_one_is_served(running: Running) -> None:
    good = running.status()["release"]
    bad = publish(running.catalogue, running.editions[6], running.fingerprints, activate=False)
    key = f"shards/{bad.shards[0].id}/text.faiss"
    running.catalogue.store.put(key, b"damaged" + running.catalogue.store.get(key)[0][7:])
    running.catalogue.activate(bad.number)
    status = running.wait_for(lambda status: status["refused"] is not None)
    assert "text.faiss" in status["refused"]
    assert status["release"] == good
    assert running.answer()["release"] == good
    running.catalogue.rollback(why=f"{bad.number} is damaged")
    running.wait_for(lambda status: status["refused"] is None)


def test_an_outage_of_the_store_is_said_and_survived_even_by_a_new_replica(running: Running) -> None:
    served = running.status()["release"]
    running.store_server.stop()
    assert "cannot be used" in running.wait_for(lambda status: status["outage"] is not None)["outage"]
    assert running.answer()["release"] == served
    for process in running.service.processes():
        if "ServeReplica:lineside:Retriever" in " ".join(process.cmdline()):
            process.kill()
            psutil.wait_procs([process], timeout=30)
    until = time.monotonic() + 120
    while httpx.get(f"{running.url}/readyz", timeout=30, trust_env=False).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.5)
    assert running.answer()["release"] == served
    assert "cannot be used" in running.status()["outage"]
