"""The breaker against a model of its rules, and the properties that answers rest on."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.routing.breaker import CircuitBreaker, Permit
from edge.routing.settings import BreakerSettings

SETTINGS = BreakerSettings(
    failures_in_a_row=3, window_s=10, failure_share=0.5, min_calls=6, slow_call_ms=100, probe_after_s=1, probe_max_s=8
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock | None = None, uniform: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(SETTINGS, clock=clock or Clock(), uniform=lambda: uniform)
    for _ in range(SETTINGS.failures_in_a_row):
        call(breaker).failed("refused")
    assert breaker.state == "open"
    return breaker


def call(breaker: CircuitBreaker) -> Permit:
    permit = breaker.call()
    assert permit is not None
    return permit


def probe(breaker: CircuitBreaker, clock: Clock) -> Permit:
    clock.now += breaker.probe_in_s
    permit = breaker.probe()
    assert permit is not None
    return permit


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = CircuitBreaker(SETTINGS.model_copy(update={"min_calls": 1_000}))
    for _ in range(20):
        call(breaker).failed("refused")
        call(breaker).failed("refused")
        call(breaker).succeeded()
    assert breaker.state == "closed"


def test_half_of_the_calls_failing_opens_it_without_three_in_a_row() -> None:
    breaker = CircuitBreaker(SETTINGS)
    for _ in range(3):
        call(breaker).succeeded()
        call(breaker).failed("refused")
    assert breaker.state == "open"


def test_failures_older_than_the_window_are_forgotten() -> None:
    clock = Clock()
    breaker = CircuitBreaker(SETTINGS, clock=clock)
    for _ in range(30):
        call(breaker).succeeded()
        call(breaker).failed("refused")
        clock.now += 5
    assert breaker.state == "closed"


def test_slow_answers_open_it() -> None:
    breaker = CircuitBreaker(SETTINGS)
    for _ in range(3):
        call(breaker).succeeded(took_ms=101)
    assert breaker.state == "open"
    assert "slow" in breaker.reason


def test_an_open_breaker_lets_no_call_through_even_when_a_probe_is_due() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 100
    assert breaker.call() is None
    assert breaker.probe() is not None
    assert breaker.call() is None


def test_waits_double_to_the_maximum_and_lie_between_half_and_whole() -> None:
    for uniform, part in ((0.0, 0.5), (0.999999, 1.0)):
        clock = Clock()
        breaker = opened(clock, uniform)
        waits = []
        for _ in range(6):
            waits.append(round(breaker.probe_in_s, 3))
            probe(breaker, clock).failed("refused")
        assert waits == [round(part * wait, 3) for wait in (1, 2, 4, 8, 8, 8)]


def test_a_link_that_passes_its_probe_and_fails_the_next_call_is_closed_off_for_longer() -> None:
    clock = Clock()
    breaker = opened(clock)
    probe(breaker, clock).succeeded()
    assert breaker.state == "closed"
    call(breaker).failed("refused")
    assert breaker.state == "open"
    assert breaker.probe_in_s == 1.0  # half of 2 s; it was half of 1 s


def test_a_call_that_succeeds_ends_the_trial() -> None:
    clock = Clock()
    breaker = opened(clock)
    probe(breaker, clock).succeeded()
    call(breaker).succeeded()
    call(breaker).failed("refused")
    assert breaker.state == "closed"


def test_what_began_before_it_opened_does_not_count_afterwards() -> None:
    clock = Clock()
    breaker = CircuitBreaker(SETTINGS, clock=clock)
    late, later = call(breaker), call(breaker)
    for _ in range(3):
        call(breaker).failed("refused")
    late.succeeded()
    assert breaker.state == "open"
    probe(breaker, clock).succeeded()
    later.failed("refused")
    assert breaker.state == "closed"


def test_an_abandoned_call_says_nothing_and_an_abandoned_probe_frees_its_place() -> None:
    clock = Clock()
    breaker = CircuitBreaker(SETTINGS, clock=clock)
    for _ in range(10):
        call(breaker).abandoned()
    assert breaker.state == "closed"
    breaker = opened(clock)
    probe(breaker, clock).abandoned()
    assert breaker.state == "open"
    assert probe(breaker, clock) is not None


class Rules(RuleBasedStateMachine):
    """Any order of calls, ends, probes and time, against what must always hold."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.changes: list[str] = []
        self.random = 0.5
        self.breaker = CircuitBreaker(
            SETTINGS, clock=self.clock, uniform=lambda: self.random, on_change=lambda s, _: self.changes.append(s)
        )
        self.calls: list[tuple[Permit, int]] = []  # with the number of changes when they began
        self.probes: list[Permit] = []
        self.row = 0

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(value=st.floats(0, 0.999))
    def chance(self, value: float) -> None:
        self.random = value

    @rule()
    def begin(self) -> None:
        permit = self.breaker.call()
        assert (permit is not None) == (self.breaker.state == "closed")
        if permit is not None:
            self.calls.append((permit, len(self.changes)))

    @rule()
    def begin_probe(self) -> None:
        due = self.breaker.state == "open" and self.breaker.probe_in_s == 0
        permit = self.breaker.probe()
        assert (permit is not None) == due
        if permit is not None:
            assert not self.probes, "two probes at the same time"
            self.probes.append(permit)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), end=st.sampled_from(["succeeded", "failed", "slow", "abandoned"]))
    def end_call(self, data: st.DataObject, end: str) -> None:
        permit, began = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        counts = began == len(self.changes)
        before = self.breaker.state
        if end == "failed":
            permit.failed("refused")
        elif end == "slow":
            permit.succeeded(took_ms=1_000)
        elif end == "succeeded":
            permit.succeeded(took_ms=1)
        else:
            permit.abandoned()
        if not counts or end in ("abandoned", "succeeded"):
            assert self.breaker.state == before
        if counts and end != "abandoned":
            self.row = 0 if end == "succeeded" or self.breaker.state == "open" else self.row + 1
            assert self.row < SETTINGS.failures_in_a_row
        permit.failed("a second end of the same call")
        permit.failed("and a third")

    @precondition(lambda self: self.probes)
    @rule(end=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def end_probe(self, end: str) -> None:
        permit = self.probes.pop()
        if end == "succeeded":
            permit.succeeded()
            assert self.breaker.state == "closed"
            self.row = 0
        else:
            permit.failed("refused") if end == "failed" else permit.abandoned()
            assert self.breaker.state == "open"

    @invariant()
    def a_probe_is_under_way_exactly_when_half_open(self) -> None:
        assert (self.breaker.state == "half_open") == bool(self.probes)

    @invariant()
    def the_wait_has_a_bound(self) -> None:
        assert 0 <= self.breaker.probe_in_s <= SETTINGS.probe_max_s


TestRules = Rules.TestCase
