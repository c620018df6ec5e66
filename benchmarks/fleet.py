"""Rolls releases out to simulated gateways: `python -m benchmarks.fleet --gateways 1000 --loss 0.02`.

Every gateway is the real `Synchroniser` with a key, a state folder and a connection of its own: TUF's client workflow,
pack by pack over HTTP, decryption, canary queries, durable switch. It looks at the store every `--poll` seconds and
leaves a signed report; `edge.fleet.rollout.Controller` reads those and signs the steps, as `lineside fleet rollout`
does. What is simulated is the link (`benchmarks.fleet_store`), and the fault of the failing gateways.

1. Every gateway takes the first publication.
2. A release with changed passages goes out: canary, 10 %, 40 %, the rest.
3. Another one, whose canary queries fail on 5 % of the third wave: the rollout must stop and come back. Afterwards
   every gateway is opened and checked: one release, complete, undamaged, the one before.
"""

from __future__ import annotations

import heapq
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import faiss
import numpy as np
import structlog
import typer

from benchmarks.fleet_plant import Plant
from edge.canary import run_canaries
from edge.fleet.placement import score
from edge.fleet.reports import GatewayReport
from edge.fleet.rollout import Controller, plan_waves
from edge.fleet.settings import RolloutSettings
from edge.fleet.sources import StoreReporter, open_reports
from edge.sync import Outcome, Synchroniser, SyncSettings
from edge.sync.source import Backoff
from lineside.errors import IntegrityError
from lineside.objects import open_store
from lineside.shards import Shard


@dataclass
class Gateway:
    """One simulated gateway: looks, and reports when something has changed or the report gets old."""

    synchroniser: Synchroniser
    reporter: StoreReporter
    backoff: Backoff
    fetched_bytes: int = 0
    looks: Counter = field(default_factory=Counter)
    fails_on: frozenset[str] = frozenset()
    publication: int | None = None
    _said: tuple[Any, float] = (None, 0.0)

    def look(self, report_s: float) -> float:
        """Seconds until the next look."""
        outcome = self.synchroniser.update()
        self.fetched_bytes += outcome.fetched_bytes
        self.publication = outcome.publication
        self.looks[outcome.status] += 1
        self._report(outcome, report_s)
        return self.backoff.wait(outcome.status not in ("applied", "unchanged"))

    def _report(self, outcome: Outcome, report_s: float) -> None:
        if outcome.status == "unchanged" and time.monotonic() - self._said[1] < report_s:
            return
        state = self.synchroniser.state()
        latest = tuple(f"publication {i.publication}: {i.reason}"[:1_000] for i in reversed(state.incidents[-5:]))
        said = (outcome.publication, latest)
        if said == self._said[0] and time.monotonic() - self._said[1] < report_s:
            return
        self._said = (said, time.monotonic())
        self.reporter.send(
            GatewayReport(
                gateway=state.gateway,
                at=datetime.now(UTC),
                publication=outcome.publication,
                release=outcome.release,
                state="starting" if outcome.publication is None else "serving",
                version="simulated",
                incidents=latest,
            )
        )


