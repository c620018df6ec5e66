"""kill -9 at random moments of updates: a gateway always starts again, always on a complete release."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.sync import Synchroniser, SyncSettings
from edge.trust.publishing import publish_release
from edge.trust.repository import TrustRepository
from lineside.objects import FolderStore
from tests.edge.plant import Plant, of_family

ROUNDS = int(os.environ.get("LINESIDE_KILL_ROUNDS", "10"))


class Gateways:
    """Starts gateway processes one after another, and kills them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @contextmanager
    def running(self) -> Iterator[None]:
        assert self._process.stdin is not None
        print("start", file=self._process.stdin, flush=True)
        child = int(self._line())
        try:
            yield
        finally:
            os.kill(child, signal.SIGKILL)
            assert self._line() == "killed"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.mark.integration
def test_gateway_killed_while_it_updates_always_starts_on_a_complete_release(plant: Plant, tmp_path: Path) -> None:
    """Each publication has new keys, so that an update fetches everything. LINESIDE_KILL_ROUNDS says how many kills."""
    rng = random.Random(11)
    store = FolderStore(tmp_path / "store")
    for key, data in plant.store.objects.items():
        store.put(key, data)
    settings = plant.settings(store=str(tmp_path / "store"), link_share=1.0)
    contents = [of_publication(plant, number) for number in range(2)]
    interrupted = switched = last = 0

    def publish(number: int) -> int:
        repository = TrustRepository(store, plant.keyring)
        shards = contents[number % 2]
        release = 1 + number % 2
        return publish_release(repository, shards, plant.recipients, release=release, new_epoch=True).publication

    with gateways(settings, tmp_path) as processes:
        publish(0)
        started = time.monotonic()
        with processes.running():
            while held(plant, settings, store) is None:
                time.sleep(0.01)
        longest_s = time.monotonic() - started
        for number in range(1, ROUNDS + 1):
            published = publish(number)
            with processes.running():
                time.sleep(rng.uniform(0, longest_s))
            gateway = Synchroniser(settings, plant.identities["cell-1"], source=store)
            state = gateway.state()
            assert state.current is not None
            assert not state.incidents
            assert state.current.publication >= last
            is_done = state.current.publication == published
            switched += is_done
            interrupted += not is_done
            longest_s *= 0.6 if is_done else 1.5  # so that about half of the updates are cut short, on any machine
            last = state.current.publication
            expected = contents[state.current.release - 1]
            assert {shard.id for shard in gateway.open_release().shards} == {
                folder.name for folder in expected.values()
            }
            assert gateway.check().damaged == 0

    assert switched
    assert interrupted
    final = Synchroniser(settings, plant.identities["cell-1"], source=store)
    assert final.update().status in ("applied", "unchanged")
    assert not list((plant.root / "cell-1").rglob(".writing-*"))


@contextmanager
def gateways(settings: SyncSettings, folder: Path) -> Iterator[Gateways]:
    described = folder / "gateway.json"
    described.write_text(settings.model_dump_json())
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.edge.updating", str(described)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        yield Gateways(process)
    finally:
        process.kill()
        process.wait(30)


def held(plant: Plant, settings: SyncSettings, store: FolderStore) -> int | None:
    """The publication that the gateway's state file names, None before there is one."""
    if not (settings.state / "state.json").exists():
        return None
    current = Synchroniser(settings, plant.identities["cell-1"], source=store).state().current
    return None if current is None else current.publication


def of_publication(plant: Plant, number: int) -> dict[str, Path]:
    return {family: plant.write(of_family(family, f"State {number}.")) for family in ("drive", "pump")}
