"""The client: requests as the service reads them, replies as models, errors with their reasons."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from lineside import cli
from lineside.client import Client, ServiceError, Unreachable
from lineside.schema import Answer, AnswerSentence, Citation, ErrorBody, Evidence, Retrieval

EVIDENCE = Evidence(
    n=1,
    id="p1",
    kind="passage",
    family="drive",
    score=1.0,
    text="The limit is 95 °C.",
    title="Drive manual",
    page=2,
    section_path=("Bearings",),
    url="/v1/documents/drive/pages/2",
)
ANSWER = Answer(
    request_id="r1",
    release=3,
    mode="extractive",
    status="complete",
    text="The limit is 95 °C. [1]",
    sentences=(
        AnswerSentence(
            text="The limit is 95 °C.",
            citations=(Citation(n=1, evidence_id="p1", quote="The limit is 95 °C.", support=1.0),),
        ),
    ),
    evidence=(EVIDENCE,),
    stages_ms={"search": 1.0},
    deadline_ms=8000,
    elapsed_ms=5.0,
)
RETRIEVAL = Retrieval(request_id="r1", release=3, evidence=(EVIDENCE,), stages_ms={})

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler) -> Client:
    return Client("http://test", transport=httpx.MockTransport(handler))


def test_an_image_travels_as_base64_and_defaults_do_not_travel(tmp_path: Path) -> None:
    picture = tmp_path / "frame.jpg"
    picture.write_bytes(b"bytes of a frame")
    sent = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, text=ANSWER.model_dump_json())

    assert client(reply).answer("Limit?", image=picture, k=3) == ANSWER
    assert sent == [{"question": "Limit?", "image": base64.b64encode(b"bytes of a frame").decode(), "k": 3}]


def test_the_services_reason_and_waiting_time_reach_the_caller() -> None:
    body = ErrorBody(request_id="r1", code="overloaded", message="try again in 2 s")
    refuse = client(lambda _: httpx.Response(503, text=body.model_dump_json(), headers={"retry-after": "2"}))
    with pytest.raises(ServiceError, match="try again") as refused:
        refuse.retrieve("Limit?")
    assert (refused.value.http_status, refused.value.retry_after_s, refused.value.body) == (503, 2.0, body)


def test_a_proxys_error_page_is_an_error_too() -> None:
    with pytest.raises(ServiceError, match=r"502.*bad gateway"):
        client(lambda _: httpx.Response(502, text="<h1>bad gateway</h1>")).answer("Limit?")


def test_no_service_is_unreachable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(Unreachable, match="lineside serve"):
        client(refuse).answer("Limit?")
    assert not client(refuse).ready()


class Plant:
    """Addresses by name: what each does, and who was asked in which order."""

    def __init__(self, **does: Callable[[httpx.Request], httpx.Response]) -> None:
        self.does = does
        self.asked: list[str] = []
        self.deadlines: list[int | None] = []

    def client(self, **options: Any) -> Client:
        urls = [f"http://{name}" for name in self.does]
        return Client(urls, transport=httpx.MockTransport(self._reply), **options)

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        if request.content:
            self.deadlines.append(json.loads(request.content).get("deadline_ms"))
        return self.does[request.url.host](request)


def well(request: httpx.Request) -> httpx.Response:
    events = (
        f"event: evidence\ndata: {RETRIEVAL.model_dump_json()}\n\nevent: answer\ndata: {ANSWER.model_dump_json()}\n\n"
    )
    stream = bool(request.content) and json.loads(request.content).get("stream")
    return httpx.Response(200, text=events if stream else ANSWER.model_dump_json())


def gone(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


def broken_off(request: httpx.Request) -> httpx.Response:
    raise httpx.RemoteProtocolError("server disconnected")


def full(request: httpx.Request) -> httpx.Response:
    body = ErrorBody(request_id="r1", code="overloaded", message="full")
    if request.content and json.loads(request.content).get("stream"):
        return httpx.Response(200, text=f"event: error\ndata: {body.model_dump_json()}\n\n")
    return httpx.Response(503, text=body.model_dump_json())


def wrong(request: httpx.Request) -> httpx.Response:
    return httpx.Response(422, text=ErrorBody(request_id="r1", code="invalid_request", message="k").model_dump_json())


@pytest.mark.parametrize("trouble", [gone, broken_off, full])
def test_the_next_address_answers_when_the_first_cannot(trouble: Handler) -> None:
    plant = Plant(cell1=trouble, cell2=well)
    client = plant.client()
    assert client.answer("Limit?") == ANSWER
    assert [event.name for event in client.stream("Limit?")] == ["evidence", "answer"]
    assert client.url == "http://cell2"


def test_an_address_that_failed_is_asked_last_until_it_has_rested() -> None:
    plant = Plant(cell1=gone, cell2=well)
    client = plant.client()
    client.answer("Limit?")
    client.answer("Limit?")
    assert plant.asked == ["cell1", "cell2", "cell2"]
    plant.does["cell2"] = full
    plant.does["cell1"] = well
    assert client.answer("Limit?") == ANSWER
    rested = Plant(cell1=gone, cell2=well)
    impatient = rested.client(rest_s=0.0)
    impatient.answer("Limit?")
    impatient.answer("Limit?")
    assert rested.asked == ["cell1", "cell2"] * 2


def test_a_question_that_is_wrong_is_wrong_everywhere() -> None:
    plant = Plant(cell1=wrong, cell2=well)
    with pytest.raises(ServiceError, match="k"):
        plant.client().answer("Limit?")
    assert plant.asked == ["cell1"]


def test_the_last_addresss_trouble_is_raised() -> None:
    with pytest.raises(ServiceError, match="full"):
        Plant(cell1=gone, cell2=full).client().answer("Limit?")
    with pytest.raises(Unreachable, match="cell2"):
        Plant(cell1=full, cell2=gone).client().answer("Limit?")


def test_the_next_address_is_told_the_time_that_is_left_and_none_is_asked_without_any() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        time.sleep(0.2)
        return full(request)

    plant = Plant(cell1=slow, cell2=well)
    plant.client().answer("Limit?", deadline_ms=5_000)
    assert plant.deadlines[0] == 5_000
    assert 1 <= (plant.deadlines[1] or 0) <= 4_800
    late = Plant(cell1=slow, cell2=well)
    with pytest.raises(ServiceError, match="full"):
        late.client(timeout_s=0.1).answer("Limit?")
    assert late.asked == ["cell1"]


def test_a_stream_that_breaks_after_an_event_is_not_begun_anew() -> None:
    def halfway(request: httpx.Request) -> httpx.Response:
        def body() -> Iterator[bytes]:
            yield f"event: evidence\ndata: {RETRIEVAL.model_dump_json()}\n\n".encode()
            raise httpx.ReadError("cut")

        return httpx.Response(200, content=body())

    plant = Plant(cell1=halfway, cell2=well)
    events = plant.client().stream("Limit?")
    assert next(events).name == "evidence"
    with pytest.raises(Unreachable, match="cell1"):
        next(events)
    assert plant.asked == ["cell1"]


def test_ready_when_one_address_is() -> None:
    assert Plant(cell1=gone, cell2=well).client().ready()
    assert not Plant(cell1=gone, cell2=full).client().ready()


def test_a_stream_gives_typed_events_and_raises_its_error() -> None:
    blocks = [
        f"event: evidence\ndata: {RETRIEVAL.model_dump_json()}\n\n",
        'event: token\ndata: {"text": "The limit", "citations": [1]}\n\n',
        f"event: answer\ndata: {ANSWER.model_dump_json()}\n\n",
    ]
    events = list(client(lambda _: httpx.Response(200, text="".join(blocks))).stream("Limit?"))
    assert [event.name for event in events] == ["evidence", "token", "answer"]
    assert (events[0].data, events[2].data) == (RETRIEVAL, ANSWER)

    error = ErrorBody(request_id="r1", code="unavailable", message="the retriever is gone").model_dump_json()
    broken = client(lambda _: httpx.Response(200, text=blocks[0] + f"event: error\ndata: {error}\n\n"))
    with pytest.raises(ServiceError, match="retriever is gone"):
        list(broken.stream("Limit?"))


def test_an_answer_is_described_with_its_sources() -> None:
    described = cli.describe(ANSWER, "http://test")
    assert "The limit is 95 °C. [1]" in described
    assert "[1] Drive manual, page 2: Bearings" in described
    assert "http://test/v1/documents/drive/pages/2" in described
    assert "mode extractive, status complete, release 3" in described


def test_who_answered_and_how_old_its_knowledge_is_are_described() -> None:
    answer = ANSWER.model_copy(update={"served_by": "cell-1", "knowledge_age_s": 90.0})
    assert "answered by cell-1, knowledge last known to be new 90 s ago" in cli.describe(answer, "http://test")


def test_ask_without_a_service_says_how_to_start_one() -> None:
    outcome = CliRunner().invoke(cli.app, ["ask", "Limit?", "--url", "http://127.0.0.1:9"])
    assert outcome.exit_code == 1
    assert "lineside serve" in outcome.output


def test_ask_refuses_an_empty_question_before_sending() -> None:
    outcome = CliRunner().invoke(cli.app, ["ask", "  ", "--url", "http://127.0.0.1:9"])
    assert outcome.exit_code == 2
    assert "empty" in outcome.output


def test_a_command_whose_package_is_not_there_says_so_and_the_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", typer.Typer())
    cli.register(EntryPoint("broken", "nowhere.command:app", "lineside.commands"))
    cli.register(EntryPoint("core", "lineside.cli:about", "lineside.commands"))
    refused = CliRunner().invoke(cli.app, ["broken", "sub", "--option", "x"])
    assert refused.exit_code == 1
    assert "broken cannot be loaded: No module named 'nowhere'" in refused.stderr
    assert CliRunner().invoke(cli.app, ["core"]).exit_code == 0