class Schedule:
    """Gateways by the time of their next look; a pool of threads takes whoever is due."""

    def __init__(self, gateways: list[Gateway], threads: int, poll_s: float, report_s: float) -> None:
        self._random = random.Random(3)
        self._report_s = report_s
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._due = [(time.monotonic() + self._random.uniform(0, poll_s), n, g) for n, g in enumerate(gateways)]
        heapq.heapify(self._due)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.lag_s = 0.0
        self.problem: BaseException | None = None

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        faiss.omp_set_num_threads(1)  # of this thread: or each would keep a team of its own, which waits spinning
        while not self._stop.is_set():
            with self._changed:
                if not self._due or (left := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(min(left, 0.5) if self._due else 0.5)
                    continue
                due, number, gateway = heapq.heappop(self._due)
                self.lag_s = max(self.lag_s, time.monotonic() - due)
            try:
                wait = gateway.look(self._report_s)
            except BaseException as error:
                self.problem = error
                raise
            with self._changed:
                heapq.heappush(self._due, (time.monotonic() + wait, number, gateway))
                self._changed.notify()


@dataclass
class Phase:
    """What one step of the benchmark came to."""

    name: str
    seconds: float
    cpu_s: float
    outcome: str
    kib_a_gateway_p50: float
    kib_a_gateway_p95: float
    store: dict[str, int]
    looks: dict[str, int]
    latest_look_s: float


class Simulation:
    """Everything that runs."""

    def __init__(self, plant: Plant, url: str, *, threads: int, poll_s: float, link_share: float, state: Path) -> None:
        self.plant = plant
        self._url = url
        self._threads, self._poll_s = threads, poll_s
        self._controller = Controller(
            lambda: plant.repository, plant.rollout, {n: g.url for n, g in plant.fleet.gateways.items()}
        )
        self._reports = open_reports(plant.fleet)
        reports = open_store(plant.root / "reports")
        self.gateways: dict[str, Gateway] = {}
        for name, identity in plant.identities.items():
            settings = SyncSettings(
                gateway=name,
                store=url,
                state=state / name,
                root=plant.keyring.folder / "metadata" / "1.root.json",
                key="env:UNUSED",
                link_share=link_share,
                poll_s=poll_s,
                backoff_max_s=4 * poll_s,
            )
            backoff = Backoff(poll_s, 4 * poll_s, seed=len(self.gateways))
            gateway = Gateway(None, StoreReporter(reports, identity), backoff)  # type: ignore[arg-type]
            gateway.synchroniser = Synchroniser(settings, identity, canary=self._canary_of(gateway))
            self.gateways[name] = gateway

    def _canary_of(self, gateway: Gateway) -> Callable[[Shard, bytes], None]:
        def canary(shard: Shard, queries: bytes) -> None:
            """The real canary queries; a gateway that fails has a fault that shows with one release."""
            run_canaries(shard, queries)
            if shard.id in gateway.fails_on:
                raise IntegrityError("injected: this processor computes wrongly")

        return canary

    def first(self) -> Phase:
        """All gateways take the first publication."""
        self.plant.publish(change=0)
        with self._measured("first publication") as phase:
            while self._publications() != {1}:
                time.sleep(0.5)
                self._raise()
            phase.outcome = "all gateways hold publication 1"
        return phase

    def rollout(self, name: str, change: float, failing_share: float = 0.0) -> Phase:
        """Publishes and rolls out; with `failing_share` so many gateways of the third wave fail their canaries."""
        self.plant.publish(change=change)
        before = self._controller.documents().rollout
        assert before is not None
        edition = self._controller.editions()[-1]
        ranked = sorted(self.gateways, key=lambda one: score(str(edition.publication), one, 1.0))
        waves = plan_waves(self.plant.rollout, self._controller.held(edition.publication), ranked)
        if failing_share:
            count = max(round(failing_share * len(waves[2])), 1)
            holding = [one for one in waves[2] if self.plant.placement.held().get(one)]
            for one in random.Random(5).sample(holding, count):
                self.gateways[one].fails_on = frozenset(path.name for path in self.plant.shards.values())
        with self._measured(name) as phase:
            self._controller.begin(edition, waves)
            while True:
                record, decision = self._controller.step(self._reports.read(), datetime.now(UTC))
                if record.candidate is None:
                    break
                time.sleep(self.plant.rollout.look_s)
                self._raise()
            decided = time.monotonic()
            while self._publications() != {record.baseline.publication}:
                time.sleep(0.5)
                self._raise()
            phase.outcome = (
                f"{record.phase}: {record.reason or decision.why}; waves of {', '.join(str(len(w)) for w in waves)}; "
                f"all on publication {record.baseline.publication} {time.monotonic() - decided:.1f} s later"
            )
        return phase

    def check(self, publication: int) -> str:
        """Opens what every gateway holds.

        Raises:
            AssertionError: one is on another publication, incomplete, damaged, or its shards are not that release's.
        """
        ids = {family: path.name for family, path in self._expected.items()}
        held = self.plant.placement.held()
        shards = 0
        for name, gateway in self.gateways.items():
            state = gateway.synchroniser.state()
            assert state.current is not None and state.current.publication == publication, name  # noqa: PT018
            opened = {shard.family: shard.id for shard in gateway.synchroniser.open_release().shards}
            assert opened == {family: ids[family] for family in held.get(name, ())}, name
            health = gateway.synchroniser.check()
            assert (health.damaged, health.rolled_back) == (0, False), name
            shards += len(opened)
        return (
            f"checked: {len(self.gateways)} gateways on publication {publication}, {shards} shards opened, none mixed"
        )

    def remember_release(self) -> None:
        """The shards that `check` expects from now on."""
        self._expected = dict(self.plant.shards)

    def _publications(self) -> set[int | None]:
        """What gateways hold, by what their last looks came to; `check` reads it from their disks."""
        return {gateway.publication for gateway in self.gateways.values()}

    def _raise(self) -> None:
        if self._schedule.problem is not None:
            raise self._schedule.problem

    @contextmanager
    def _measured(self, name: str) -> Iterator[Phase]:
        for gateway in self.gateways.values():
            gateway.fetched_bytes, gateway.looks = 0, Counter()
        self._counts()
        self._schedule = Schedule(list(self.gateways.values()), self._threads, self._poll_s, self._poll_s * 2)
        started, cpu = time.monotonic(), time.process_time()
        phase = Phase(name, 0, 0, "", 0, 0, {}, {}, 0)
        self._schedule.start()
        try:
            yield phase
        finally:
            phase.seconds = round(time.monotonic() - started, 1)
            phase.cpu_s = round(time.process_time() - cpu, 1)
            self._schedule.stop()
        fetched = [gateway.fetched_bytes / 1_024 for gateway in self.gateways.values()]
        phase.kib_a_gateway_p50, phase.kib_a_gateway_p95 = (
            round(float(v), 1) for v in np.percentile(fetched, [50, 95])
        )
        phase.store = self._counts()
        phase.looks = dict(sum((gateway.looks for gateway in self.gateways.values()), Counter()))
        phase.latest_look_s = round(self._schedule.lag_s, 1)

    def _counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self._url}/_counts", timeout=30) as reply:
            return json.load(reply)


