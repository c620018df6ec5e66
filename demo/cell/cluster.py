"""The cluster's stand-in: the application in one process, over the whole store, with the cluster's HTTP interface.

`python -m demo.cell.cluster STORE PORT`
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn

from demo.prepare_models import lineside_home
from lineside.documents import Document
from lineside.local import LocalApplication
from lineside.shards.images import StoredImage
from webapi import create_api
from webapi.service import Answers, Readiness, Status


class StandIn:
    """`webapi.service.Service` of an application in this process."""

    def __init__(self, application: LocalApplication) -> None:
        self._application = application

    @property
    def answerer(self) -> Answers:
        return self._application.answerer

    async def document(self, document_id: str, version: str | None = None) -> Document:
        return await self._application.document(document_id, version)

    async def image(self, image_id: str) -> StoredImage:
        return await self._application.image(image_id)

    async def status(self) -> Status:
        following = self._application.releases.status
        return Status(following.release, len(self._application.index), 0.0, 0, following.refused, following.outage)

    async def readiness(self) -> Readiness:
        return Readiness(True, {"application": "ready"}, self._application.index.release)


def main(store: str, port: int) -> None:
    """Serves until it is ended; follows the store's current release."""
    home = lineside_home()
    with LocalApplication.load(home, store=Path(store), text_model="encoders", joint_model="encoders") as application:
        application.releases.start()
        config = uvicorn.Config(create_api(StandIn(application)), port=port, log_level="warning", lifespan="off")
        asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
