"""The real application end to end: answers, limits, releases that change, faults that it survives."""

from __future__ import annotations

import base64
import io
import threading
import time
from ipaddress import ip_address
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from demo.render_frames import HELD_OUT, render_frame
from lineside.client import Client, ServiceError
from lineside.releases import Catalogue
from tests.deployments.conftest import Application, publish

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

QUESTION = "What is the bearing temperature limit?"


@pytest.fixture(scope="module")
def client(application: Application) -> Client:
    return Client(application.url, timeout_s=60)


def frame() -> bytes:
    """A hot bearing as a camera that is not in the index saw it."""
    buffer = io.BytesIO()
    render_frame("thermal-bearing-hot", HELD_OUT.start + 3).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_question_is_answered_verbatim_with_a_citation_that_opens(client: Client, application: Application) -> None:
    answer = client.answer(QUESTION, mode="extract")
    assert (answer.mode, answer.status) == ("extractive", "complete")
    assert "95 °C" in answer.text
    citation = answer.sentences[0].citations[0]
    view = httpx.get(application.url + str(citation.url), trust_env=False).json()
    first, last = view["mark"]
    assert citation.quote in view["text"][first:last]


def test_a_generated_answer_holds_supported_sentences_only(client: Client) -> None:
    answer = client.answer(QUESTION, mode="generate")
    assert answer.mode in ("generated", "extractive")
    assert answer.sentences
    texts = {evidence.n: evidence.text for evidence in answer.evidence}
    for sentence in answer.sentences:
        for citation in sentence.citations:
            assert citation.quote in texts[citation.n]
    if answer.mode == "extractive":
        assert any(d.stage == "generate" for d in answer.degraded)


def test_a_frame_brings_similar_frames_and_their_label(client: Client, application: Application) -> None:
    answer = client.answer("What does this camera show?", image=frame(), mode="extract")
    frames = [evidence for evidence in answer.evidence if evidence.kind == "frame"]
    assert answer.labels
    assert frames
    picture = httpx.get(application.url + str(frames[0].image_url), trust_env=False)
    assert Image.open(io.BytesIO(picture.content)).size[0] > 32
    assert {"encode_image", "encode_text", "search"} <= answer.stages_ms.keys()


def test_a_code_that_no_manual_names_is_not_answered(client: Client) -> None:
    answer = client.answer("What does alarm DRV-M999 mean?")
    assert (answer.status, answer.sentences) == ("abstained", ())


def test_a_stream_starts_with_evidence_and_ends_with_the_answer(client: Client) -> None:
    names = [event.name for event in client.stream(QUESTION, mode="extract")]
    assert (names[0], names[-1]) == ("evidence", "answer")


def test_a_short_deadline_is_met_by_extracting(client: Client) -> None:
    answer = client.answer(QUESTION, mode="generate", deadline_ms=150)
    assert answer.mode in ("extractive", "evidence")
    assert any(d.stage == "generate" for d in answer.degraded)
    assert answer.elapsed_ms < 2_000


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"family": "submarine"}, 404), ({"image": b"no image"}, 415), ({"image": b""}, 415)],
)
def test_what_cannot_be_served_is_refused(client: Client, fields: dict[str, object], status: int) -> None:
    with pytest.raises(ServiceError) as refused:
        client.answer(QUESTION, **fields)  # type: ignore[arg-type]
    assert refused.value.http_status == status


def test_a_decompression_bomb_is_refused(client: Client) -> None:
    buffer = io.BytesIO()
    Image.new("1", (10_000, 8_000)).save(buffer, "PNG")
    with pytest.raises(ServiceError, match="10000 × 8000"):
        client.answer(QUESTION, image=buffer.getvalue())


