"""A gateway at work: it takes what is new, resumes, mends, goes back, and never holds plain text on its disk."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from edge.gateway.settings import read_gateway
from edge.pieces import GatewayIdentity
from edge.sync import OpenRelease, Synchroniser, SyncLoop
from lineside.errors import ConfigurationError, IntegrityError, NotReady, StoreUnavailable
from lineside.search.contract import SearchQuery
from lineside.search.release_index import ReleaseIndex
from lineside.search.settings import SearchSettings
from tests.edge.plant import MemoryStore, Plant, unreachable


def ids(gateway: Synchroniser) -> set[str]:
    return {shard.id for shard in gateway.open_release().shards}


def published_ids(plant: Plant) -> set[str]:
    return {folder.name for folder in plant.shards.values()}


def packs_fetched(store: MemoryStore) -> list[str]:
    return [key for key in store.fetched if key.startswith("tuf/packs")]


def with_first(plant: Plant, **options: Any) -> Synchroniser:
    """A gateway that holds the first publication and looks at the store with the second."""
    plant.gateway(store=plant.first).update()
    return plant.gateway(**options)


# ---- Taking a release -----------------------------------------------------------------------------------------------


def test_new_gateway_takes_what_is_published(plant: Plant) -> None:
    gateway = plant.gateway()
    outcome = gateway.update()
    assert (outcome.status, outcome.release, outcome.publication) == ("applied", 2, 2)
    assert ids(gateway) == published_ids(plant)


def test_opened_shards_answer_like_the_published_ones(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    query = SearchQuery(text="bolt of part 7 of the pump", family="pump")
    ours = ReleaseIndex(gateway.open_release().shards, 2, SearchSettings()).search(query)
    theirs = ReleaseIndex.open(list(plant.shards.values()), 2).search(query)
    assert ours.evidence == theirs.evidence
    assert ours.evidence


def test_opened_shards_hold_their_memory_as_long_as_they_are_used(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    shard = next(shard for shard in gateway.open_release().shards if shard.family == "pump")
    assert shard.image("pump-worn-0").data
    assert "bolt" in shard.document("pump-manual").text
    del shard
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing_new_fetches_no_target_and_no_pack(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    plant.store.fetched.clear()
    assert gateway.update().status == "unchanged"
    assert not packs_fetched(plant.store)
    assert not [key for key in plant.store.fetched if "shards/" in key or "access/" in key]


def test_unchanged_family_is_not_fetched_again(plant: Plant) -> None:
    gateway = with_first(plant)
    plant.store.fetched.clear()
    gateway.update()
    assert not [key for key in plant.store.fetched if re.search(r"targets/shards/.*drive", key)]
    new = {key for key in plant.store.objects if key not in plant.first.objects and key.startswith("tuf/packs")}
    assert set(packs_fetched(plant.store)) == new


def test_signing_again_changes_nothing_for_gateways(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    plant.repository.publish({})
    assert gateway.update().status == "unchanged"


def test_older_release_published_again_is_taken(plant: Plant) -> None:
    """Going back to release 1 is publication 3."""
    gateway = plant.gateway()
    gateway.update()
    plant.releases = 0
    plant.publish()
    outcome = gateway.update()
    assert (outcome.status, outcome.release, outcome.publication) == ("applied", 1, 3)


def test_gateway_that_gains_a_family_fetches_only_that(plant: Plant) -> None:
    gateway = plant.gateway("cell-2")
    gateway.update()
    wider = plant.recipients.gateways["cell-2"].model_copy(update={"families": None})
    plant.recipients = plant.recipients.model_copy(update={"gateways": {**plant.recipients.gateways, "cell-2": wider}})
    published = plant.publish()
    assert published.new_epochs == ()
    gateway.update()
    assert {shard.family for shard in gateway.open_release().shards} == {"drive", "pump"}


def test_models_come_whole_into_a_folder(plant: Plant, tmp_path: Path) -> None:
    model = tmp_path / "writer"
    (model / "tokenizer").mkdir(parents=True)
    (model / "weights.gguf").write_bytes(os.urandom(700_000))
    (model / "tokenizer" / "vocab.txt").write_text("a\nb\n")
    plant.publish(models={"writer": model})
    gateway = plant.gateway(settings={"models": ("writer",)})
    assert gateway.update().status == "applied"
    folder = gateway.model("writer")
    for name in ("weights.gguf", "tokenizer/vocab.txt"):
        assert (folder / name).read_bytes() == (model / name).read_bytes()
    assert gateway.update().status == "unchanged"


def test_model_that_is_not_published_is_said_so(plant: Plant) -> None:
    gateway = plant.gateway(settings={"models": ("writer",)})
    outcome = gateway.update()
    assert outcome.status == "refused"
    assert "models/writer.json" in outcome.reason
    with pytest.raises(NotReady, match="writer"):
        gateway.model("writer")


# ---- Bad links, full disks ------------------------------------------------------------------------------------------


def test_gateway_without_network_keeps_its_release(plant: Plant) -> None:
    gateway = with_first(plant)
    plant.store.before_get = unreachable
    outcome = gateway.update()
    assert (outcome.status, outcome.release) == ("unreachable", 1)
    assert "cable" in outcome.reason
    assert len(ids(gateway)) == 2


def test_release_opens_offline_in_a_new_process(plant: Plant) -> None:
    plant.gateway().update()
    plant.store.before_get = unreachable
    assert ids(plant.gateway()) == published_ids(plant)


def test_interrupted_update_goes_on_where_it_was(plant: Plant) -> None:
    plant.publish(new_epoch=True)
    gateway = with_first(plant)
    got: list[str] = []

    def break_after_one_pack(key: str) -> None:
        if key.startswith("tuf/packs"):
            if got:
                raise StoreUnavailable("the cable is pulled")
            got.append(key)

    plant.store.before_get = break_after_one_pack
    assert gateway.update().status == "unreachable"
    plant.store.before_get = lambda key: None
    plant.store.fetched.clear()
    assert plant.gateway().update().status == "applied"
    assert packs_fetched(plant.store)
    assert got[0] not in plant.store.fetched


def test_update_over_the_disk_limit_is_not_taken(plant: Plant) -> None:
    gateway = with_first(plant, settings={"max_disk_mib": 0.01})
    outcome = gateway.update()
    assert (outcome.status, outcome.release) == ("failed", 1)
    assert "max_disk_mib" in outcome.reason


def test_backup_gives_way_when_the_disk_is_full(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    plant.publish(new_epoch=True)
    gateway.update()
    plant.publish(new_epoch=True)
    used = sum(path.stat().st_size for path in (plant.root / "cell-1" / "packs").iterdir())
    gateway = plant.gateway(settings={"max_disk_mib": 1.2 * used / 2**20})
    assert gateway.update().status == "applied"


def test_packs_of_past_releases_go(plant: Plant) -> None:
    gateway = plant.gateway()
    for _ in range(4):
        plant.publish(new_epoch=True)
        gateway.update()
    held = {path.name for path in (plant.root / "cell-1" / "packs").iterdir()}
    state = gateway.state()
    assert state.current is not None
    assert state.backup is not None
    needed = {pack.sha256 for held in (state.current, state.backup) for pack in gateway._held.packs(held)}
    assert held == needed


# ---- Canaries and going back ----------------------------------------------------------------------------------------


def fail(shard: object, data: bytes) -> None:
    raise IntegrityError("the answers are others")


def test_release_that_is_published_again_does_not_become_its_own_backup(plant: Plant) -> None:
    gateway = with_first(plant)
    before = ids(gateway)
    gateway.update()
    plant.publish()
    assert gateway.update().status == "applied"
    assert gateway.roll_back("answers are slow")
    assert ids(gateway) == before


def test_release_whose_canaries_fail_is_never_served(plant: Plant) -> None:
    gateway = with_first(plant, canary=fail)
    outcome = gateway.update()
    assert (outcome.status, outcome.release) == ("failed", 1)
    assert "canary queries" in outcome.reason
    again = gateway.update()
    assert again.status == "unchanged"
    assert "failed here" in again.reason
    assert gateway.state().incidents[-1].reason == outcome.reason


def test_release_after_one_that_failed_is_taken(plant: Plant) -> None:
    with_first(plant, canary=fail).update()
    plant.change("pump", "Its colour is blue.")
    plant.publish()
    assert plant.gateway().update().status == "applied"


def test_canaries_notice_a_ranking_that_is_broken(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = with_first(plant)

    def nothing(*args: object) -> list[tuple[str, ...]]:
        return [() for _ in range(8)]

    monkeypatch.setattr("edge.canary._ask", nothing)
    outcome = gateway.update()
    assert (outcome.status, outcome.release) == ("failed", 1)


def test_gateway_goes_back_when_told_and_stays_there(plant: Plant) -> None:
    gateway = with_first(plant)
    before = ids(gateway)
    gateway.update()
    assert gateway.roll_back("answers are slow")
    assert ids(gateway) == before
    assert gateway.update().status == "unchanged"
    assert gateway.state().incidents[-1].reason == "answers are slow"
    assert not gateway.roll_back("again")


# ---- Damage on the disk ---------------------------------------------------------------------------------------------


def damage(plant: Plant, gateway: Synchroniser, name: str = "cell-1") -> None:
    """Flips a bit in every pack that only the current release needs."""
    state = gateway.state()
    assert state.current is not None
    older = {p.sha256 for p in gateway._held.packs(state.backup)} if state.backup else set()
    for pack in gateway._held.packs(state.current):
        if pack.sha256 not in older:
            path = plant.root / name / "packs" / pack.sha256
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)


def test_damaged_pack_is_mended_from_the_store(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    damage(plant, gateway)
    health = gateway.check()
    assert health.damaged == health.repaired > 0
    assert ids(gateway) == published_ids(plant)


def test_damaged_release_is_mended_when_it_is_opened(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    damage(plant, gateway)
    assert ids(gateway) == published_ids(plant)


def test_backup_takes_over_offline_and_the_release_comes_back_with_the_network(plant: Plant) -> None:
    gateway = with_first(plant)
    first = ids(gateway)
    gateway.update()
    damage(plant, gateway)
    plant.store.before_get = unreachable
    assert ids(gateway) == first
    assert "damaged" in gateway.state().incidents[-1].reason
    plant.store.before_get = lambda key: None
    assert gateway.update().status == "applied"
    assert ids(gateway) == published_ids(plant)


def test_damage_without_backup_and_network_is_said_and_mended_later(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    damage(plant, gateway)
    plant.store.before_get = unreachable
    with pytest.raises(NotReady):
        gateway.open_release()
    plant.store.before_get = lambda key: None
    assert gateway.update().status == "applied"
    assert ids(gateway) == published_ids(plant)


def test_damaged_document_is_fetched_again(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    for path in (plant.root / "cell-1" / "documents").iterdir():
        path.write_bytes(b"{}")
    assert gateway.check().damaged > 0
    gateway.update()
    assert ids(gateway) == published_ids(plant)


def test_damaged_model_is_fetched_again(plant: Plant, tmp_path: Path) -> None:
    model = tmp_path / "writer.gguf"
    model.write_bytes(os.urandom(100_000))
    plant.publish(models={"writer": model})
    gateway = plant.gateway(settings={"models": ("writer",)})
    gateway.update()
    (gateway.model("writer") / "writer.gguf").write_bytes(bytes(100_000))
    assert gateway.check().damaged == 1
    with pytest.raises(NotReady):
        gateway.model("writer")
    assert gateway.update().status == "applied"
    assert (gateway.model("writer") / "writer.gguf").read_bytes() == model.read_bytes()


def test_state_written_by_somebody_else_is_put_aside(plant: Plant) -> None:
    """Who has the disk but not the key cannot make a gateway start on a release of his own."""
    gateway = plant.gateway()
    gateway.update()
    path = plant.root / "cell-1" / "state.json"
    body, mac = path.read_bytes().splitlines()
    state = json.loads(body)
    state["current"]["release"] = 99
    path.write_bytes(json.dumps(state).encode() + b"\n" + mac + b"\n")
    plant.store.before_get = unreachable
    gateway = plant.gateway()
    with pytest.raises(NotReady):
        gateway.open_release()
    assert list(path.parent.glob("state.refused-*"))
    plant.store.before_get = lambda key: None
    assert gateway.update().status == "applied"


def test_state_of_another_gateway_is_put_aside(plant: Plant) -> None:
    plant.gateway("cell-2").update()
    plant.gateway().update()
    source, target = (plant.root / name / "state.json" for name in ("cell-2", "cell-1"))
    target.write_bytes(source.read_bytes())
    assert plant.gateway().state().current is None


# ---- Secrecy --------------------------------------------------------------------------------------------------------


def test_no_plain_text_in_the_store_or_on_the_gateways_disk(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    opened = gateway.open_release()
    assert opened.shards
    on_disk = [path.read_bytes() for path in (plant.root / "cell-1").rglob("*") if path.is_file()]
    secret = [b"clearance", b"bolt takes", b"A worn pump", b"ARROW1", b"NUMPY"]
    for data in (*on_disk, *plant.store.objects.values()):
        assert not [words for words in secret if words in data]
    assert any(b"clearance" in path.read_bytes() for path in plant.shards["pump"].rglob("*") if path.is_file())


def test_another_key_opens_nothing(plant: Plant) -> None:
    plant.gateway().update()
    stranger = Synchroniser(plant.settings(), GatewayIdentity("cell-1", b"x" * 32), source=plant.store)
    assert stranger.state().current is None
    assert stranger.update().status == "refused"


def test_key_of_another_gateway_is_refused(plant: Plant) -> None:
    with pytest.raises(ConfigurationError, match="cell-2"):
        Synchroniser(plant.settings(), plant.identities["cell-2"], source=plant.store)


def test_missing_root_of_trust_is_said(plant: Plant, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="root of trust"):
        plant.gateway(settings={"root": tmp_path / "none.json"})


def test_gateway_imports_neither_torch_nor_ray() -> None:
    code = "import sys, edge.sync, edge.command; print({'torch', 'ray', 'transformers', 'vllm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "set()"


# ---- The loop and its settings --------------------------------------------------------------------------------------


def test_loop_looks_when_told_and_says_that_the_release_changed(plant: Plant) -> None:
    gateway = plant.gateway(store=plant.first, settings={"poll_s": 3_600.0})
    changed = threading.Semaphore(0)
    loop = SyncLoop(gateway, changed.release)
    loop.start()
    assert changed.acquire(timeout=60)
    plant.first.objects.update(plant.store.objects)
    loop.look_now()
    assert changed.acquire(timeout=60)
    loop.stop(timeout_s=60)
    assert loop.last is not None
    assert loop.last.release == 2


def test_settings_are_read_with_paths_beside_their_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("{gateway: cell-1, store: 's3://plant/edge', state: state, root: root.json, key: 'file:cell.key'}")
    settings = read_gateway(path)
    assert (settings.state, settings.root) == (tmp_path / "state", tmp_path / "root.json")


@pytest.mark.parametrize("change", ["link_share: 2", "poll_s: 0", "gateway: ../x", "unknown: 1"])
def test_impossible_settings_are_refused_with_their_name(tmp_path: Path, change: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        f"gateway: cell-1\nstore: s\nstate: s\nroot: r\nkey: env:K\n{change}\n".replace(
            "gateway: cell-1\n", "" if change.startswith("gateway") else "gateway: cell-1\n"
        )
    )
    with pytest.raises(ConfigurationError, match=change.split(":")[0]):
        read_gateway(path)


def test_release_that_whoever_serves_refuses_is_not_taken_and_is_an_incident(plant: Plant) -> None:
    def refuse(release: OpenRelease) -> None:
        raise NotReady(f"no memory for release {release.release}", 1.0)

    outcome = with_first(plant, accept=refuse).update()
    assert (outcome.status, outcome.release) == ("failed", 1)
    gateway = plant.gateway()
    assert "no memory for release 2" in gateway.state().incidents[-1].reason
    assert gateway.update().status == "unchanged"


def test_release_refused_for_the_settings_is_tried_again_after_a_restart(plant: Plant) -> None:
    def refuse(release: OpenRelease) -> None:
        raise ConfigurationError("made with another encoder")

    gateway = with_first(plant, accept=refuse)
    assert gateway.update().status == "failed"
    assert "another encoder" in gateway.update().reason
    assert plant.gateway().update().status == "applied"


def test_release_is_given_to_whoever_serves_once_and_its_shards_stay_the_same_objects(plant: Plant) -> None:
    offered: list[OpenRelease] = []
    gateway = plant.gateway(accept=offered.append)
    gateway.update()
    gateway.update()
    [accepted] = offered
    assert (accepted.publication, accepted.release) == (2, 2)
    assert {id(shard) for shard in gateway.open_release().shards} == {id(shard) for shard in accepted.shards}
