"""The controller: what it makes of reports, what it signs, and that it can be killed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.fleet.reports import GatewayReport, GatewayState
from edge.fleet.rollout import Controller, decide, judge, plan_waves
from edge.fleet.settings import RolloutSettings
from edge.trust.fleet_documents import FleetDocuments
from edge.trust.staging import Edition, RolloutRecord, WavesRecord, wanted
from lineside.errors import ConfigurationError
from tests.edge.plant import Plant

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OLD, NEW = Edition(publication=6, release=3), Edition(publication=7, release=4)
SETTINGS = RolloutSettings(soak_s=60, wave_timeout_s=600, report_stale_s=120, max_failed=0.1)
WAVES = WavesRecord(publication=7, waves=(("a",), ("b", "c"), ("d", "e", "f")))


def rolling(admitted: int = 1, **changes: object) -> RolloutRecord:
    record = RolloutRecord(sequence=9, phase="rolling", baseline=OLD, candidate=NEW, admitted=admitted, admitted_at=NOW)
    return record.model_copy(update=changes)


def report(
    gateway: str = "a",
    publication: int | None = 7,
    state: GatewayState = "serving",
    *,
    after_s: float = 10,
    incidents: tuple[str, ...] = (),
) -> GatewayReport:
    return GatewayReport(
        gateway=gateway,
        at=NOW + timedelta(seconds=after_s),
        publication=publication,
        release=None,
        state=state,
        version="1",
        incidents=incidents,
    )


def verdict(one: GatewayReport | None, *, after_s: float = 20) -> str:
    return judge(one, 7, NOW, NOW + timedelta(seconds=after_s), SETTINGS).verdict


def test_gateway_that_serves_the_candidate_is_well() -> None:
    assert verdict(report()) == "well"


def test_gateway_that_reports_the_publication_before_the_wave_is_not_believed() -> None:
    assert verdict(report(after_s=-1)) == "pending"


def test_gateway_is_pending_until_the_time_is_over_and_late_then() -> None:
    assert verdict(report(publication=6)) == "pending"
    assert verdict(report(publication=6, after_s=601), after_s=601) == "late"


def test_gateway_that_does_not_report_is_silent_when_the_time_is_over() -> None:
    for silent in (None, report(state="offline", after_s=590), report(after_s=400)):
        assert verdict(silent, after_s=601) == "silent"
    assert verdict(None) == "pending"


def test_incident_with_the_candidate_is_a_failure_and_with_another_one_not() -> None:
    said = "2026-11-25T12:00:05Z publication {}: canary queries of pump fail"
    assert verdict(report(publication=6, incidents=(said.format(7),))) == "failed"
    assert verdict(report(incidents=(said.format(6), said.format(70)))) == "well"


def test_degraded_on_the_candidate_is_a_failure_and_before_it_not() -> None:
    assert verdict(report(state="degraded")) == "failed"
    assert verdict(report(publication=6, state="degraded")) == "pending"


def test_wave_is_admitted_after_the_one_before_was_well_for_long_enough() -> None:
    reports = {"a": report()}
    first = decide(rolling(), WAVES, reports, SETTINGS, NOW + timedelta(seconds=20), None)
    assert (first.action, first.quiet_since) == ("wait", NOW + timedelta(seconds=20))
    later = decide(rolling(), WAVES, reports, SETTINGS, NOW + timedelta(seconds=80), first.quiet_since)
    assert later.action == "admit"


def test_soaking_begins_anew_after_somebody_was_not_well() -> None:
    one = decide(rolling(), WAVES, {"a": report()}, SETTINGS, NOW + timedelta(seconds=20), None)
    starting = {"a": report(state="starting", after_s=30)}
    assert (
        decide(rolling(), WAVES, starting, SETTINGS, NOW + timedelta(seconds=30), one.quiet_since).quiet_since is None
    )


def test_last_wave_settles() -> None:
    reports = {name: report(name) for name in "abcdef"}
    quiet = NOW + timedelta(seconds=15)
    assert decide(rolling(3), WAVES, reports, SETTINGS, NOW + timedelta(seconds=80), quiet).action == "settle"


def test_paused_rollout_admits_nobody_and_is_still_withdrawn_on_failures() -> None:
    paused, quiet, now = rolling(phase="paused"), NOW, NOW + timedelta(seconds=80)
    assert decide(paused, WAVES, {"a": report()}, SETTINGS, now, quiet).action == "wait"
    assert decide(paused, WAVES, {"a": report(state="degraded")}, SETTINGS, now, quiet).action == "withdraw"


def test_silent_gateway_blocks_nobody_for_ever() -> None:
    now = NOW + timedelta(seconds=700)
    reports = {name: report(name, after_s=690) for name in "ab"}
    assert decide(rolling(2), WAVES, reports, SETTINGS, now, NOW + timedelta(seconds=601)).action == "admit"
    strict = SETTINGS.model_copy(update={"silent_fails": True})
    assert decide(rolling(2), WAVES, reports, strict, now, NOW).action == "withdraw"


@given(
    st.integers(1, 200),
    st.floats(0, 0.99),
    st.data(),
)
def test_wave_is_withdrawn_exactly_when_more_than_the_allowed_share_fails(
    size: int, share: float, data: st.DataObject
) -> None:
    failing = data.draw(st.integers(0, size))
    names = tuple(f"g{number}" for number in range(size))
    reports = {n: report(n, state="degraded" if i < failing else "serving") for i, n in enumerate(names)}
    settings = SETTINGS.model_copy(update={"max_failed": share})
    waves = WavesRecord(publication=7, waves=(names,))
    decision = decide(rolling(), waves, reports, settings, NOW + timedelta(seconds=20), None)
    assert (decision.action == "withdraw") == (failing > int(share * size))


@given(st.integers(0, 3))
def test_gateways_of_admitted_waves_want_the_candidate_and_no_others(admitted: int) -> None:
    record = rolling(admitted)
    taking = {name for wave in WAVES.waves[:admitted] for name in wave}
    for name in "abcdefz":
        assert wanted(record, WAVES, name) == (NEW if name in taking else OLD)


@given(st.lists(st.one_of(st.integers(1, 9), st.floats(0.01, 1)), max_size=5), st.integers(1, 40), st.integers(0, 3))
def test_waves_hold_every_gateway_once_canaries_first(sizes: list[int | float], count: int, canaries: int) -> None:
    ranked = [f"g{number}" for number in range(count)]
    settings = RolloutSettings(canaries=tuple(ranked[-canaries:] if canaries else ()), waves=tuple(sizes))
    waves = plan_waves(settings, {}, ranked)
    assert sorted(name for wave in waves for name in wave) == sorted(ranked)
    assert waves[0] == (settings.canaries or ("g0",))
    assert all(waves)


def test_replicas_of_a_family_do_not_stand_in_one_wave_where_others_can() -> None:
    held = {"a": ("pump",), "b": ("pump",), "c": ("drive",), "d": ("drive",)}
    waves = plan_waves(RolloutSettings(canaries=("x",), waves=(2,)), held, ["x", "a", "b", "c", "d"])
    assert waves == (("x",), ("a", "c"), ("b", "d"))


# ---- What it signs --------------------------------------------------------------------------------------------------


@pytest.fixture
def staged(plant: Plant) -> Plant:
    """Publication 2 runs everywhere, 3 is published and waits."""
    plant.change("pump", "Its colour is green.")
    plant.publish(staged=True)
    return plant


def controller(plant: Plant, settings: RolloutSettings = SETTINGS) -> Controller:
    return Controller(lambda: plant.repository, settings, {"cell-1": "https://cell-1", "cell-2": ""})


def reports_of(plant: Plant, *names: str) -> dict[str, GatewayReport]:
    """The gateways look, and report what they hold."""
    found = {}
    for name in names:
        gateway = plant.gateway(name)
        gateway.update()
        state = gateway.state()
        assert state.current is not None
        incidents = tuple(f"publication {i.publication}: {i.reason}" for i in reversed(state.incidents[-5:]))
        found[name] = GatewayReport(
            gateway=name,
            at=datetime.now(UTC) + timedelta(seconds=1),
            publication=state.current.publication,
            release=state.current.release,
            state="serving",
            version="1",
            incidents=incidents,
        )
    return found


def test_rollout_goes_to_all_gateways_though_the_controller_is_new_at_every_step(staged: Plant) -> None:
    """What a kill -9 between any two steps comes to: nothing is kept but what was signed."""
    settings = SETTINGS.model_copy(update={"soak_s": 0})
    controller(staged).begin(controller(staged).editions()[-1], (("cell-1",), ("cell-2",)))
    phases = []
    for _ in range(4):
        seen = reports_of(staged, "cell-1", "cell-2")
        phases.append((seen["cell-1"].publication, seen["cell-2"].publication))
        record, _ = controller(staged, settings).step(seen, datetime.now(UTC) + timedelta(seconds=2))
    assert phases == [(3, 2), (3, 3), (3, 3), (3, 3)]
    assert (record.phase, record.baseline.publication) == ("settled", 3)
    assert record.previous is not None
    assert record.previous.publication == 2


def test_failed_canary_brings_its_gateway_back_and_reaches_nobody_else(staged: Plant) -> None:
    controller(staged).begin(controller(staged).editions()[-1], (("cell-1",), ("cell-2",)))
    seen = reports_of(staged, "cell-1")
    seen["cell-1"] = seen["cell-1"].model_copy(update={"state": "degraded", "reason": "answers nothing"})
    record, decision = controller(staged).step(seen, datetime.now(UTC) + timedelta(seconds=2))
    assert (record.phase, decision.action) == ("rolled back", "withdraw")
    assert "cell-1: answers nothing" in record.reason
    assert {r.publication for r in reports_of(staged, "cell-1", "cell-2").values()} == {2}


def test_paused_rollout_is_resumed(staged: Plant) -> None:
    control = controller(staged, SETTINGS.model_copy(update={"soak_s": 0}))
    control.begin(control.editions()[-1], (("cell-1",), ("cell-2",)))
    control.pause("shift change")
    now = datetime.now(UTC) + timedelta(seconds=2)
    assert control.step(reports_of(staged, "cell-1"), now)[0].admitted == 1
    control.resume()
    assert control.step(reports_of(staged, "cell-1"), now)[0].admitted == 2


def test_finished_rollout_is_taken_back(staged: Plant) -> None:
    control = controller(staged, SETTINGS.model_copy(update={"soak_s": 0}))
    control.begin(control.editions()[-1], (("cell-1", "cell-2"),))
    control.step(reports_of(staged, "cell-1", "cell-2"), datetime.now(UTC) + timedelta(seconds=2))
    assert control.roll_back("people complain").baseline.publication == 2
    assert {r.publication for r in reports_of(staged, "cell-1", "cell-2").values()} == {2}
    with pytest.raises(ConfigurationError, match="no publication before"):
        control.roll_back("again")


def test_second_rollout_waits_for_the_first(staged: Plant) -> None:
    control = controller(staged)
    edition = control.editions()[-1]
    control.begin(edition, (("cell-1",), ("cell-2",)))
    with pytest.raises(ConfigurationError, match="is rolling out"):
        control.begin(edition, (("cell-1",), ("cell-2",)))


def test_what_all_run_is_not_rolled_out(staged: Plant) -> None:
    control = controller(staged)
    with pytest.raises(ConfigurationError, match="run already"):
        control.begin(control.editions()[0], (("cell-1",),))


def test_controller_needs_neither_the_keys_of_shards_nor_of_models(staged: Plant) -> None:
    for role in ("shards", "models", "targets", "root-1", "root-2", "root-3", "publisher"):
        (staged.keyring.folder / f"{role}.key").unlink()
    control = controller(staged)
    assert control.begin(control.editions()[-1], (("cell-1",),)).admitted == 1
    assert reports_of(staged, "cell-1")["cell-1"].publication == 3


def test_publishing_at_the_same_time_loses_no_step(staged: Plant) -> None:
    """Somebody signs between the controller's reading and its writing: it reads again."""
    control = controller(staged)
    edition = control.editions()[-1]
    once = iter([True])

    def replace(key: str, data: bytes, etag: str) -> str:
        if next(once, False):
            staged.repository.publish({})
        return type(staged.store).replace(staged.store, key, data, etag)

    staged.store.replace = replace  # type: ignore[method-assign]
    assert control.begin(edition, (("cell-1",),)).admitted == 1
    rollout = FleetDocuments.read(staged.repository).rollout
    assert rollout is not None
    assert rollout.candidate == edition


def test_nothing_is_rolled_out_before_a_fleet_is_published(plant: Plant) -> None:
    with pytest.raises(ConfigurationError, match="publish --fleet"):
        controller(plant).pause()
