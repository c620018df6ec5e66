"""Questions from the broker: read, put in line, answered, replied to, and only then acknowledged."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, get_args

import structlog

from edge.messaging.answered import AnsweredRecord, QuestionKey, State
from edge.messaging.messages import Delivery, Outgoing
from edge.messaging.queues import ORDER, QuestionQueue
from edge.messaging.settings import QuestionSettings
from edge.messaging.topics import GatewayTopics
from lineside.answering.deadline import Deadline
from lineside.encoders.images import decode_base64, inspect_image
from lineside.errors import InvalidRequest, LinesideError, StoreUnavailable, TooLarge, Unavailable
from lineside.schema import Answer, AnswerRequest, ErrorBody, Priority, RetrieveRequest
from webapi.bodies import validate_json

log = structlog.get_logger("lineside.mqtt")

_ASIDE_BYTES: Final = 64 << 10
"""Payloads from this size on are read in a thread, so that the connection goes on meanwhile."""
_RETRY_S: Final = 1.0


class Answers(Protocol):
    """What answers questions: the pipeline, or the router before it."""

    def deadline(self, request: RetrieveRequest) -> Deadline: ...

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer: ...


class Attach(Protocol):
    """Gives a request that brings no telemetry what is known of the machine, or of what the camera looks at."""

    def __call__(self, request: AnswerRequest, *, machine: str | None, camera: str | None) -> AnswerRequest: ...


class Link(Protocol):
    """The part of a connection that replies need."""

    async def publish(self, message: Outgoing) -> None: ...

    def settle(self, delivery: Delivery) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


@dataclass(slots=True)
class Question:
    """One that is in hand: from its arrival until it is acknowledged.

    `deliveries`: the message, and its repetitions that came meanwhile.
    """

    key: QuestionKey | None
    request_id: str
    reply_to: str
    deliveries: list[Delivery]
    size: int
    request: AnswerRequest | None = None
    image: bytes | None = None
    deadline: Deadline | None = None

    @property
    def priority(self) -> Priority:
        return self.request.priority if self.request is not None else "batch"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a question gets no answer."""

    code: str
    message: str


_INTERRUPTED: Final = Refusal(
    "interrupted", "the gateway was restarted while it sent the answer to this question; if none came, ask again"
)


