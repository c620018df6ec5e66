"""Shards that another process decrypts: the same files, sealed; what it cannot open is left to the gateway."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.early_shards import EarlyShards
from edge.sync import Synchroniser
from edge.sync.memory import MemoryFiles
from lineside.errors import IntegrityError
from tests.edge.plant import Plant


@pytest.fixture
def early() -> Iterator[EarlyShards]:
    with EarlyShards() as early:
        yield early


def secret(gateway: str = "cell-1") -> bytes:
    return gateway.encode().ljust(32)


def begin(early: EarlyShards, gateway: Synchroniser, key: bytes | None = None) -> None:
    settings = gateway.settings
    early.begin(settings.state, settings.gateway, key or secret(), max_shard_bytes=settings.max_shard_bytes)


def shard_ids(gateway: Synchroniser) -> dict[str, str]:
    return {shard.family: shard.id for shard in gateway.open_release().shards}


@pytest.mark.integration
def test_every_shard_that_is_held_comes_sealed_and_whole(plant: Plant, early: EarlyShards) -> None:
    plant.gateway().update()
    gateway = plant.gateway()
    opened = {shard.id: shard for shard in gateway.open_release().shards}
    begin(early, gateway)
    for shard_id, shard in opened.items():
        files = early.take(shard_id)
        assert files is not None
        with files:
            assert set(files.descriptors) >= set(shard.manifest.files)
            for name in shard.manifest.files:
                assert hashlib.sha256(files.read(name)).hexdigest() == shard.manifest.files[name].sha256
            with pytest.raises(PermissionError):
                files.path("manifest.json").write_bytes(b"{}")


@pytest.mark.integration
def test_release_is_opened_from_what_came_early(plant: Plant, early: EarlyShards) -> None:
    plant.gateway().update()
    taken: list[str] = []

    def take(shard_id: str) -> MemoryFiles | None:
        files = early.take(shard_id)
        taken.extend([] if files is None else [shard_id])
        return files

    gateway = plant.gateway(early=take)
    begin(early, gateway)
    assert sorted(shard_ids(gateway).values()) == sorted(taken) != []


@pytest.mark.integration
def test_damaged_shard_does_not_come_early_and_is_mended_as_ever(plant: Plant, early: EarlyShards) -> None:
    plant.gateway().update()
    gateway = plant.gateway(early=early.take)
    for pack in (gateway.settings.state / "packs").iterdir():
        pack.write_bytes(bytes(pack.stat().st_size))
    begin(early, gateway)
    assert shard_ids(gateway) == shard_ids(plant.gateway())


@pytest.mark.integration
def test_nothing_comes_early_with_another_key_and_the_log_says_so(plant: Plant, early: EarlyShards) -> None:
    plant.gateway().update()
    gateway = plant.gateway()
    (first, *_) = shard_ids(gateway).values()
    begin(early, gateway, secret("cell-2"))
    with capture_logs() as said:
        assert early.take(first) is None
    assert [(line["event"], line["shard"], line["exit_status"]) for line in said] == [
        ("shard_not_opened_early", first, 1)
    ]


@pytest.mark.integration
def test_gateway_without_a_release_is_no_failure_of_the_other_process(plant: Plant, early: EarlyShards) -> None:
    begin(early, plant.gateway())
    with capture_logs() as said:
        assert early.take("0" * 64) is None
    assert not said


@pytest.mark.integration
def test_process_ends_with_its_gateway_and_holds_nothing(plant: Plant) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with EarlyShards() as early:
        process = early._process.pid
        assert Path(f"/proc/{process}").exists()
    assert not Path(f"/proc/{process}").exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_file_that_is_not_sealed_is_not_adopted() -> None:
    with MemoryFiles("shard of the pump") as files, pytest.raises(IntegrityError, match="not sealed"):
        files.adopt("a", os.memfd_create("a", os.MFD_ALLOW_SEALING))
