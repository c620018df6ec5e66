"""Frames from the broker: taken into the window in order, acknowledged when they are durable there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from edge.messaging.messages import Delivery
from edge.messaging.queues import FrameQueue
from edge.messaging.settings import FrameSettings
from edge.pieces.index import NAME
from lineside.errors import InvalidRequest, LinesideError, RequestError, TooLarge, Unavailable

log = structlog.get_logger("lineside.mqtt")

MAX_LABELS: Final = 20
_CAMERA: Final = re.compile(NAME)
FrameSink = Callable[[str, datetime, bytes, tuple[str, ...]], Awaitable[object]]
"""Camera, time, encoded image, labels; returns when the frame is durable."""


class Link(Protocol):
    """The part of a connection that frames need."""

    def settle(self, delivery: Delivery) -> None: ...

    def ask_again(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WaitingFrame:
    """A frame as it came; `received` stands in where the camera says no time."""

    delivery: Delivery
    received: datetime

    @property
    def size(self) -> int:
        return len(self.delivery.payload)


@dataclass(slots=True)
class FrameCounts:
    """Since the start: taken in, dropped for newer ones, refused as unusable, asked for again."""

    kept: int = 0
    dropped: int = 0
    refused: int = 0
    again: int = 0


class FrameIntake:
    """Hands frames to `sink`, one of a camera at a time."""

    def __init__(self, settings: FrameSettings, sink: FrameSink, link: Callable[[], Link]) -> None:
        self._settings = settings
        self._sink = sink
        self._link = link
        self._queue: FrameQueue[WaitingFrame] = FrameQueue(
            per_camera=settings.waiting_per_camera,
            cameras=settings.max_cameras,
            max_bytes=int(settings.max_waiting_mib * 2**20),
        )
        self._workers: list[asyncio.Task[None]] = []
        self.counts = FrameCounts()

    def __len__(self) -> int:
        return len(self._queue)

    def start(self) -> None:
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._settings.workers)]

    async def stop(self) -> None:
        """What is not durable yet stays with the broker."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def receive(self, delivery: Delivery) -> None:
        """Takes a message in; never waits."""
        camera = delivery.topic.rsplit("/", 1)[1]
        for dropped in self._queue.put(camera, WaitingFrame(delivery, datetime.now(UTC))):
            self.counts.dropped += 1
            log.warning("frame dropped", camera=dropped.delivery.topic.rsplit("/", 1)[1], dropped=self.counts.dropped)
            self._link().settle(dropped.delivery)

    def forget_waiting(self) -> None:
        """What waits unacknowledged comes again over the next connection, in its order."""
        self._queue.clear()

    async def _work(self) -> None:
        while True:
            camera, frame = await self._queue.get()
            try:
                await self._take_in(camera, frame)
            finally:
                self._queue.done(camera)

    async def _take_in(self, camera: str, frame: WaitingFrame) -> None:
        try:
            if not _CAMERA.fullmatch(camera):
                raise InvalidRequest("the topic's last level, the camera, is not a name: letters, digits, _ . -")
            time, labels = self._described(frame)
            kept = await self._tries(camera, time, frame.delivery.payload, labels)
        except RequestError as error:
            self.counts.refused += 1
            log.warning("frame refused", camera=camera, code=error.code, message=str(error))
            self._link().settle(frame.delivery)
            return
        if kept:
            self.counts.kept += 1
            self._link().settle(frame.delivery)
            return
        # Not acknowledged, as it is not durable: the broker sends it again, and with it what waits.
        self.counts.again += 1
        self.forget_waiting()
        self._link().ask_again()

    async def _tries(self, camera: str, time: datetime, image: bytes, labels: tuple[str, ...]) -> bool:
        """Whether the frame was taken in; RequestError says that it never will be."""
        for attempt in range(1, self._settings.attempts + 1):
            try:
                await self._sink(camera, time, image, labels)
                return True
            except RequestError:
                raise
            except (LinesideError, OSError) as error:
                log.warning("frame not kept", camera=camera, attempt=attempt, reason=str(error))
                if attempt < self._settings.attempts:
                    await asyncio.sleep(error.retry_after_s if isinstance(error, Unavailable) else 1.0)
        return False

    def _described(self, frame: WaitingFrame) -> tuple[datetime, tuple[str, ...]]:
        if frame.size > self._settings.max_payload_bytes:
            raise TooLarge(f"the frame has {frame.size:,} bytes, over {self._settings.max_payload_bytes:,}")
        properties = frame.delivery.properties
        labels = tuple(label.strip() for label in properties.get("labels", "").split(",") if label.strip())
        if len(labels) > MAX_LABELS or any(len(label) > 200 for label in labels):
            raise InvalidRequest(f"labels: at most {MAX_LABELS}, of at most 200 characters, between commas")
        given = properties.get("time")
        return (frame.received if given is None else _time(given)), labels


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"time: {text[:40]!r} is not ISO 8601, as in 2026-11-25T02:30:00.250Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
