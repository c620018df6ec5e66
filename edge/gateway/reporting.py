"""The `fleet` section of `gateway.yaml`: this gateway's reports, signed, in an object store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field

from edge.fleet.reports import GatewayReport
from edge.fleet.sources import StoreReporter
from edge.pieces import GatewayIdentity
from lineside.objects import open_store


class ReportingSettings(BaseModel):
    """Where reports go that the fleet's commands read; a broker (`mqtt`) carries them as well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reports: str = Field(description="s3://bucket/prefix or a folder that takes reports/GATEWAY.json")
    report_s: float = Field(60, gt=0, le=86_400, description="seconds between reports")


class Reporting:
    """A part of a gateway."""

    def __init__(
        self, settings: ReportingSettings, identity: GatewayIdentity, report: Callable[[], GatewayReport]
    ) -> None:
        self._settings, self._report = settings, report
        self._reporter = StoreReporter(open_store(settings.reports), identity)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._reporter.run(self._report, self._settings.report_s))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
