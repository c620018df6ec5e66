"""Citations of answers from elsewhere open for the client of the gateway, and stop at one hop."""

from __future__ import annotations

import httpx
import pytest

from edge.routing import CitationsElsewhere
from lineside.errors import NotFound
from webapi import HttpSettings, create_api
from webapi.service import FORWARDED_BY

from .conftest import FURNACE, Build, Gateway
from .plant import Knowledge, closed_port, served


async def _client(cell: Gateway, **settings: int) -> httpx.AsyncClient:
    wanted = cell.cloud.settings.model_copy(update=settings)
    api = create_api(cell.knowledge, HttpSettings(), elsewhere=CitationsElsewhere(cell.cloud, cell.origins, wanted))
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://gateway")


@pytest.fixture
async def cell(gateway: Build, cluster: str) -> Gateway:
    return gateway(cluster)


async def test_every_url_of_an_answer_from_the_cluster_opens_here(cell: Gateway) -> None:
    answer = await cell.ask("When does the furnace stop?", family="furnace")
    async with await _client(cell) as http:
        page = await http.get(answer.evidence[0].url or "")
        image = await http.get(answer.evidence[0].image_url or "")
    assert page.json()["text"] == FURNACE
    assert page.json()["mark"] == [0, 9]
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")


async def test_a_browser_sees_the_page_and_nothing_in_it_may_run(cell: Gateway) -> None:
    async with await _client(cell) as http:
        page = await http.get("/v1/documents/furnace.md/pages/1", headers={"accept": "text/html"})
    assert "<title>furnace &lt;manual&gt;</title>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_what_is_held_here_is_shown_from_here(gateway: Build) -> None:
    async with await _client(gateway(closed_port())) as http:
        assert (await http.get("/v1/documents/pump.md")).status_code == 200


async def test_a_citation_of_a_replica_is_opened_there_when_there_is_no_cluster(gateway: Build) -> None:
    with served(Knowledge({"furnace": FURNACE})) as url:
        cell = gateway(peers=lambda family: [url])
        answer = await cell.ask("When does the furnace stop?", family="furnace")
        async with await _client(cell) as http:
            assert (await http.get(answer.evidence[0].url or "")).json()["text"] == FURNACE


async def test_what_was_opened_once_opens_again_after_the_link_is_cut(
    gateway: Build, cluster_knowledge: Knowledge
) -> None:
    path = "/v1/documents/furnace.md/pages/1"
    with served(cluster_knowledge) as url:
        async with await _client(gateway(url)) as http:
            first = await http.get(path)
            await _stop_answering(cluster_knowledge)
            assert (await http.get(path)).text == first.text
            assert (await http.get(f"{path}?start=0&end=3")).status_code == 404


async def test_the_cache_keeps_to_its_bytes(gateway: Build, cluster_knowledge: Knowledge) -> None:
    with served(cluster_knowledge) as url:
        cell = gateway(url, citations_cache_bytes=400)
        elsewhere = CitationsElsewhere(cell.cloud, cell.origins, cell.cloud.settings)
        paths = [f"/v1/documents/furnace.md/pages/1?start=0&end={end}" for end in range(1, 9)]
        sizes = [len((await elsewhere.fetch("furnace.md", path, "application/json")).data) for path in paths]
        await _stop_answering(cluster_knowledge)
        kept = [path for path in paths if await _opens(elsewhere, path)]
    assert kept == paths[-len(kept) :]
    assert 0 < sum(sizes[-len(kept) :]) <= 400


async def test_what_cannot_be_asked_for_is_not_found_and_the_message_says_why(gateway: Build) -> None:
    async with await _client(gateway(closed_port())) as http:
        reply = await http.get("/v1/documents/furnace.md")
    assert reply.status_code == 404
    assert "furnace.md is not held here; the cluster did not answer" in reply.json()["message"]


async def test_what_the_cluster_does_not_have_is_not_found(cell: Gateway) -> None:
    async with await _client(cell) as http:
        reply = await http.get("/v1/documents/kettle.md")
    assert reply.status_code == 404
    assert "release 8" in reply.json()["message"]


async def test_a_request_that_was_passed_on_is_not_passed_on_again(cell: Gateway) -> None:
    async with await _client(cell) as http:
        reply = await http.get("/v1/documents/furnace.md", headers={FORWARDED_BY: "cell-2"})
    assert reply.status_code == 404


async def test_a_name_cannot_reach_other_routes_of_the_cluster(cell: Gateway) -> None:
    async with await _client(cell) as http:
        for path in ("/v1/images/%2e%2e", "/v1/documents/%2e%2e", "/v1/documents/%2e"):
            assert (await http.get(path)).status_code == 404


async def _stop_answering(knowledge: Knowledge) -> None:
    knowledge.families.clear()


async def _opens(elsewhere: CitationsElsewhere, path: str) -> bool:
    try:
        await elsewhere.fetch("furnace.md", path, "application/json")
    except NotFound:
        return False
    return True
