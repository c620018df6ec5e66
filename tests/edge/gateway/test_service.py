"""What a gateway says of itself, in its status, its readiness and its reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from edge.gateway.knowledge import Knowledge, KnowledgeAnswers
from edge.gateway.service import GatewayService
from edge.sync import OpenRelease, Outcome
from edge.sync.state import State
from lineside.answering.settings import AnsweringSettings


def service(last_look: Outcome | None = None, state: State | None = None, **said: Any) -> GatewayService:
    knowledge = Knowledge(_open)
    following: Any = SimpleNamespace(last_look=last_look, state=state or State(gateway="cell-1"), fault=None)
    return GatewayService(KnowledgeAnswers(knowledge, AnsweringSettings()), knowledge, following, None, said)


def serving(made: GatewayService) -> GatewayService:
    made._knowledge.adopt(7, lambda: OpenRelease(7, 3, (), {}))
    return made


class Index:
    """No rows of two families."""

    families = ("drive", "pump")

    def __len__(self) -> int:
        return 0


def _open(release: OpenRelease, before: object) -> Any:
    return SimpleNamespace(publication=release.publication, release=release.release, index=Index())


def test_report_before_the_first_release_says_that_it_is_starting_and_why() -> None:
    report = service().report()
    assert (report.state, report.release, report.families) == ("starting", None, ())
    assert "no release has arrived" in report.reason


def test_report_of_a_gateway_that_serves_names_what_it_serves() -> None:
    report = serving(service(Outcome("unchanged", 3, 7))).report()
    assert (report.state, report.publication, report.release, report.reason) == ("serving", 7, 3, "")
    assert report.families == ("drive", "pump")


def test_refused_update_makes_the_report_degraded_but_a_dead_link_does_not() -> None:
    refused = serving(service(Outcome("refused", 3, 7, "publication 6 is older than 7"))).report()
    assert (refused.state, refused.reason) == ("degraded", "publication 6 is older than 7")
    assert serving(service(Outcome("unreachable", 3, 7, "no route to host"))).report().state == "serving"


def test_report_has_the_latest_incidents_first_and_no_more_than_a_report_may() -> None:
    state = State(gateway="cell-1")
    for number in range(1, 9):
        state = state.with_incident(number, "damaged " * 200)
    report = service(state=state).report()
    assert [incident.split()[2] for incident in report.incidents] == ["8:", "7:", "6:", "5:", "4:"]


async def test_readiness_without_a_release_says_what_the_last_look_came_to() -> None:
    ready = await service(Outcome("unreachable", None, None, "no route to host")).readiness()
    assert not ready.ready
    assert "no route to host" in ready.stages["knowledge"]


async def test_status_shows_what_every_part_says() -> None:
    status = await service(mqtt=lambda: "connected").status()
    assert status.release is None
    assert status.gateway is not None
    assert status.gateway.parts == {"mqtt": "connected"}
