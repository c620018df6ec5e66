"""A gateway on MQTT: questions and frames in, answers and reports out, release notices heard (docs/gateways.md)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from edge.fleet.reports import GatewayReport
from edge.messaging.answered import AnsweredRecord
from edge.messaging.connection import Connection
from edge.messaging.frames import FrameCounts, FrameIntake, FrameSink
from edge.messaging.messages import Delivery, Outgoing, Subscription
from edge.messaging.questions import Answers, Attach, QuestionCounts, QuestionDesk
from edge.messaging.settings import MqttSettings
from edge.messaging.topics import GatewayTopics
from lineside.errors import LinesideError
from lineside.schema import Priority

log = structlog.get_logger("lineside.mqtt")

_LOOK_S: Final = 1.0
"""How often the report is looked at for changes."""
_MAX_NOTICE_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class MqttStatus:
    """What the bridge is doing now; `problem` says in words why it is not connected."""

    connected: bool
    problem: str
    waiting: dict[Priority, int]
    questions: QuestionCounts
    frames_waiting: int
    frames: FrameCounts
    record_damaged: bool


class MqttBridge:
    """Connects a gateway to its broker over three sessions: one for frames, so that they are in no question's way, and
    one for replies. At QoS 2 the broker keeps the packet ids of replies whose handshake a killed process did not end;
    the next process, which begins at 1 again, would meet them, and mosquitto then lost replies that it had confirmed.

    `answers` answers questions; `frames` takes a frame in and returns when it is durable; `on_release` is called, in
    the event loop, when a publication was told; `report` gives the gateway's report; `attach` adds telemetry to
    questions that bring none. `state_folder` belongs to this gateway alone.
    """

    def __init__(
        self,
        settings: MqttSettings,
        name: str,
        answers: Answers,
        frames: FrameSink,
        on_release: Callable[[], None],
        report: Callable[[], GatewayReport],
        state_folder: Path,
        *,
        attach: Attach | None = None,
    ) -> None:
        """Raises ConfigurationError where certificates or topics cannot be used."""
        self._settings = settings
        self._topics = GatewayTopics.of(settings.prefix, name, settings.response_topics)
        self._on_release = on_release
        self._report = report
        asked = settings.questions
        self._record = AnsweredRecord(
            state_folder / "messaging" / "answered.sqlite", capacity=asked.remembered, repeat_s=asked.repeat_s
        )
        self._desk = QuestionDesk(
            asked, self._topics, answers, self._record, lambda: self._ways, qos=settings.answer_qos, attach=attach
        )
        self._intake = FrameIntake(settings.frames, frames, lambda: self._frames)
        client_id = settings.client_id or f"lineside-{name}"
        self._main = Connection(
            settings,
            client_id,
            (Subscription(self._topics.questions), Subscription(self._topics.release, retained=True)),
            receive_maximum=asked.receive_maximum,
            max_payload_bytes=asked.max_payload_bytes,
            on_message=self._received,
            on_session=self._session,
            will=lambda: self._report_message(self._offline("its connection to the broker was lost")),
        )
        self._replies = Connection(
            settings,
            f"{client_id}-replies",
            (),
            receive_maximum=1,
            max_payload_bytes=0,
            begins_anew=True,
            on_message=lambda delivery: None,
        )
        self._ways = _Ways(self._main, self._replies)
        self._frames = Connection(
            settings,
            f"{client_id}-frames",
            (Subscription(self._topics.frames),),
            receive_maximum=settings.frames.receive_maximum,
            max_payload_bytes=settings.frames.max_payload_bytes,
            on_message=self._intake.receive,
            on_session=lambda present: self._intake.forget_waiting(),
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._report_now = asyncio.Event()
        self._look_pending = False
        self.reported: GatewayReport | None = None
        """The report that the broker has confirmed last."""

    async def start(self) -> None:
        """Returns as soon as what was answered before is known; connecting goes on beside.

        Raises:
            StoreUnavailable: the state folder cannot be written to.
        """
        await self._record.open()
        self._desk.start()
        self._intake.start()
        self._replies.start()
        self._main.start()
        self._frames.start()
        self._spawn(self._keep_reporting())

    async def stop(self) -> None:
        """Takes nothing more, lets replies go out, says `offline`, and leaves; the broker keeps the session."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._intake.stop()
        await self._desk.stop(self._settings.stop_s)
        if self._main.connected:
            with contextlib.suppress(LinesideError, TimeoutError):
                message = self._report_message(self._offline("it was stopped"))
                await asyncio.wait_for(self._main.publish(message), self._settings.connect_timeout_s)
        await asyncio.gather(self._main.stop(), self._frames.stop(), self._replies.stop())
        await self._record.close()

    def report_changed(self) -> None:
        """Publishes the report at once, and not at the next look for changes."""
        self._report_now.set()

    def status(self) -> MqttStatus:
        return MqttStatus(
            connected=all(one.connected for one in (self._main, self._replies, self._frames)),
            problem=self._main.problem or self._replies.problem or self._frames.problem,
            waiting=self._desk.waiting,
            questions=self._desk.counts,
            frames_waiting=len(self._intake),
            frames=self._intake.counts,
            record_damaged=self._record.damaged,
        )

    def _received(self, delivery: Delivery) -> None:
        if delivery.topic == self._topics.release:
            self._release_told(delivery)
            self._main.settle(delivery)
        else:
            self._desk.receive(delivery)

    def _session(self, present: bool) -> None:
        if not present:
            self._spawn(self._forget_session())
        self.report_changed()  # the will of the connection before may have said `offline`

    async def _forget_session(self) -> None:
        try:
            await self._record.forget_unnamed()
        except LinesideError as error:
            log.error("answered questions not forgotten", reason=str(error))

    def _release_told(self, delivery: Delivery) -> None:
        """The number is a hint to look at the store, whose signatures alone are believed; many are one."""
        text = delivery.payload[: _MAX_NOTICE_BYTES + 1]
        if len(text) > _MAX_NOTICE_BYTES or not text.isdigit():
            log.warning("release notice is not a number", topic=delivery.topic, payload=repr(text))
            return
        log.info("release told", publication=int(text))
        if not self._look_pending:
            self._look_pending = True
            self._spawn(self._look())

    async def _look(self) -> None:
        await asyncio.sleep(random.uniform(0, self._settings.release_spread_s))
        self._look_pending = False
        self._on_release()

    async def _keep_reporting(self) -> None:
        """Publishes the report when it has changed, when told to, and every `report_s`."""
        loop = asyncio.get_running_loop()
        due = 0.0
        while True:
            report = self._report()
            last = self.reported
            changed = last is None or report.model_copy(update={"at": last.at}) != last
            if changed or self._report_now.is_set() or loop.time() >= due:
                self._report_now.clear()
                try:
                    await self._main.publish(self._report_message(report))
                    self.reported = report
                except LinesideError as error:
                    log.error("report not published", reason=str(error))
                due = loop.time() + self._settings.report_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._report_now.wait(), _LOOK_S)

    def _offline(self, reason: str) -> GatewayReport:
        return self._report().model_copy(update={"state": "offline", "reason": reason, "at": datetime.now(UTC)})

    def _report_message(self, report: GatewayReport) -> Outgoing:
        return Outgoing(self._topics.report, report.model_dump_json().encode(), qos=1, retain=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(frozen=True, slots=True)
class _Ways:
    """Questions are acknowledged where they came, and replied to over another session."""

    asked: Connection
    replies: Connection

    async def publish(self, message: Outgoing) -> None:
        await self.replies.publish(message)

    def settle(self, delivery: Delivery) -> None:
        self.asked.settle(delivery)

    def pause(self) -> None:
        self.asked.pause()

    def resume(self) -> None:
        self.asked.resume()