def simulate(
    gateways: Annotated[int, typer.Option(min=4, help="simulated gateways")] = 1_000,
    families: Annotated[int, typer.Option(min=1)] = 20,
    passages: Annotated[int, typer.Option(min=10, help="of a family")] = 100,
    change: Annotated[float, typer.Option(help="share of the passages that a release changes")] = 0.01,
    latency_ms: Annotated[float, typer.Option(help="of each reply")] = 30.0,
    mbit_per_s: Annotated[float, typer.Option(help="of each gateway's link")] = 8.0,
    loss: Annotated[float, typer.Option(min=0, max=0.9, help="share of replies that break in the middle")] = 0.0,
    poll: Annotated[float, typer.Option(help="seconds between a gateway's looks")] = 20.0,
    soak: Annotated[float, typer.Option(help="seconds that a wave must be well")] = 5.0,
    threads: Annotated[int, typer.Option(min=1, help="gateways that look at once")] = 48,
    folder: Annotated[Path | None, typer.Option(help="where everything is written; removed at the end")] = None,
    out: Annotated[Path | None, typer.Option(help="results as JSON")] = None,
) -> None:
    """Rolls two releases out to simulated gateways; the second one fails on 5 % of a wave and must come back."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the store's process and the folder go too
    root = Path(tempfile.mkdtemp(prefix="lineside-fleet-", dir=folder))
    settings = RolloutSettings(
        soak_s=soak, waves=(0.1, 0.4), max_failed=0.02, wave_timeout_s=600, report_stale_s=20 * poll, look_s=2
    )
    try:
        started = time.monotonic()
        plant = Plant(root, gateways, families, passages, settings)
        took = time.monotonic() - started
        _print(f"{gateways} gateways, {families} families of {passages} passages; made in {took:.0f} s")
        link = ["--latency-ms", str(latency_ms), "--bytes-per-s", str(mbit_per_s * 1e6 / 8), "--loss", str(loss)]
        with _server(root / "store", link) as url:
            simulation = Simulation(plant, url, threads=threads, poll_s=poll, link_share=0.5, state=root / "gateways")
            phases = [_show(simulation.first(), gateways)]
            phases.append(_show(simulation.rollout("rollout", change), gateways))
            simulation.remember_release()
            _print(simulation.check(2))
            phases.append(_show(simulation.rollout("failing wave", change, failing_share=0.05), gateways))
            assert phases[-1].outcome.startswith("rolled back"), phases[-1].outcome
            _print(simulation.check(2))
        if out is not None:
            out.write_text(json.dumps([asdict(phase) for phase in phases], indent=1))
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _server(folder: Path, link: list[str]) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fleet_store", str(folder), *link], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def _show(phase: Phase, gateways: int) -> Phase:
    store = phase.store
    _print(
        f"{phase.name}: {phase.seconds:.1f} s ({phase.cpu_s:.1f} s of CPU). {phase.outcome}\n"
        f"  a gateway fetched {phase.kib_a_gateway_p50:.1f} KiB of packs (median; 95th percentile "
        f"{phase.kib_a_gateway_p95:.1f})\n"
        f"  store: {store['requests']} requests ({store['requests'] / gateways:.1f} a gateway, "
        f"{store['requests'] / phase.seconds:.0f} a second), {store['bytes'] / 2**20:.1f} MiB "
        f"({store['bytes'] / gateways / 1_024:.1f} KiB a gateway), {store['broken']} broken off, "
        f"{store['connections']} connections\n"
        f"  looks: {', '.join(f'{count} {status}' for status, count in sorted(phase.looks.items()))}; "
        f"the latest one was {phase.latest_look_s:.1f} s late"
    )
    return phase


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    typer.run(simulate)
