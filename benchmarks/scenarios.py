"""What is measured of a service: the scenarios of the side-by-side run, as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.queries import KINDS, Kind

Endpoint = Literal["retrieve", "answer"]
BASELINE: Final = "baseline"
LINESIDE: Final = "lineside"
CONCURRENCIES: Final = (1, 8, 32, 64)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One measurement. In the open loop the rate is `rate_per_s`, or `share` of the closed loop's highest rate.

    With `count` the window ends once so many were sent: replies that take seconds would leave a short one empty.
    """

    name: str
    kind: Kind
    endpoint: Endpoint = "retrieve"
    concurrency: int | None = None
    rate_per_s: float | None = None
    share: float | None = None
    stream: bool = False
    mode: str | None = None
    count: int | None = None
    seconds_factor: float = 1.0

    def fields(self, k: int) -> dict[str, Any]:
        """What goes into every request body beside question and image."""
        if self.endpoint == "retrieve":
            return {"k": k}
        return {"k": k, "mode": self.mode, "stream": self.stream, **({"deadline_ms": 30_000} if self.stream else {})}

    @property
    def bodies(self) -> str:
        """Name of the set of bodies that it uses; scenarios of one set use successive parts of it."""
        return f"{self.endpoint}-{self.mode or 'any'}-{self.kind}"


def closed(kind: Kind, concurrency: int) -> str:
    return f"closed {concurrency}, {kind}"


def open_at(kind: Kind, rate: str) -> str:
    return f"open {rate}, {kind}"


EXTRACT: Final = "extractive answers, open 10/s"
EXTRACT_IMAGE: Final = "extractive answers with image, open 10/s"
GENERATE: Final = "generated answers streamed, closed 4"


def retrieval(kinds: Sequence[Kind] = KINDS, *, quick: bool) -> Iterator[Scenario]:
    """Scenarios that the baseline can serve too."""
    for kind in kinds:
        if quick and kind == "image":
            continue
        for concurrency in (1, 64) if quick else CONCURRENCIES:
            yield Scenario(closed(kind, concurrency), kind, concurrency=concurrency)
        yield Scenario(open_at(kind, "10/s"), kind, rate_per_s=10.0)
    if "text" not in kinds:
        return
    for share in (0.8,) if quick else (0.5, 0.8):
        yield Scenario(open_at("text", f"{share:.0%} of capacity"), "text", share=share)


def answering(kinds: Sequence[Kind] = KINDS) -> Iterator[Scenario]:
    """Scenarios of this application alone."""
    scenarios = (
        Scenario(EXTRACT, "text", "answer", rate_per_s=10.0, mode="extract", seconds_factor=2.5),
        Scenario(EXTRACT_IMAGE, "image+text", "answer", rate_per_s=10.0, mode="extract", seconds_factor=2.5),
        Scenario(
            GENERATE, "text", "answer", concurrency=4, stream=True, mode="generate", count=32, seconds_factor=30.0
        ),
    )
    yield from (scenario for scenario in scenarios if scenario.kind in kinds)
