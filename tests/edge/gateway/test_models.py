"""Models that are loaded before anybody asks for them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from edge.gateway.models import EarlyModels
from lineside.errors import ConfigurationError


class Loaded:
    """Models of which only their end is looked at."""

    def __init__(self, held: dict[str, Path]) -> None:
        self.held, self.closed = held, 0

    def close(self) -> None:
        self.closed += 1


def early(load: Any) -> EarlyModels:
    return EarlyModels(load)


def test_they_load_in_a_thread_and_are_taken_once() -> None:
    goes_on = threading.Event()

    def load(held: dict[str, Path]) -> Loaded:
        assert goes_on.wait(10)
        return Loaded(held)

    models = early(load)
    models.begin({"writer": Path("w")})
    goes_on.set()
    taken: Any = models.take()
    assert taken.held == {"writer": Path("w")}
    assert models.take() is None
    models.close()
    assert taken.closed == 0


def test_what_cannot_be_loaded_is_none() -> None:
    def load(held: dict[str, Path]) -> Loaded:
        raise ConfigurationError("there is no model writer")

    models = early(load)
    models.begin({})
    assert models.take() is None


def test_what_nobody_takes_is_let_go() -> None:
    made: list[Loaded] = []

    def load(held: dict[str, Path]) -> Loaded:
        made.append(Loaded(held))
        return made[0]

    models = early(load)
    models.begin({})
    models.close()
    assert made[0].closed == 1


def test_there_are_none_before_they_are_begun() -> None:
    assert early(Loaded).take() is None
