"""The routing table as statements about every question in every state."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from edge.routing import KnowledgeState, Level
from edge.routing.policy import route
from edge.routing.settings import PolicySettings, Preference
from lineside.schema import Priority, RetrieveRequest

FAMILIES = ("pump", "furnace", "conveyor")
PREFERENCES: tuple[Preference, ...] = ("here", "here_first", "cluster_first")
PRIORITIES: tuple[Priority, ...] = ("alert", "interactive", "batch")

requests = st.builds(
    RetrieveRequest,
    question=st.just("why?"),
    priority=st.sampled_from(PRIORITIES),
    family=st.sampled_from((None, *FAMILIES)),
    forwarded_by=st.sampled_from(((), ("cell-2",), ("cell-2", "cell-3"))),
)
knowledges = st.sets(st.sampled_from(FAMILIES)).map(lambda held: KnowledgeState(3, frozenset(held), datetime.now(UTC)))
policies = st.builds(PolicySettings, interactive=st.sampled_from(PREFERENCES), batch=st.sampled_from(PREFERENCES))
levels = st.sampled_from(list(Level))


@given(requests, knowledges, levels, policies)
def test_alerts_and_what_was_passed_on_stay_here_in_every_state(
    request: RetrieveRequest, knowledge: KnowledgeState, level: Level, policy: PolicySettings
) -> None:
    chosen = route(request, knowledge, level, policy)
    if request.priority == "alert" or request.forwarded_by:
        assert chosen.here_first
        assert not chosen.elsewhere
        assert not chosen.peers_too


@given(requests, knowledges, levels, policies)
def test_every_question_has_somebody_who_answers_it(
    request: RetrieveRequest, knowledge: KnowledgeState, level: Level, policy: PolicySettings
) -> None:
    chosen = route(request, knowledge, level, policy)
    assert chosen.here_first or chosen.elsewhere
    assert chosen.held == (request.family is None or request.family in knowledge.families)
    assert chosen.elsewhere or not chosen.spared


@given(requests, knowledges, levels)
def test_a_gateway_that_is_told_to_keep_everything_keeps_everything(
    request: RetrieveRequest, knowledge: KnowledgeState, level: Level
) -> None:
    assert not route(request, knowledge, level, PolicySettings(interactive="here", batch="here")).elsewhere
