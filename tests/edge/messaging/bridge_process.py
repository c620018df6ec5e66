"""A bridge in a process of its own that can be killed; arguments are the broker's URL, a folder and maybe a moment.

With a moment it kills itself there, at the first question whose text says "kill". Each question's text is written to
`FOLDER/asked` before it is answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from edge.messaging import MqttBridge, MqttSettings
from edge.messaging.answered import AnsweredRecord
from edge.messaging.connection import Connection
from lineside.answering.deadline import Deadline
from lineside.schema import Answer, AnswerRequest
from tests.edge.messaging.gateway import SlowAnswers, report

MOMENTS: Final = ("answering", "sending", "confirmed", "sent")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class LoggedAnswers(SlowAnswers):
    """Writes down what is asked; dies at its moment."""

    def __init__(self, folder: Path, moment: str) -> None:
        super().__init__()
        self._log = (folder / "asked").open("a")
        self._moment = moment

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        self._log.write(f"{request.question}\n")
        self._log.flush()
        if "kill" in request.question:
            if self._moment == "answering":
                die()
            arm(self._moment)
        return await super().answer(request, image, request_id=request_id, deadline=deadline)


def arm(moment: str) -> None:
    """From now on the process dies at that moment of the next reply."""
    note, publish = AnsweredRecord.note, Connection.publish

    async def noting(self: AnsweredRecord, key: Any, state: Any) -> None:
        await note(self, key, state)
        if moment == state:
            die()

    async def publishing(self: Connection, message: Any) -> None:
        await publish(self, message)
        if moment == "confirmed" and not message.topic.endswith("/report"):
            die()

    AnsweredRecord.note, Connection.publish = noting, publishing  # type: ignore[method-assign]


async def frame(camera: str, time: datetime, image: bytes, labels: tuple[str, ...]) -> None:
    """Frames are not what this is about."""


async def main(url: str, folder: Path, moment: str) -> None:
    settings = MqttSettings(broker=url, reconnect_s=0.02, reconnect_max_s=0.1, offline_after_s=0)
    bridge = MqttBridge(
        settings, "cell-1", LoggedAnswers(folder, moment), frame, lambda: None, lambda: report(), folder
    )
    await bridge.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""))
