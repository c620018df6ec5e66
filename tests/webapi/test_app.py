"""The HTTP interface: what comes back, and what bad input is told."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx
import pytest

from lineside.schema import Answer, Retrieval

from .fake_service import FakeService, png

QUESTION = "What is the bearing temperature limit?"


async def test_answer_is_cited_and_says_how_it_was_made(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/answer", json={"question": QUESTION}, headers={"X-Request-ID": "abc-1"})
    answer = Answer.model_validate_json(reply.content)
    assert reply.status_code == 200
    assert (answer.request_id, answer.release, answer.mode, answer.status) == ("abc-1", 3, "extractive", "complete")
    assert "95 °C" in answer.text
    assert "[1]" in answer.text
    assert answer.stages_ms["search"] >= 0
    assert answer.deadline_ms == 8000
    assert reply.headers["X-Request-ID"] == "abc-1"


async def test_multipart_takes_a_file_and_json_fields(client: httpx.AsyncClient, service: FakeService) -> None:
    reply = await client.post(
        "/v1/answer",
        data={"question": QUESTION, "filters": json.dumps({"languages": ["en"]}), "k": "3"},
        files={"image": ("frame.png", png(), "image/png")},
    )
    assert reply.status_code == 200
    assert service.images == [png()]
    assert (service.queries[0].k, service.queries[0].filters.languages) == (3, ("en",))


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_image_comes_as_base64_or_data_url(client: httpx.AsyncClient, service: FakeService, prefix: str) -> None:
    image = prefix + base64.b64encode(png()).decode()
    reply = await client.post("/v1/retrieve", json={"question": QUESTION, "image": image})
    assert Retrieval.model_validate_json(reply.content).evidence[0].id == "p1"
    assert service.images == [png()]


async def test_stream_sends_evidence_first_then_sentences_then_the_answer(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/answer", json={"question": QUESTION, "stream": True})
    events = [block.split("\n") for block in reply.text.strip().split("\n\n")]
    names = [lines[0].removeprefix("event: ") for lines in events]
    assert names[0] == "evidence"
    assert names[-1] == "answer"
    assert set(names[1:-1]) == {"token"}
    answer = Answer.model_validate_json(events[-1][1].removeprefix("data: "))
    tokens = [json.loads(lines[1].removeprefix("data: "))["text"] for lines in events[1:-1]]
    assert answer.text.split() == " ".join(tokens).split()


async def test_compatible_route_keeps_its_shape(client: httpx.AsyncClient, service: FakeService) -> None:
    body = {"question": QUESTION, "image_base64": base64.b64encode(png()).decode(), "optional_context": "bearing 97 °C"}
    reply = (await client.post("/answer", json=body)).json()
    assert "95 °C" in reply["answer"]
    assert reply["retrieved"][0]["id"] == "p1"
    assert "bearing 97" in service.queries[0].context


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 422, "question"),
        ({"question": "  "}, 422, "empty"),
        ({"question": "x" * 2001}, 422, "2000"),
        ({"question": "x", "k": 0}, 422, "k"),
        ({"question": "x", "k": 51}, 422, "k"),
        ({"question": "x", "context": "y" * 16_001}, 422, "context"),
        ({"question": "x", "deadline_ms": 0}, 422, "deadline_ms"),
        ({"question": "x", "unknown_key": 1}, 422, "unknown_key"),
        ({"question": "x", "mode": "poem"}, 422, "mode"),
        ({"question": "x", "image": "not base64!"}, 422, "base64"),
        ({"question": "x", "image": "aGVsbG8="}, 415, "not a readable"),
        ({"question": "x", "image": "data:text/plain;base64,aGVsbG8="}, 415, "text/plain"),
        ({"question": "x", "image": base64.b64encode(png(2000, 1000)).decode()}, 413, "pixels"),
        ({"question": "x", "image": "A" * 32_000}, 413, "limit"),
        ({"question": "x", "context": "y" * 50_000}, 413, "over the limit"),
    ],
)
async def test_bad_input_is_told_what_to_do(
    client: httpx.AsyncClient, body: dict[str, object], status: int, says: str
) -> None:
    reply = await client.post("/v1/answer", json=body)
    error = reply.json()
    assert reply.status_code == status
    assert says in error["message"]
    assert error["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"question=x", "application/x-www-form-urlencoded", 415),
        (b"nonsense", "multipart/form-data", 422),
        (b"nonsense", "multipart/form-data; boundary=b", 422),
    ],
)
async def test_broken_bodies_are_refused(client: httpx.AsyncClient, content: bytes, kind: str, status: int) -> None:
    reply = await client.post("/v1/answer", content=content, headers={"content-type": kind})
    assert (reply.status_code, reply.json()["code"] != "internal") == (status, True)


async def test_a_deadline_above_the_maximum_is_shortened_whatever_headers_say(client: httpx.AsyncClient) -> None:
    body = {"question": QUESTION, "deadline_ms": 10_000_000}
    reply = await client.post("/v1/answer", json=body, headers={"x-request-timeout-seconds": "-1"})
    assert reply.json()["deadline_ms"] == 30_000


async def test_a_hanging_search_gives_a_partial_answer_in_time_and_504_for_evidence(
    client: httpx.AsyncClient, service: FakeService
) -> None:
    service.before_search = lambda: asyncio.sleep(30)
    answered = await client.post("/v1/answer", json={"question": QUESTION, "deadline_ms": 80})
    retrieved = await client.post("/v1/retrieve", json={"question": QUESTION, "deadline_ms": 80})
    assert (answered.status_code, answered.json()["status"]) == (200, "partial")
    assert answered.json()["degraded"][0]["stage"] == "search"
    assert (retrieved.status_code, retrieved.json()["code"]) == (504, "deadline_exceeded")


async def test_overload_refuses_batch_first_and_keeps_a_place_for_alerts(
    client: httpx.AsyncClient, service: FakeService
) -> None:
    release = asyncio.Event()
    service.before_search = release.wait

    async def ask(priority: str) -> httpx.Response:
        return await client.post("/v1/answer", json={"question": QUESTION, "priority": priority})

    running = [asyncio.create_task(ask("interactive")) for _ in range(2)]
    await asyncio.sleep(0.05)
    batch, interactive = await ask("batch"), await ask("interactive")
    alert = asyncio.create_task(ask("alert"))
    await asyncio.sleep(0.05)
    release.set()
    assert batch.status_code == interactive.status_code == 503
    assert interactive.headers["Retry-After"] == "1"
    assert [reply.status_code for reply in await asyncio.gather(*running, alert)] == [200, 200, 200]


async def test_a_citation_opens_with_the_passage_marked(client: httpx.AsyncClient) -> None:
    url = "/v1/documents/drive.manual.md/sections/s1?start=9&end=48&version=0123456789ab"
    view = (await client.get(url)).json()
    page = await client.get("/v1/documents/drive.manual.md/pages/1?start=9&end=48", headers={"accept": "text/html"})
    first, last = view["mark"]
    assert view["text"][first:last] == "The bearing temperature limit is 95 °C."
    assert '<mark id="cited">The bearing temperature limit is 95 °C.</mark>' in page.text
    assert "Drive &lt;manual&gt;" in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/documents/none",
        "/v1/documents/drive.manual.md?version=ba9876543210",
        "/v1/documents/drive.manual.md/pages/1?version=ba9876543210",
        "/v1/documents/drive.manual.md/sections/s1?version=ba9876543210",
        "/v1/documents/drive.manual.md/pages/2",
        "/v1/documents/drive.manual.md/sections/s9",
        "/v1/images/none",
        "/nowhere",
    ],
)
async def test_what_is_not_there_is_404_with_a_reason(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


async def test_half_a_span_is_refused(client: httpx.AsyncClient) -> None:
    reply = await client.get("/v1/documents/drive.manual.md/pages/1?start=9")
    assert reply.status_code == 422
    assert "both" in reply.json()["message"]


async def test_images_are_served_with_their_type(client: httpx.AsyncClient) -> None:
    reply = await client.get("/v1/images/f1")
    assert (reply.headers["content-type"], reply.content) == ("image/png", png())


async def test_readiness_is_503_until_every_stage_answers(client: httpx.AsyncClient, service: FakeService) -> None:
    ready = await client.get("/readyz")
    service.ready = False
    loading = await client.get("/readyz")
    assert (ready.status_code, loading.status_code) == (200, 503)
    assert loading.json()["stages"] == {"retriever": "loading"}
    assert (await client.get("/healthz")).status_code == 200


async def test_status_tells_operators_what_is_served(client: httpx.AsyncClient) -> None:
    status = (await client.get("/v1/status")).json()
    assert (status["release"], status["generating"], status["refused"]) == (3, 0, None)


async def test_an_unexpected_error_is_500_without_its_text(client: httpx.AsyncClient, service: FakeService) -> None:
    def broken() -> None:
        raise RuntimeError("secret path")

    service.before_search = broken
    reply = await client.post("/v1/answer", json={"question": QUESTION})
    assert reply.status_code == 500
    assert "secret" not in reply.text


async def test_openapi_describes_what_gateways_add(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for reply in ("Answer", "Retrieval"):
        assert {"served_by", "knowledge_age_s"} <= set(schemas[reply]["properties"])
        assert not {"served_by", "knowledge_age_s"} & set(schemas[reply]["required"])
    assert "forwarded_by" in schemas["AnswerRequest"]["properties"]


async def test_openapi_describes_bodies_with_examples(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    body = document["paths"]["/v1/answer"]["post"]["requestBody"]["content"]
    assert body["application/json"]["examples"]["image"]["value"]["telemetry"]
    assert "multipart/form-data" in body
    schemas = document["components"]["schemas"]
    assert schemas["AnswerRequest"]["properties"]["question"]["maxLength"] == 2000
    assert {"Answer", "Retrieval", "ErrorBody", "Filters", "TelemetrySeries"} <= schemas.keys()
