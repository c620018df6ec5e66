"""Questions and answers, frames, notices and reports over a real broker."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.fleet.reports import parse_report
from edge.messaging import MqttBridge, MqttSettings
from edge.messaging.questions import Attach
from lineside.errors import NotFound, Unavailable
from lineside.schema import AnswerRequest, TelemetrySeries
from tests.edge.messaging.broker import Broker
from tests.edge.messaging.client import PlantClient, correlation_of, user_properties
from tests.edge.messaging.gateway import SlowAnswers, Window, report

pytestmark = pytest.mark.integration

QUESTIONS = "lineside/gateways/cell-1/questions"
REPORT = "lineside/gateways/cell-1/report"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture
def plant(shared_broker: Broker) -> Iterator[PlantClient]:
    client = PlantClient(shared_broker.port, "lineside/clients/#", "lineside/gateways/+/answers")
    yield client
    client.close()


class Gateway:
    """A bridge with what it serves; `notices` counts the releases it was told of."""

    def __init__(self, broker: Broker, folder: Path, *, attach: Attach | None = None, **settings: Any) -> None:
        self.answers = SlowAnswers()
        self.window = Window()
        self.noticed = asyncio.Event()
        self.report = report()
        given = {
            "reconnect_s": 0.02,
            "reconnect_max_s": 0.1,
            "release_spread_s": 0,
            "session_expiry_s": 60,
            "offline_after_s": 0,
        } | settings
        self.bridge = MqttBridge(
            MqttSettings.model_validate({"broker": broker.url, "client_id": folder.name} | given),
            "cell-1",
            self.answers,
            self.window.frame,
            self.noticed.set,
            lambda: self.report,
            folder,
            attach=attach,
        )

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 - the status has no event
                await asyncio.sleep(0.01)


def ask(question: str, **fields: object) -> str:
    return json.dumps({"question": question} | fields)


Running = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def running(shared_broker: Broker, tmp_path: Path) -> Running:
    @asynccontextmanager
    async def run(broker: Broker = shared_broker, **settings: Any) -> AsyncIterator[Gateway]:
        gateway = Gateway(broker, tmp_path, **settings)
        await gateway.bridge.start()
        try:
            await gateway.until(lambda: gateway.bridge.status().connected)
            yield gateway
        finally:
            gateway.answers.go.set()
            await gateway.bridge.stop()

    return run


async def replies(plant: PlantClient, *correlations: bytes) -> dict[bytes, Any]:
    wanted = set(correlations)
    found = await asyncio.to_thread(plant.wait, lambda ms: wanted <= {correlation_of(m) for m in ms})
    return {c: json.loads(m.payload) for m in found if (c := correlation_of(m)) in wanted}


async def test_a_question_is_answered_on_its_response_topic_with_its_correlation(
    running: Running, plant: PlantClient
) -> None:
    body = json.dumps({"question": "Why?", "image": base64.b64encode(PIXEL).decode()})
    async with running() as gateway:
        plant.publish(QUESTIONS, body, response="lineside/clients/panel", correlation=b"\x00\xff1")
        await replies(plant, b"\x00\xff1")
    (reply,) = plant.messages
    assert reply.topic == "lineside/clients/panel"
    assert user_properties(reply) == {"kind": "answer", "gateway": "cell-1"}
    assert json.loads(reply.payload)["text"] == "Why?"
    assert gateway.answers.images == [PIXEL]


async def test_without_a_response_topic_the_answer_goes_to_the_gateways_own(
    running: Running, plant: PlantClient
) -> None:
    async with running():
        plant.publish(QUESTIONS, ask("Why?"))
        (reply,) = await asyncio.to_thread(plant.wait, bool)
    assert reply.topic == "lineside/gateways/cell-1/answers"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "invalid_request"),
        (b"\xff\xfe", "invalid_request"),
        (b'{"question": "Why?", "colour": "red"}', "invalid_request"),
        (b'{"question": "Why?", "stream": true}', "invalid_request"),
        (b'{"question": "Why?", "image": "%%%"}', "invalid_request"),
        (b'{"question": "Why?", "image": "aGVsbG8="}', "unsupported_image"),
        (b'{"question": "' + b"w" * 30_000 + b'"}', "too_large"),
    ],
    ids=["not JSON", "not text", "unknown field", "stream", "not base64", "not an image", "too large"],
)
async def test_what_cannot_be_answered_is_told_why_with_the_same_correlation(
    running: Running, plant: PlantClient, payload: bytes, code: str
) -> None:
    async with running(questions={"max_payload_bytes": 20_000, "image": {"max_bytes": 10_000}}) as gateway:
        plant.publish(QUESTIONS, payload, response="lineside/clients/panel", correlation=b"1")
        reply = (await replies(plant, b"1"))[b"1"]
    assert reply["code"] == code
    assert user_properties(plant.messages[0]) == {"kind": "error", "gateway": "cell-1", "code": code}
    assert gateway.answers.asked == []


@pytest.mark.parametrize(
    "topic", ["lineside/release", QUESTIONS, "lineside/gateways/cell-2/questions", "other/place", "$SYS/broker"]
)
async def test_a_message_cannot_make_the_gateway_publish_anywhere(
    running: Running, plant: PlantClient, topic: str
) -> None:
    async with running() as gateway:
        plant.publish(QUESTIONS, ask("Why?"), response=topic, correlation=b"1")
        reply = (await replies(plant, b"1"))[b"1"]
    assert reply["code"] == "invalid_request"
    assert plant.messages[0].topic == "lineside/gateways/cell-1/answers"
    assert gateway.answers.asked == []


async def test_the_priority_property_counts_only_where_the_payload_is_silent(
    running: Running, plant: PlantClient
) -> None:
    async with running() as gateway:
        plant.publish(QUESTIONS, ask("1"), correlation=b"1", priority="alert")
        plant.publish(QUESTIONS, ask("2", priority="alert"), correlation=b"2", priority="batch")
        plant.publish(QUESTIONS, ask("3"), correlation=b"3", priority="highest")
        said = await replies(plant, b"1", b"2", b"3")
    assert [request.priority for request in gateway.answers.asked] == ["alert"]
    assert [said[c].get("code") for c in (b"1", b"2", b"3")] == [None, "invalid_request", "invalid_request"]


async def test_a_priority_above_the_highest_that_is_taken_is_refused(running: Running, plant: PlantClient) -> None:
    async with running(questions={"highest_priority": "interactive"}) as gateway:
        plant.publish(QUESTIONS, ask("1", priority="alert"), correlation=b"1")
        reply = (await replies(plant, b"1"))[b"1"]
    assert reply["code"] == "invalid_request"
    assert gateway.answers.asked == []


async def test_overload_drops_the_oldest_analytics_refuses_interactive_and_answers_every_alert(
    running: Running, plant: PlantClient
) -> None:
    few = {"workers": 1, "alert_workers": 1, "interactive_waiting": 2, "batch_waiting": 2}
    async with running(questions=few) as gateway:
        plant.publish(QUESTIONS, ask("wait"), correlation=b"slow")
        await gateway.until(lambda: len(gateway.answers.asked) == 1)
        for n in range(4):
            plant.publish(QUESTIONS, ask(f"b{n}", priority="batch"), correlation=b"b%d" % n)
        for n in range(3):
            plant.publish(QUESTIONS, ask(f"i{n}"), correlation=b"i%d" % n)
        for n in range(20):
            plant.publish(QUESTIONS, ask(f"a{n}", priority="alert"), correlation=b"a%d" % n)
        plant.publish("lineside/gateways/cell-1/frames/cam-1", PIXEL)
        alerts = await replies(plant, *(b"a%d" % n for n in range(20)))
        await gateway.window.count(1)
        assert all(alert["status"] == "complete" for alert in alerts.values())
        assert not plant.replies(b"slow"), "the slow question is still being answered"
        gateway.answers.go.set()
        rest = await replies(plant, b"slow", *(b"b%d" % n for n in range(4)), *(b"i%d" % n for n in range(3)))
        outcomes = gateway.bridge.status().questions.outcomes
    codes = {correlation: body.get("code") for correlation, body in rest.items()}
    assert codes == {
        b"slow": None, b"b0": "dropped", b"b1": "dropped", b"b2": None, b"b3": None,
        b"i0": None, b"i1": None, b"i2": "overloaded",
    }  # fmt: skip
    assert outcomes == {"answered": 25, "dropped": 2, "overloaded": 1}
    late = [request.question for request in gateway.answers.asked if request.priority != "alert"]
    assert late == ["wait", "i0", "i1", "b2", "b3"]


async def test_analytics_leave_a_worker_to_interactive_questions(running: Running, plant: PlantClient) -> None:
    async with running(questions={"workers": 3, "alert_workers": 1}) as gateway:
        for n in range(5):
            plant.publish(QUESTIONS, ask("wait", priority="batch"), correlation=b"b%d" % n)
        await gateway.until(lambda: len(gateway.answers.asked) == 2)
        plant.publish(QUESTIONS, ask("Why?"), correlation=b"i")
        await replies(plant, b"i")
        assert [request.question for request in gateway.answers.asked] == ["wait", "wait", "Why?"]
        assert gateway.bridge.status().waiting["batch"] == 3


async def test_alerts_over_the_limit_of_bytes_wait_at_the_broker(running: Running, plant: PlantClient) -> None:
    few = {"workers": 1, "alert_workers": 1, "max_waiting_mib": 0.02}
    async with running(questions=few) as gateway:
        for n in range(12):
            body = ask("wait", priority="alert", context="x" * 10_000)
            plant.publish(QUESTIONS, body, correlation=b"a%d" % n)
        await gateway.until(lambda: len(gateway.answers.asked) == 2)
        plant.publish("lineside/gateways/cell-1/frames/cam-1", PIXEL)
        await gateway.window.count(1)
        assert gateway.bridge.status().waiting["alert"] <= 3
        gateway.answers.go.set()
        answers = await replies(plant, *(b"a%d" % n for n in range(12)))
    assert all(answer["status"] == "complete" for answer in answers.values())


@pytest.mark.parametrize(
    ("failure", "code"), [(NotFound("no family robots"), "not_found"), (ZeroDivisionError("ours"), "internal")]
)
async def test_an_answer_that_fails_is_told(
    running: Running, plant: PlantClient, failure: Exception, code: str
) -> None:
    async with running() as gateway:
        gateway.answers.failure = failure
        plant.publish(QUESTIONS, ask("Why?"), correlation=b"1")
        reply = (await replies(plant, b"1"))[b"1"]
        assert reply["code"] == code
        assert "ours" not in reply["message"]
        gateway.answers.failure = None
        plant.publish(QUESTIONS, ask("And now?"), correlation=b"2")
        assert (await replies(plant, b"2"))[b"2"]["status"] == "complete"


async def test_a_question_gets_the_telemetry_of_the_machine_that_the_message_names(
    running: Running, plant: PlantClient
) -> None:
    asked: list[dict[str, str | None]] = []

    def attach(request: AnswerRequest, *, machine: str | None, camera: str | None) -> AnswerRequest:
        asked.append({"machine": machine, "camera": camera})
        return request.model_copy(update={"telemetry": (TelemetrySeries(name="oil pressure", values=(1.0,)),)})

    async with running(attach=attach) as gateway:
        plant.publish(QUESTIONS, ask("Why?"), correlation=b"1", machine="drive-1")
        await replies(plant, b"1")
    assert asked == [{"machine": "drive-1", "camera": None}]
    assert gateway.answers.asked[0].telemetry[0].name == "oil pressure"


async def test_what_was_asked_while_the_gateway_was_away_is_answered(running: Running, plant: PlantClient) -> None:
    async with running():
        pass
    plant.publish(QUESTIONS, ask("Why?"), correlation=b"1")
    async with running():
        assert (await replies(plant, b"1"))[b"1"]["text"] == "Why?"


async def test_a_question_that_its_sender_repeats_is_answered_once(running: Running, plant: PlantClient) -> None:
    async with running() as gateway:
        for _ in range(3):
            plant.publish(QUESTIONS, ask("Why?"), correlation=b"1")
        plant.publish(QUESTIONS, ask("Why now?"), correlation=b"1")
        plant.publish(QUESTIONS, ask("end"), correlation=b"2")
        await replies(plant, b"1", b"2")
    async with running():
        plant.publish(QUESTIONS, ask("Why?"), correlation=b"1")
        plant.publish(QUESTIONS, ask("end"), correlation=b"3")
        await replies(plant, b"3")
    assert [json.loads(m.payload)["text"] for m in plant.replies(b"1")] == ["Why?", "Why now?"]
    assert len(gateway.answers.asked) == 3


async def test_the_same_words_without_correlation_are_another_question(running: Running, plant: PlantClient) -> None:
    async with running() as gateway:
        for _ in range(3):
            plant.publish(QUESTIONS, ask("Why?"))
        await gateway.until(lambda: gateway.bridge.status().questions.outcomes["answered"] == 3)


async def test_a_broker_that_restarts_costs_no_question_and_repeats_no_answer(running: Running, tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    asker = PlantClient(broker.port, "lineside/gateways/+/answers")
    try:
        async with running(broker) as gateway:
            asker.publish(QUESTIONS, ask("done before"), correlation=b"1")
            await replies(asker, b"1")
            asker.publish(QUESTIONS, ask("wait for it"), correlation=b"2")
            asker.publish(QUESTIONS, ask("wait without a name"))
            await gateway.until(lambda: len(gateway.answers.asked) == 3)
            await asyncio.to_thread(broker.stop)
            gateway.answers.go.set()
            await asyncio.to_thread(broker.start)
            outcomes = gateway.bridge.status().questions.outcomes
            await gateway.until(lambda: outcomes["answered"] == 3)
            await asyncio.to_thread(asker.wait, lambda ms: len(ms) == 3)
            asker.publish(QUESTIONS, ask("end"), correlation=b"3")
            await replies(asker, b"3")
        texts = [json.loads(m.payload)["text"] for m in asker.messages]
        assert sorted(texts) == ["done before", "end", "wait for it", "wait without a name"]
        assert len(gateway.answers.asked) == 4
    finally:
        asker.close()
        broker.stop()


async def test_frames_are_kept_with_camera_time_and_labels(running: Running, plant: PlantClient) -> None:
    async with running() as gateway:
        topic = "lineside/gateways/cell-1/frames/cam-1"
        plant.publish(topic, PIXEL, time="2026-11-25T02:30:00.250Z", labels="scratch, rolled-in scale")
        await gateway.window.count(1)
    ((camera, time, image, labels),) = gateway.window.frames
    assert (camera, time.isoformat(), image) == ("cam-1", "2026-11-25T02:30:00.250000+00:00", PIXEL)
    assert labels == ("scratch", "rolled-in scale")


async def test_a_frame_that_is_not_durable_comes_again(running: Running, plant: PlantClient) -> None:
    async with running() as gateway:
        gateway.window.go.clear()
        plant.publish("lineside/gateways/cell-1/frames/cam-1", b"1")
        await gateway.until(lambda: gateway.window.waiting == 1)
    async with running() as gateway:
        await gateway.window.count(1)
        await gateway.until(lambda: gateway.bridge.status().frames.kept == 1)
    async with running() as gateway:
        plant.publish("lineside/gateways/cell-1/frames/cam-1", b"2")
        await gateway.window.count(1)
    assert [frame[2] for frame in gateway.window.frames] == [b"2"], "the first one was acknowledged when it was kept"


async def test_a_window_that_fails_gets_its_frames_again(running: Running, plant: PlantClient) -> None:
    async with running(frames={"attempts": 2}) as gateway:
        gateway.window.failures = [Unavailable("disk full", retry_after_s=0)] * 2
        for image in (b"1", b"2", b"3"):
            plant.publish("lineside/gateways/cell-1/frames/cam-1", image)
        await gateway.window.count(3)
        counts = gateway.bridge.status().frames
    assert [frame[2] for frame in gateway.window.frames] == [b"1", b"2", b"3"]
    assert counts.again == 1


async def test_the_oldest_frames_of_a_camera_give_way(running: Running, plant: PlantClient) -> None:
    async with running(frames={"waiting_per_camera": 2}) as gateway:
        gateway.window.go.clear()
        for image in (b"0", b"1", b"2", b"3", b"4"):
            plant.publish("lineside/gateways/cell-1/frames/cam-1", image)
        plant.publish("lineside/gateways/cell-1/frames/cam-2", b"other")
        await gateway.until(lambda: gateway.bridge.status().frames.dropped == 2 and gateway.window.waiting == 2)
        gateway.window.go.set()
        await gateway.window.count(4)
    assert sorted(frame[2] for frame in gateway.window.frames) == [b"0", b"3", b"4", b"other"]


@pytest.mark.parametrize(
    ("camera", "described"), [("cam-1", {"time": "yesterday"}), ("cam-1", {"labels": "x" * 300}), ("über all", {})]
)
async def test_a_frame_that_cannot_be_used_is_counted_and_done_with(
    running: Running, plant: PlantClient, camera: str, described: dict[str, str]
) -> None:
    async with running() as gateway:
        plant.publish(f"lineside/gateways/cell-1/frames/{camera}", PIXEL, **described)
        await gateway.until(lambda: gateway.bridge.status().frames.refused == 1)
    assert gateway.window.frames == []


async def test_a_release_notice_wakes_the_loop_when_it_comes_and_when_it_was_kept(
    running: Running, plant: PlantClient
) -> None:
    async with running() as gateway:
        plant.publish("lineside/release", "12", retain=True)
        await asyncio.wait_for(gateway.noticed.wait(), 20)
    async with running() as gateway:
        await asyncio.wait_for(gateway.noticed.wait(), 20)
    plant.publish("lineside/release", "", retain=True)


async def test_a_release_notice_that_is_no_number_is_passed_over(running: Running, plant: PlantClient) -> None:
    async with running() as gateway:
        plant.publish("lineside/release", "twelve")
        plant.publish(QUESTIONS, ask("end"), correlation=b"1")
        await replies(plant, b"1")
        assert not gateway.noticed.is_set()


async def test_the_report_is_kept_by_the_broker_and_follows_the_gateway(
    running: Running, shared_broker: Broker
) -> None:
    def states(messages: list[Any]) -> list[str]:
        return [parse_report(m.payload).state for m in messages]

    async with running() as gateway:
        await gateway.until(lambda: gateway.bridge.reported is not None)
        listener = PlantClient(shared_broker.port, REPORT)
        await asyncio.to_thread(listener.wait, lambda ms: states(ms)[-1:] == ["serving"])
        assert listener.messages[0].retain
        gateway.report = report(state="degraded", reason="too hot")
        gateway.bridge.report_changed()
        await asyncio.to_thread(listener.wait, lambda ms: states(ms)[-1] == "degraded")
    await asyncio.to_thread(listener.wait, lambda ms: states(ms)[-1] == "offline")
    listener.close()
