"""A gateway is put together from its settings: what they leave out is not there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from edge.gateway.composition import Gateway
from edge.gateway.named import NamedAnswers
from edge.gateway.process import run
from edge.gateway.settings import EncoderSettings, GatewaySettings
from edge.gateway.telemetry import TelemetryAnswers
from edge.messaging import MqttBridge
from edge.routing import Router, Routing
from edge.window import WindowSettings
from lineside.answering.deadline import Deadline
from lineside.errors import ConfigurationError, NotReady
from lineside.schema import AnswerRequest, RetrieveRequest, TelemetrySeries
from tests.edge.plant import Plant


def gateway(plant: Plant, **sections: Any) -> Gateway:
    settings = GatewaySettings.model_validate(
        plant.settings().model_dump() | {"encoders": EncoderSettings()} | sections
    )
    return Gateway(settings, plant.identities["cell-1"], source=plant.store)


def routes(made: Gateway) -> set[str]:
    return {route.path for route in made.api().routes if isinstance(route, APIRoute)}


async def test_shortest_settings_make_a_gateway_that_follows_and_answers_and_nothing_else(plant: Plant) -> None:
    made = gateway(plant)
    assert [type(part).__name__ for part in made.parts] == ["Following"]
    assert "/v1/answer" in routes(made)
    assert "/v1/frames" not in {*routes(made), *made.api().openapi()["paths"]}


async def test_every_section_adds_its_part(plant: Plant) -> None:
    made = gateway(
        plant,
        routing={"cluster": ["http://127.0.0.1:9"]},
        window=WindowSettings(),
        mqtt={"broker": "mqtt://127.0.0.1:9"},
        opcua={
            "machines": [{"name": "P-7", "endpoint": "opc.tcp://127.0.0.1:9", "plain": True, "tags": [TAG]}],
        },
        fleet={"reports": str(plant.root / "reports")},
    )
    kinds = {type(part) for part in made.parts}
    assert kinds >= {Routing, MqttBridge}
    assert {kind.__name__ for kind in kinds} == {"Following", "Routing", "OpcUaReader", "MqttBridge", "Reporting"}
    assert isinstance(made.service.answerer, TelemetryAnswers)
    assert "/v1/frames" in made.api().openapi()["paths"]


async def test_gateway_that_stands_alone_says_who_answers(plant: Plant) -> None:
    assert isinstance(gateway(plant).service.answerer, NamedAnswers)


async def test_router_stands_before_the_answers_from_here(plant: Plant) -> None:
    assert isinstance(gateway(plant, routing={}).service.answerer, Router)


async def test_part_that_cannot_start_stops_those_before_it(plant: Plant) -> None:
    made = gateway(plant)
    log: list[str] = []

    class Part:
        def __init__(self, name: str, error: Exception | None = None) -> None:
            self.name, self.error = name, error

        async def start(self) -> None:
            if self.error:
                raise self.error
            log.append(f"start {self.name}")

        async def stop(self) -> None:
            log.append(f"stop {self.name}")

    made.parts = [Part("a"), Part("b"), Part("c", ConfigurationError("no certificate"))]
    with pytest.raises(ConfigurationError):
        await made.start()
    assert log == ["start a", "start b", "stop b", "stop a"]
    with pytest.raises(NotReady, match="being stopped"), made.knowledge.serving():
        pass


async def test_settings_without_encoders_are_refused_before_anything_starts(plant: Plant, tmp_path: Path) -> None:
    settings = GatewaySettings.model_validate(plant.settings().model_dump())
    with pytest.raises(ConfigurationError, match="encoders"):
        run(settings, plant.identities["cell-1"])


TAG = {"node": "ns=2;s=Bearing", "name": "bearing temperature", "unit": "°C"}
SERIES = TelemetrySeries(name="bearing temperature", unit="°C", times=(datetime.now(UTC),), values=(81.0,))


class Reader:
    """A machine that always says the same."""

    def attach(self, request: AnswerRequest) -> AnswerRequest:
        return request.model_copy(update={"telemetry": (SERIES,)})

    def attach_to_retrieval(self, request: RetrieveRequest) -> RetrieveRequest:
        return request.model_copy(update={"telemetry": (SERIES,)})


class Asked:
    """Remembers the questions that reach it; answers nothing."""

    def __init__(self) -> None:
        self.requests: list[RetrieveRequest] = []

    def deadline(self, request: RetrieveRequest) -> Deadline:
        return Deadline.in_ms(1_000)

    async def answer(self, request: AnswerRequest, *args: object, **options: object) -> Any:
        self.requests.append(request)

    async def stream(self, request: AnswerRequest, *args: object, **options: object) -> Any:
        self.requests.append(request)
        yield "event"

    async def retrieve(self, request: RetrieveRequest, *args: object, **options: object) -> Any:
        self.requests.append(request)


async def test_readings_of_machines_go_with_every_kind_of_question() -> None:
    asked, reader = Asked(), Reader()
    answers: Any = TelemetryAnswers(asked, reader)  # type: ignore[arg-type]
    question = AnswerRequest(question="Is P-7 too hot?")
    options = {"request_id": "r", "deadline": answers.deadline(question)}
    await answers.answer(question, None, **options)
    await answers.retrieve(RetrieveRequest(question="Is P-7 too hot?"), None, **options)
    assert [event async for event in answers.stream(question, None, **options)] == ["event"]
    assert [request.telemetry for request in asked.requests] == [(SERIES,)] * 3
