"""Routing as a part of a gateway: it starts without a cluster, tells how it is, and ends what it began."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.routing import Routing, RoutingSettings
from lineside.schema import AnswerRequest

from .plant import Knowledge, closed_port

PUMP = "The pump stops at 70 degrees."


async def test_status_tells_level_links_and_counts_and_stopping_leaves_no_task(tmp_path: Path) -> None:
    (tmp_path / "temp").write_text("85000")
    url, knowledge = closed_port(), Knowledge({"pump": PUMP})
    settings = RoutingSettings.model_validate(
        {
            "cluster": [url],
            "health": {"temperature_files": [f"{tmp_path}/temp"], "load_per_core": 100, "read_every_s": 0.01},
        }
    )
    before, changed = asyncio.all_tasks(), asyncio.Event()
    routing = Routing(
        knowledge.pipeline, settings, knowledge.state, gateway="cell-1", on_health=lambda health: changed.set()
    )
    await routing.start()
    async with asyncio.timeout(10):
        await changed.wait()
    request = AnswerRequest(question="When does the pump stop?", priority="batch")
    await routing.router.answer(request, None, request_id="r1", deadline=routing.router.deadline(request))
    status = routing.status()
    assert (status.level, status.reasons) == ("saving", ("warm: 85 °C, bar 80",))
    assert status.links[url].startswith("open (ConnectError")
    assert status.counts == {"served.here": 1, "missed.cluster": 1, "partial": 1, "saving": 1}
    await routing.stop()
    assert asyncio.all_tasks() == before