def test_a_truncated_image_is_refused_by_the_vision_encoder(client: Client) -> None:
    whole = frame()
    with pytest.raises(ServiceError, match="damaged"):
        client.answer(QUESTION, image=whole[: len(whole) // 2])


def test_a_large_image_passes_between_replicas(client: Client) -> None:
    noise = Image.effect_noise((2400, 2000), 90)
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    assert len(buffer.getvalue()) > 4_200_000
    assert client.retrieve(QUESTION, image=buffer.getvalue()).evidence


def test_it_listens_on_loopback_except_between_replicas(application: Application) -> None:
    """Ray gives no way to bind the gRPC port between replicas, which is without HTTP and takes no plain requests."""
    exposed = set()
    for process in [application.process, *application.process.children(recursive=True)]:
        try:
            name, open_ports = process.name(), process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        for connection in open_ports:
            address = ip_address(connection.laddr.ip.removeprefix("::ffff:"))
            if connection.status == psutil.CONN_LISTEN and not address.is_loopback:
                exposed.add(name)
    assert all(name.startswith("ray::ServeRepli") for name in exposed), exposed


def test_the_compatible_route_and_readiness(application: Application) -> None:
    body = {"question": QUESTION, "image_base64": base64.b64encode(frame()).decode(), "optional_context": "96 °C"}
    reply = httpx.post(f"{application.url}/answer", json=body, timeout=60, trust_env=False)
    assert reply.json().keys() >= {"answer", "retrieved", "request_id", "release"}
    ready = httpx.get(f"{application.url}/readyz", trust_env=False, timeout=20).json()
    assert set(ready["stages"]) == {"vision_encoder", "text_encoder", "retriever", "generator"}


def test_a_client_that_goes_away_frees_the_engine(application: Application, client: Client) -> None:
    def generating() -> int:
        return int(httpx.get(f"{application.url}/v1/status", trust_env=False, timeout=20).json()["generating"])

    seen = []
    for event in client.stream("How are screws tightened and what do the alarms mean?", mode="generate"):
        if event.name == "evidence":
            wait = time.monotonic()
            while not seen and time.monotonic() - wait < 5:
                seen = [count for count in (generating(),) if count]
            break
    deadline = time.monotonic() + 15  # a step of the engine that is under way is not cut short
    while generating() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert generating() == 0


def test_a_new_release_is_served_without_a_failed_request(
    application: Application, client: Client, models_dir: Path
) -> None:
    stop, replies, failures = threading.Event(), [], []

    def ask() -> None:
        with Client(application.url) as own:
            while not stop.is_set():
                try:
                    answer = own.answer(QUESTION, mode="extract")
                except ServiceError as error:
                    failures.append(str(error))
                else:
                    replies.append((answer.release, "97 °C" in answer.text))

    before = client.answer(QUESTION, mode="extract").release
    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        number = publish(application.home, models_dir, limit=97)
        wait = time.monotonic() + 30
        while not any(release == number for release, _ in replies[-3:]) and time.monotonic() < wait:
            time.sleep(0.2)
        Catalogue(application.home / "store").activate(before)
        wait = time.monotonic() + 30
        while replies[-1][0] != before and time.monotonic() < wait:
            time.sleep(0.2)
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert not failures
    assert {release for release, _ in replies} == {before, number}
    assert all(new == (release == number) for release, new in replies), "a reply mixes releases"


@pytest.mark.parametrize("deployment", ["VisionEncoder", "Ingress"])
def test_a_killed_replica_is_replaced(application: Application, client: Client, deployment: str) -> None:
    application.replica(deployment).kill()
    time.sleep(1)
    application.wait_ready(120)
    assert "95 °C" in client.answer(QUESTION, image=frame(), mode="extract").text


def test_a_killed_engine_degrades_to_extraction_and_comes_back(application: Application, client: Client) -> None:
    application.engine().kill()
    time.sleep(0.5)
    answer = client.answer(QUESTION, mode="generate", deadline_ms=5_000)
    assert answer.mode == "extractive"
    assert any(d.stage == "generate" for d in answer.degraded)
    time.sleep(2)
    application.wait_ready(200)
    assert client.answer(QUESTION, mode="generate").sentences
