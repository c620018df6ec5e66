"""What travels over a link, and what counts as a dead one."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.routing import Cloud, RoutingSettings
from lineside.errors import ConfigurationError
from lineside.schema import AnswerRequest, Degradation
from tests.edge.messaging.broker import Authority

from .conftest import PUMP, Build, Gateway
from .plant import Knowledge, closed_port, served, serving

QUICK = {"failures_in_a_row": 1, "probe_after_s": 60, "probe_max_s": 60}


def over(cell: Gateway, handler: object) -> Gateway:
    """The same gateway with a handler in the place of the network."""
    for remote in cell.cloud.cluster:
        remote._http = httpx.AsyncClient(transport=httpx.MockTransport(handler))  # type: ignore[arg-type]
    return cell


def said(degraded: tuple[Degradation, ...]) -> str:
    return " ".join(d.reason for d in degraded)


async def test_question_image_request_id_and_authorization_reach_the_cluster_but_not_a_peer(
    gateway: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_TOKEN", "Bearer s3cret")
    seen: list[Request] = []
    bodies: list[AnswerRequest] = []

    async def answer(request: Request) -> Response:
        seen.append(request)
        bodies.append(AnswerRequest.model_validate_json(await request.body()))
        return Response("{}", status_code=503)

    with serving(Starlette(routes=[Route("/v1/answer", answer, methods=["POST"])])) as url:
        as_peer = url.replace("127.0.0.1", "localhost")
        cell = gateway(url, peers=lambda family: [as_peer], authorization="env:CLUSTER_TOKEN")
        request = AnswerRequest(question="why?", family="furnace")
        await cell.router.answer(request, b"bytes", request_id="r-7", deadline=cell.router.deadline(request))
    assert [r.headers.get("authorization") for r in seen] == [None, "Bearer s3cret"]
    assert {r.headers["x-request-id"] for r in seen} == {"r-7"}
    assert {b.image for b in bodies} == {"Ynl0ZXM="}
    assert {b.forwarded_by for b in bodies} == {("cell-1",)}
    assert all(b.stream and b.deadline_ms for b in bodies)


@pytest.mark.parametrize(
    ("status", "body", "opens"),
    [
        (503, '{"request_id": "", "code": "overloaded", "message": "full"}', True),
        (500, "<html>", True),
        (502, "<html>", True),
        (401, '{"request_id": "", "code": "invalid_request", "message": "who are you?"}', True),
        (404, "<html>no such route", True),
        (200, "not a stream", True),
        (422, '{"request_id": "", "code": "invalid_request", "message": "too long"}', False),
        (404, '{"request_id": "", "code": "not_found", "message": "no family"}', False),
    ],
)
async def test_what_the_service_or_a_proxy_says_opens_the_breaker_unless_the_question_was_wrong(
    gateway: Build, status: int, body: str, opens: bool
) -> None:
    cell = over(gateway(closed_port(), breaker=QUICK), lambda request: httpx.Response(status, text=body))
    answer = await cell.ask(priority="batch")
    assert (cell.cloud.cluster[0].breaker.state == "open") == opens
    assert answer.text == f"{PUMP} [1]"
    assert answer.status == "partial"


async def test_a_reply_without_end_is_given_up_at_the_limit(gateway: Build) -> None:
    async def endless(request: httpx.Request) -> httpx.Response:
        async def body():  # type: ignore[no-untyped-def]
            while True:
                yield b"data: " + b"x" * 4_096 + b"\n"

        return httpx.Response(200, content=body())

    cell = over(gateway(closed_port(), max_reply_bytes=65_536), endless)
    assert "more than 65,536 bytes" in said((await cell.ask(priority="batch")).degraded)


async def test_a_busy_pool_of_connections_says_nothing_about_the_link(gateway: Build) -> None:
    def busy(request: httpx.Request) -> httpx.Response:
        raise httpx.PoolTimeout("all in use")

    cell = over(gateway(closed_port(), breaker=QUICK), busy)
    assert "connections are busy" in said((await cell.ask(priority="batch")).degraded)
    assert cell.cloud.reachable


async def test_mutual_tls_lets_in_only_who_has_a_certificate_of_the_plant(gateway: Build, tmp_path: Path) -> None:
    plant = Authority(tmp_path)
    certificate, key = plant.issue("cluster", server=True)
    ours, our_key = plant.issue("cell-1")
    theirs, their_key = Authority(tmp_path, "stranger").issue("cell-1")
    server = {"ssl_certfile": certificate, "ssl_keyfile": key, "ssl_ca_certs": plant.path}
    with served(Knowledge({"pump": PUMP}, release=8), **server, ssl_cert_reqs=ssl.CERT_REQUIRED) as url:
        known = gateway(url, ca=plant.path, certificate=ours, certificate_key=our_key)
        assert (await known.ask(priority="batch")).served_by == "cluster"
        for fields in (
            {"ca": plant.path},
            {"ca": plant.path, "certificate": theirs, "certificate_key": their_key},
            {"ca": tmp_path / "stranger-ca.pem", "certificate": ours, "certificate_key": our_key},
        ):
            answer = await gateway(url, **fields).ask(priority="batch")
            assert answer.served_by == "cell-1"
            assert "the cluster did not answer" in said(answer.degraded)


async def test_an_address_of_the_routing_table_that_would_send_in_the_clear_is_not_asked(gateway: Build) -> None:
    answer = await gateway(closed_port(), peers=lambda family: ["http://10.0.0.7"]).ask(family="furnace")
    assert "10.0.0.7" not in said(answer.degraded)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cluster": ("http://cluster.plant",)}, "https"),
        ({"cluster": ("https://user:pw@cluster.plant",)}, "nothing else"),
        ({"authorization": "Bearer s3cret"}, "env:NAME"),
        ({"certificate": "a.pem"}, "belong together"),
        ({"breaker": {"probe_after_s": 10, "probe_max_s": 1}}, "probe_after_s"),
        ({"health": {"warm_celsius": 95}}, "warm_celsius"),
        ({"policy": {"alert": "cluster_first"}}, "alert"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RoutingSettings.model_validate(fields)


async def test_files_that_cannot_be_read_are_a_configuration_error(tmp_path: Path) -> None:
    for fields in (
        {"ca": tmp_path / "no.pem"},
        {"authorization": "env:LINESIDE_NOT_SET"},
        {"authorization": "file:no"},
    ):
        with pytest.raises(ConfigurationError, match="routing"):
            Cloud(RoutingSettings(cluster=("https://cluster.plant",), **fields), "cell-1")  # type: ignore[arg-type]


def test_paths_belong_to_the_folder_of_the_settings(tmp_path: Path) -> None:
    settings = RoutingSettings(ca=Path("ca.pem"), authorization="file:token").below(tmp_path)
    assert (settings.ca, settings.authorization) == (tmp_path / "ca.pem", f"file:{tmp_path / 'token'}")
