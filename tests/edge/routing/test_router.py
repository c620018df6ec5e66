"""Who answers: the table of docs/adr/0010-routing.md, statement by statement, over real servers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from edge.routing import HealthProbe, Level
from edge.routing.health import Reading
from lineside.answering.pipeline import EvidenceFound, Finished
from lineside.errors import NotFound
from lineside.schema import Answer, AnswerRequest

from .conftest import FURNACE, PUMP, Build
from .plant import AGE_S, Knowledge, black_hole, closed_port, for_ever, served

HOT = Reading(celsius=100.0)


def reasons(answer: Answer) -> str:
    return "; ".join(f"{d.stage}: {d.reason}" for d in answer.degraded)


async def test_a_question_that_is_known_here_is_answered_here(
    gateway: Build, cluster: str, cluster_knowledge: Knowledge
) -> None:
    answer = await gateway(cluster).ask()
    assert (answer.text, answer.served_by, answer.status) == (f"{PUMP} [1]", "cell-1", "complete")
    assert answer.knowledge_age_s == AGE_S
    assert not cluster_knowledge.queries


async def test_what_is_not_known_here_is_answered_by_the_cluster_with_its_own_release(
    gateway: Build, cluster: str
) -> None:
    cell = gateway(cluster)
    cell.knowledge.knows = False
    answer = await cell.ask("When does the furnace stop?", deadline_ms=4_000)
    assert (answer.served_by, answer.release, answer.status) == ("cluster", 8, "complete")
    assert FURNACE in answer.text
    assert answer.knowledge_age_s is None
    assert (answer.request_id, answer.deadline_ms) == ("r1", 4_000)


async def test_what_the_cluster_does_not_know_either_is_abstained(
    gateway: Build, cluster: str, cluster_knowledge: Knowledge
) -> None:
    cluster_knowledge.knows = False
    cell = gateway(cluster)
    cell.knowledge.knows = False
    answer = await cell.ask()
    assert (answer.served_by, answer.status, answer.release) == ("cluster", "abstained", 8)


@pytest.mark.parametrize("link", ["closed", "silent"])
async def test_an_abstention_that_the_cluster_could_not_be_asked_about_is_partial_and_says_so(
    gateway: Build, link: str
) -> None:
    with black_hole() as silent:
        cell = gateway(silent if link == "silent" else closed_port())
        cell.knowledge.knows = False
        answer = await cell.ask(deadline_ms=600)
    assert (answer.status, answer.served_by, answer.knowledge_age_s) == ("partial", "cell-1", AGE_S)
    assert answer.text.startswith("The manuals do not answer this")
    assert "could not be asked: the cluster did not answer" in answer.text
    assert "routing: the cluster did not answer" in reasons(answer)
    assert answer.elapsed_ms < 600


async def test_without_a_cluster_an_abstention_is_the_last_word(gateway: Build) -> None:
    cell = gateway()
    cell.knowledge.knows = False
    assert (await cell.ask()).status == "abstained"


async def test_analytics_go_to_the_cluster_when_it_is_reachable(gateway: Build, cluster: str) -> None:
    cell = gateway(cluster)
    answer = await cell.ask(priority="batch")
    assert (answer.served_by, answer.release) == ("cluster", 8)
    assert not cell.knowledge.queries


async def test_analytics_are_answered_here_and_partial_when_it_is_not(gateway: Build) -> None:
    answer = await gateway(closed_port()).ask(priority="batch")
    assert (answer.text, answer.status, answer.served_by) == (f"{PUMP} [1]", "partial", "cell-1")
    assert answer.knowledge_age_s == AGE_S
    assert "the cluster did not answer" in reasons(answer)


async def test_a_silent_cluster_leaves_time_for_an_answer_from_here(gateway: Build) -> None:
    with black_hole() as silent:
        answer = await gateway(silent).ask(priority="batch", deadline_ms=700)
    assert answer.text == f"{PUMP} [1]"
    assert answer.elapsed_ms < 700


async def test_the_cluster_is_told_the_time_that_is_left(
    gateway: Build, cluster: str, cluster_knowledge: Knowledge
) -> None:
    async def slow() -> None:
        await asyncio.sleep(0.25)

    cell = gateway(cluster, margin_ms=50)
    cell.knowledge.knows = False
    cell.knowledge.before_search = slow
    seen: list[int] = []
    deadline = cluster_knowledge.pipeline.deadline
    cluster_knowledge.pipeline.deadline = lambda r: seen.append(r.deadline_ms) or deadline(r)  # type: ignore[method-assign, func-returns-value]
    await cell.ask(deadline_ms=1_500)
    assert 500 < seen[0] <= 1_500 - 250 - 50


async def test_nobody_is_asked_when_too_little_time_is_left(
    gateway: Build, cluster: str, cluster_knowledge: Knowledge
) -> None:
    answer = await gateway(cluster, min_ms=200, fallback_ms=300).ask(priority="batch", deadline_ms=400)
    assert "was not asked" in reasons(answer)
    assert answer.status == "partial"
    assert not cluster_knowledge.queries


async def test_a_family_that_is_not_held_is_asked_of_the_gateway_that_holds_it(gateway: Build, cluster: str) -> None:
    replica = gateway(name="cell-2", knowledge=Knowledge({"furnace": FURNACE}, release=4))
    replica.knowledge.answers = replica.router
    with served(replica.knowledge) as url:
        cell = gateway(cluster, peers=lambda family: [url] if family == "furnace" else [])
        answer = await cell.ask("When does the furnace stop?", family="furnace")
    assert (answer.served_by, answer.release, answer.text) == ("cell-2", 4, f"{FURNACE} [1]")
    assert answer.knowledge_age_s == AGE_S


@pytest.mark.parametrize("trouble", ["gone", "silent", "does not know", "does not hold it either"])
async def test_the_cluster_is_asked_when_the_replica_is_of_no_help(gateway: Build, cluster: str, trouble: str) -> None:
    replica = Knowledge({"pump": PUMP} if trouble.endswith("either") else {"furnace": FURNACE}, knows=False)
    with black_hole() as silent, served(replica) as url:
        peer = {"gone": closed_port(), "silent": silent}.get(trouble, url)
        cell = gateway(cluster, peers=lambda family: [peer])
        answer = await cell.ask(family="furnace", deadline_ms=1_500)
    assert (answer.served_by, answer.release, answer.text) == ("cluster", 8, f"{FURNACE} [1]")
    assert peer in reasons(answer)


async def test_a_family_that_nobody_can_be_asked_about_gives_a_partial_answer_without_other_families_evidence(
    gateway: Build,
) -> None:
    answer = await gateway(closed_port()).ask(family="furnace")
    assert (answer.status, answer.evidence, answer.mode) == ("partial", (), "evidence")
    assert "does not hold the manuals of family furnace" in answer.text


async def test_a_family_that_nobody_knows_is_not_found(gateway: Build, cluster: str) -> None:
    with pytest.raises(NotFound, match="release 8"):
        await gateway(cluster).ask(family="kettle")
    with pytest.raises(NotFound, match="release 3"):
        await gateway().ask(family="kettle")


async def test_a_question_that_was_passed_on_is_not_passed_on_again(
    gateway: Build, cluster: str, cluster_knowledge: Knowledge
) -> None:
    cell = gateway(cluster, peers=lambda family: [cluster])
    cell.knowledge.knows = False
    answer = await cell.ask(forwarded_by=("cell-2",), priority="batch")
    assert answer.status == "abstained"
    with pytest.raises(NotFound):
        await cell.ask(forwarded_by=("cell-2",), family="furnace")
    assert not cluster_knowledge.queries


async def test_two_gateways_that_take_each_other_for_the_holder_do_not_ask_in_circles(gateway: Build) -> None:
    ours, theirs = Knowledge({"pump": PUMP}), Knowledge({"pump": PUMP})
    with served(ours) as our_url, served(theirs) as their_url:
        cell = gateway(knowledge=ours, peers=lambda family: [their_url])
        other = gateway(knowledge=theirs, name="cell-2", peers=lambda family: [our_url])
        theirs.answers = other.router
        answer = await cell.ask(family="furnace")
    assert answer.status == "partial"
    assert not ours.queries


@pytest.mark.parametrize("state", ["knows", "does not know", "hot", "family not held", "failing"])
@pytest.mark.parametrize("ask", ["answer", "evidence"])
async def test_an_alert_reaches_neither_cluster_nor_peer(
    gateway: Build, cluster: str, cluster_knowledge: Knowledge, state: str, ask: str
) -> None:
    health = HealthProbe()
    cell = gateway(cluster, peers=lambda family: [cluster], health=health, policy={"interactive": "cluster_first"})
    cell.knowledge.knows = state == "knows"
    if state == "hot":
        assert health.judge(HOT).level == Level.SHEDDING
    if state == "failing":

        async def fail() -> None:
            raise NotFound("the shard is gone")

        cell.knowledge.before_search = fail
    family = "furnace" if state == "family not held" else None
    try:
        await (cell.ask if ask == "answer" else cell.find)(priority="alert", family=family)
    except NotFound:
        assert state in ("family not held", "failing")
    assert not cluster_knowledge.queries
    assert not any(name.endswith((".cluster", ".peer")) for name in cell.router.counts)


async def test_a_hot_gateway_asks_the_cluster_first_and_answers_without_generating_when_it_cannot(
    gateway: Build, cluster: str
) -> None:
    health = HealthProbe()
    knowledge = Knowledge({"pump": PUMP}, words=("The pump stops at 70 degrees [1].",))
    health.judge(HOT)
    served_there = await gateway(cluster, health=health, knowledge=knowledge).ask()
    assert served_there.served_by == "cluster"
    assert "health: this gateway is shedding: hot: 100 °C, bar 92" in reasons(served_there)
    offline = gateway(closed_port(), health=health, knowledge=knowledge)
    answer = await offline.ask()
    assert (answer.mode, answer.status) == ("extractive", "partial")
    assert "generate: nothing is generated here" in reasons(answer)
    assert reasons(answer).count("health: this gateway is shedding") == 1
    assert (offline.router.counts["saving"], offline.router.counts["shedding"]) == (1, 1)
    health.judge(Reading(celsius=40.0))
    assert (await offline.ask()).mode == "generated"


async def test_a_warm_gateway_answers_by_itself_without_generating_and_says_so(gateway: Build, cluster: str) -> None:
    health = HealthProbe()
    health.judge(Reading(celsius=85.0))
    knowledge = Knowledge({"pump": PUMP}, words=("The pump stops at 70 degrees [1].",))
    answer = await gateway(cluster, health=health, knowledge=knowledge).ask()
    assert (answer.mode, answer.status, answer.served_by) == ("extractive", "complete", "cell-1")
    assert "health: this gateway is saving: warm: 85 °C, bar 80" in reasons(answer)


async def test_slow_searches_here_send_questions_to_the_cluster_until_they_are_forgotten(
    gateway: Build, cluster: str
) -> None:
    now = [0.0]
    health = HealthProbe(clock=lambda: now[0])
    for _ in range(20):
        health.observe(900.0)
    health.judge(Reading())
    cell = gateway(cluster, health=health)
    assert (await cell.ask()).served_by == "cluster"
    now[0] += 31
    health.judge(Reading())
    assert (await cell.ask()).served_by == "cell-1"


async def test_evidence_alone_is_routed_by_the_same_table(gateway: Build, cluster: str) -> None:
    cell = gateway(cluster)
    assert (await cell.find()).served_by == "cell-1"
    assert (await cell.find(priority="batch")).served_by == "cluster"
    assert (await cell.find(family="furnace")).release == 8
    offline = gateway(closed_port())
    found = await offline.find(priority="batch")
    assert (found.status, found.served_by, found.knowledge_age_s) == ("partial", "cell-1", AGE_S)
    assert not (await offline.find(family="furnace")).evidence


async def test_after_the_breaker_has_opened_a_dead_link_is_not_waited_for(gateway: Build) -> None:
    with black_hole() as silent:
        cell = gateway(silent, breaker={"failures_in_a_row": 2, "probe_after_s": 0.05, "probe_max_s": 0.1})
        for _ in range(2):
            await cell.ask(priority="batch", deadline_ms=500)
        answers = []
        for _ in range(20):  # probes come due meanwhile, and no question is one
            answers.append(await cell.ask(priority="batch", deadline_ms=5_000))
            await asyncio.sleep(0.02)
    assert all("was not asked: circuit breaker" in reasons(answer) for answer in answers)
    assert cell.router.counts["missed.cluster"] == 22


async def test_a_link_that_was_dead_at_the_start_costs_not_even_the_first_question(gateway: Build) -> None:
    cell = gateway(closed_port())
    await cell.cloud.start()
    answer = await cell.ask(priority="batch")
    assert "was not asked: circuit breaker open" in reasons(answer)


async def test_the_cluster_is_asked_again_by_itself_when_it_is_back(gateway: Build) -> None:
    url = closed_port()
    cell = gateway(url, breaker={"failures_in_a_row": 1, "probe_after_s": 0.05, "probe_max_s": 0.1})
    assert (await cell.ask(priority="batch")).status == "partial"
    with served(Knowledge({"pump": PUMP}, release=8), port=int(url.rpartition(":")[2])):
        async with asyncio.timeout(10):
            await cell.back.wait()
        assert (await cell.ask(priority="batch")).served_by == "cluster"


async def test_sentences_of_the_cluster_are_passed_on_as_they_come(gateway: Build) -> None:
    words = ("The furnace stops at 900 degrees [1]. ", "The furnace stops at 900 degrees [1].")
    with served(Knowledge({"furnace": FURNACE}, release=8, words=words)) as url:
        events = await gateway(url).events("When does the furnace stop?", family="furnace")
    assert [type(event).__name__ for event in events] == ["EvidenceFound", "SentenceReady", "Finished"]
    assert events[1].sentence.citations[0].quote == FURNACE
    assert events[-1].answer.mode == "generated"


@pytest.mark.parametrize("end", ["silence", "connection cut"])
async def test_a_cluster_that_is_lost_after_a_sentence_leaves_that_sentence_as_a_partial_answer(
    gateway: Build, end: str
) -> None:
    async def word(number: int) -> None:
        if number == 1:
            if end == "silence":
                await for_ever()
            raise MemoryError("killed")

    words = ("The furnace stops at 900 degrees [1]. And ", "more.")
    remote = Knowledge({"furnace": FURNACE}, release=8, words=words, before_word=word)
    # It keeps its own deadlines no longer.
    remote.pipeline.deadline = lambda r: type(cell.router.deadline(r)).in_ms(60_000)  # type: ignore[method-assign]
    with served(remote) as url:
        cell = gateway(url)
        events = await cell.events("When does the furnace stop?", family="furnace", deadline_ms=1_000)
    answer = events[-1].answer
    assert [type(event).__name__ for event in events] == ["EvidenceFound", "SentenceReady", "Finished"]
    assert (answer.status, answer.release, answer.text) == ("partial", 8, f"{FURNACE} [1]")
    assert answer.sentences == (events[1].sentence,)
    assert "the cluster did not answer" in reasons(answer)


async def test_a_client_that_goes_away_ends_the_work_at_the_cluster(gateway: Build) -> None:
    ended = threading.Event()

    async def word(number: int) -> None:
        if number == 1:
            try:
                await for_ever()
            finally:
                ended.set()

    words = ("The furnace stops at 900 degrees [1]. And ", "more.")
    with served(Knowledge({"furnace": FURNACE}, release=8, words=words, before_word=word)) as url:
        cell = gateway(url)
        request = AnswerRequest(question="When does the furnace stop?", family="furnace")
        stream = cell.router.stream(request, None, request_id="r1", deadline=cell.router.deadline(request))
        assert isinstance(await anext(stream), EvidenceFound)
        await anext(stream)
        await stream.aclose()
        assert await asyncio.to_thread(ended.wait, 10)
    assert cell.cloud.reachable


async def test_a_cluster_that_falls_silent_before_its_first_sentence_is_replaced_by_an_answer_from_here(
    gateway: Build,
) -> None:
    async def word(number: int) -> None:
        await for_ever()

    remote = Knowledge({"pump": PUMP}, release=8, words=("never",), before_word=word)
    remote.pipeline.deadline = lambda r: type(cell.router.deadline(r)).in_ms(60_000)  # type: ignore[method-assign]
    with served(remote) as url:
        cell = gateway(url)
        events: list[Any] = await cell.events(priority="batch", deadline_ms=1_000)
    assert [e.retrieval.served_by for e in events if isinstance(e, EvidenceFound)] == ["cluster", "cell-1"]
    assert isinstance(events[-1], Finished)
    assert (events[-1].answer.text, events[-1].answer.status) == (f"{PUMP} [1]", "partial")


async def test_counts_say_who_answered_and_what_was_missed(gateway: Build, cluster: str) -> None:
    cell = gateway(cluster)
    await cell.ask()
    await cell.ask(priority="batch")
    offline = gateway(closed_port())
    await offline.ask(priority="batch")
    assert cell.router.counts == {"served.here": 1, "served.cluster": 1}
    assert offline.router.counts == {"served.here": 1, "missed.cluster": 1, "partial": 1}