@dataclass(slots=True)
class QuestionCounts:
    """Since the start. `outcomes`: replies by what they said, `answered` or an error's code; `repeated` got none.

    `unpublished`: replies that the broker refused. `unrecorded`: entries of the record that the disk refused.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    unpublished: int = 0
    unrecorded: int = 0


class QuestionDesk:
    """Answers what `receive` is given, in the order of priorities, with as many workers as the settings say."""

    def __init__(
        self,
        settings: QuestionSettings,
        topics: GatewayTopics,
        answers: Answers,
        record: AnsweredRecord,
        link: Callable[[], Link],
        *,
        qos: int,
        attach: Attach | None = None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._answers = answers
        self._record = record
        self._link = link
        self._qos = qos
        self._attach = attach
        self._queue: QuestionQueue[Question] = QuestionQueue(
            interactive=settings.interactive_waiting,
            batch=settings.batch_waiting,
            max_bytes=int(settings.max_waiting_mib * 2**20),
        )
        self._in_hand: dict[bytes, Question] = {}
        self._batch_running = 0
        self._workers: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts = QuestionCounts()

    @property
    def waiting(self) -> dict[Priority, int]:
        return {priority: self._queue.count(priority) for priority in ORDER}

    def start(self) -> None:
        for _ in range(self._settings.workers):
            self._workers.append(asyncio.create_task(self._work(ORDER)))
        for _ in range(self._settings.alert_workers):
            self._workers.append(asyncio.create_task(self._work(("alert",))))

    async def stop(self, timeout_s: float) -> None:
        """Lets replies that are being sent go out; what is unanswered then stays with the broker."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def receive(self, delivery: Delivery) -> None:
        """Takes a message in; never waits."""
        key = QuestionKey.of(delivery)
        if key is not None:
            known = self._in_hand.get(key.digest)
            if known is not None and (delivery.dup or key.named):
                known.deliveries.append(replace(delivery, payload=b""))
                self.counts.repeated += 1
                return
            state = self._record.find(key, redelivered=delivery.dup)
            if state == "sent":
                self.counts.repeated += 1
                self._link().settle(delivery)
                return
        request_id = uuid.uuid4().hex if key is None else key.digest.hex()[:32]
        question = Question(key, request_id, self._topics.answers, [], len(delivery.payload))
        question.deliveries.append(replace(delivery, payload=b""))  # what was read is not kept twice
        refusal = None
        try:
            question.reply_to = self._topics.reply_to(delivery.response_topic)
        except InvalidRequest as error:
            refusal = Refusal(error.code, str(error))
        if key is not None:
            self._in_hand[key.digest] = question
            if state == "sending":
                refusal = _INTERRUPTED
        self._spawn(self._admit(question, delivery) if refusal is None else self._refuse(question, refusal))

    async def _admit(self, question: Question, delivery: Delivery) -> None:
        try:
            aside = len(delivery.payload) >= _ASIDE_BYTES
            read = await asyncio.to_thread(self._read, delivery) if aside else self._read(delivery)
            request, question.image = read
            if self._attach is not None:
                names = delivery.properties
                request = self._attach(request, machine=names.get("machine"), camera=names.get("camera"))
        except LinesideError as error:
            await self._refuse(question, Refusal(error.code, str(error)))
            return
        except Exception:  # noqa: BLE001 - logged, and told its sender
            await self._refuse(question, _unexpected(question))
            return
        question.request = request
        if request.deadline_ms is not None:
            question.deadline = self._answers.deadline(request)
        displaced = self._queue.put(question)
        for dropped in displaced.dropped:
            self._spawn(self._refuse(dropped, self._dropped()))
        if self._queue.full:
            self._link().pause()
        if displaced.refused:
            waiting = f"{len(self._queue)} questions wait; try again in {_RETRY_S:g} s"
            await self._refuse(question, Refusal("overloaded", waiting))

    def _dropped(self) -> Refusal:
        limit = self._settings.batch_waiting
        return Refusal("dropped", f"dropped for newer ones: more than {limit} questions of priority batch waited")

    def _read(self, delivery: Delivery) -> tuple[AnswerRequest, bytes | None]:
        """The request without its image, and the image. Maybe in another thread."""
        if len(delivery.payload) > self._settings.max_payload_bytes:
            raise TooLarge(
                f"the message has {len(delivery.payload):,} bytes, over the limit of "
                f"{self._settings.max_payload_bytes:,}; send a smaller or more compressed image"
            )
        request = validate_json(AnswerRequest, delivery.payload)
        if request.stream:
            raise InvalidRequest("stream: answers come whole over MQTT; leave it out")
        request = _with_priority(request, delivery.properties.get("priority"))
        if ORDER.index(request.priority) < ORDER.index(self._settings.highest_priority):
            raise InvalidRequest(
                f"priority: {request.priority} is not taken over MQTT here, at most {self._settings.highest_priority}"
            )
        image = None
        if request.image is not None:
            image = decode_base64(request.image, self._settings.image)
            inspect_image(image, self._settings.image)
            request = request.model_copy(update={"image": None})
        return request, image

    async def _work(self, priorities: tuple[Priority, ...]) -> None:
        while True:
            question = await self._queue.get(lambda: self._allowed(priorities))
            if not self._queue.full:
                self._link().resume()
            batch = question.priority == "batch"
            self._batch_running += batch
            try:
                await self._answer(question)
            finally:
                self._batch_running -= batch
                self._queue.wake()

    def _allowed(self, priorities: tuple[Priority, ...]) -> tuple[Priority, ...]:
        """Batch leaves one worker free for interactive questions, where there is more than one."""
        if self._batch_running >= max(1, self._settings.workers - 1):
            return tuple(p for p in priorities if p != "batch")
        return priorities

    async def _answer(self, question: Question) -> None:
        request = question.request
        assert request is not None
        deadline = question.deadline or self._answers.deadline(request)
        image, question.image = question.image, None
        try:
            answer = await self._answers.answer(request, image, request_id=question.request_id, deadline=deadline)
        except LinesideError as error:
            self._spawn(self._refuse(question, Refusal(error.code, str(error))))
            return
        except Exception:  # noqa: BLE001 - logged, and told its sender: one question must not end a worker
            self._spawn(self._refuse(question, _unexpected(question)))
            return
        log.info(
            "answered",
            request_id=answer.request_id,
            release=answer.release,
            mode=answer.mode,
            status=answer.status,
            priority=request.priority,
            elapsed_ms=answer.elapsed_ms,
        )
        self._spawn(self._reply(question, answer.model_dump_json().encode(), "answered"))

    async def _refuse(self, question: Question, refusal: Refusal) -> None:
        body = ErrorBody(request_id=question.request_id, code=refusal.code, message=refusal.message)
        log.warning("refused", request_id=question.request_id, code=refusal.code, message=refusal.message)
        await self._reply(question, body.model_dump_json().encode(), refusal.code)

    async def _reply(self, question: Question, body: bytes, outcome: str) -> None:
        """Publishes a reply once, has it confirmed, and acknowledges the question."""
        first = question.deliveries[0]
        answered = outcome == "answered"
        properties = {"kind": "answer" if answered else "error", "gateway": self._topics.name}
        properties |= {} if answered else {"code": outcome}
        message = Outgoing(question.reply_to, body, self._qos, correlation=first.correlation, properties=properties)
        await self._note(question, "sending")
        await self._publish(message, question)
        await self._note(question, "sent")
        self.counts.outcomes[outcome] += 1
        if question.key is not None:
            self._in_hand.pop(question.key.digest, None)
        for delivery in question.deliveries:
            self._link().settle(delivery)

    async def _note(self, question: Question, state: State) -> None:
        """A disk that takes no record keeps nobody from being answered; it is counted, and told in the log."""
        if question.key is None:
            return
        try:
            await self._record.note(question.key, state)
        except StoreUnavailable as error:
            self.counts.unrecorded += 1
            log.error("answer not recorded", request_id=question.request_id, reason=str(error))

    async def _publish(self, message: Outgoing, question: Question) -> None:
        """A reply that the broker does not take is lost, and counted: asking again would not change that."""
        try:
            await self._link().publish(message)
        except (TooLarge, Unavailable) as error:
            self.counts.unpublished += 1
            log.error("reply refused by the broker", request_id=question.request_id, reason=str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unexpected(question: Question) -> Refusal:
    """Of an exception that is being handled."""
    log.exception("unexpected", request_id=question.request_id)
    return Refusal("internal", "an unexpected error; it is in the gateway's log under this request id")


def _with_priority(request: AnswerRequest, given: str | None) -> AnswerRequest:
    """The user property counts where the payload is silent; it never changes what the payload says.

    Otherwise a property could turn an alert, which never leaves the device, into analytics, which do.
    """
    if given is None:
        return request
    if given not in get_args(Priority):
        raise InvalidRequest(f"priority: the user property is {given[:40]!r}, not one of {', '.join(ORDER)}")
    if "priority" not in request.model_fields_set:
        return request.model_copy(update={"priority": given})
    if given != request.priority:
        raise InvalidRequest(f"priority: the payload says {request.priority}, the user property {given}")
    return request
