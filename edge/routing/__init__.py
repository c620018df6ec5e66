"""Who answers a question that reached a gateway: the gateway itself, another that holds the family, or the cluster."""

from edge.routing.assembly import Routing, RoutingStatus
from edge.routing.breaker import CircuitBreaker
from edge.routing.citations import CitationsElsewhere, Origins
from edge.routing.cloud import Cloud
from edge.routing.health import Health, HealthProbe, Level
from edge.routing.policy import KnowledgeState
from edge.routing.router import Router
from edge.routing.settings import RoutingSettings
from edge.routing.sparing import QuickEncoders, sparing

__all__ = [
    "CircuitBreaker",
    "CitationsElsewhere",
    "Cloud",
    "Health",
    "HealthProbe",
    "KnowledgeState",
    "Level",
    "Origins",
    "QuickEncoders",
    "Router",
    "Routing",
    "RoutingSettings",
    "RoutingStatus",
    "sparing",
]
