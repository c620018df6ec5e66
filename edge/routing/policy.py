"""Who is asked, in which order: the table of docs/adr/0010-routing.md as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from edge.routing.health import Level
from edge.routing.settings import PolicySettings, Preference
from lineside.schema import RetrieveRequest


@dataclass(frozen=True, slots=True)
class KnowledgeState:
    """What this gateway answers from.

    `current_at` (UTC): when it was last known that nothing newer is published, that is the last look at the store
    that succeeded; the time the release was applied where there has been none since.
    """

    release: int
    families: frozenset[str]
    current_at: datetime


Knowledge = Callable[[], KnowledgeState]


@dataclass(frozen=True, slots=True)
class Route:
    """What is done with one question.

    `here_first`: the answer from here is made first and kept unless it abstains. `elsewhere`: whether anybody else may
    be asked at all. `peers_too`: replicas are asked before the cluster. `held`: whether an answer from here makes
    sense. `spared`: others come first because this gateway is short of means.
    """

    here_first: bool
    elsewhere: bool
    peers_too: bool
    held: bool
    spared: bool = False


def route(request: RetrieveRequest, knowledge: KnowledgeState, level: Level, policy: PolicySettings) -> Route:
    """The route of a question.

    An alert never leaves the device, and a question that another gateway passed on is not passed on again.
    """
    held = request.family is None or request.family in knowledge.families
    preference = _preference(request, policy)
    if preference == "here" or request.forwarded_by:
        return Route(here_first=True, elsewhere=False, peers_too=False, held=held)
    if not held:
        return Route(here_first=False, elsewhere=True, peers_too=True, held=False)
    if preference == "cluster_first":
        return Route(here_first=False, elsewhere=True, peers_too=level >= Level.SHEDDING, held=True)
    if level >= Level.SHEDDING:
        return Route(here_first=False, elsewhere=True, peers_too=True, held=True, spared=True)
    return Route(here_first=True, elsewhere=True, peers_too=False, held=True)


def _preference(request: RetrieveRequest, policy: PolicySettings) -> Preference:
    if request.priority == "alert":
        return "here"
    return policy.interactive if request.priority == "interactive" else policy.batch
