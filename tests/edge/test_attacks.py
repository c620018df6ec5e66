"""What somebody can do who writes to the store, or has stolen a key: each is refused, the old release stays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from structlog.testing import capture_logs
from tuf.api.metadata import TargetFile

from edge.pieces import SealedPieces
from edge.pieces.index import parse_index
from edge.sync import Outcome, Synchroniser
from edge.trust import ceremony
from edge.trust.records import AccessRecord, access_path, index_path, model_path
from edge.trust.repository import TARGETS, pack_key, target_key
from lineside.errors import IntegrityError
from tests.edge.plant import MemoryStore, Plant


def holding_first(plant: Plant, name: str = "cell-1") -> Synchroniser:
    """A gateway that has the first publication, and from now on looks at the plant's store."""
    assert plant.gateway(name, store=plant.first).update().status == "applied"
    return plant.gateway(name)


def refused(gateway: Synchroniser, reason: str = "", status: str = "refused") -> Outcome:
    """Updates, and checks that nothing was taken, that a log line says why, and that the first release still opens."""
    with capture_logs() as lines:
        outcome = gateway.update()
    assert outcome.status == status, outcome
    assert reason in outcome.reason
    said = [line for line in lines if line["event"] == f"update {status}"]
    assert [line["reason"] for line in said] == [outcome.reason]
    assert said[0]["release"] == outcome.release == 1
    assert {shard.id for shard in gateway.open_release().shards} == ids_of_first(gateway)
    return outcome


def ids_of_first(gateway: Synchroniser) -> set[str]:
    state = gateway.state()
    assert state.current is not None
    assert state.current.publication == 1
    return {shard.id for shard in gateway.open_release().shards}


def test_replayed_older_release(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    gateway = plant.gateway(store=plant.first)
    outcome = gateway.update()
    assert (outcome.status, outcome.release) == ("refused", 2)


def test_replayed_release_after_the_gateway_lost_its_metadata(plant: Plant) -> None:
    """The state remembers the publication, so even an unlucky disk does not open the way back."""
    plant.gateway().update()
    for path in (plant.root / "cell-1" / "trust").glob("*.json"):
        path.unlink()
    outcome = plant.gateway(store=plant.first).update()
    assert (outcome.status, outcome.release) == ("refused", 2)
    assert "older" in outcome.reason


def test_frozen_timestamp(plant: Plant) -> None:
    gateway = holding_first(plant)
    plant.sign("timestamp", expire)
    refused(gateway, "expired")


@pytest.mark.parametrize("role", ["snapshot", "shards"])
def test_expired_metadata(plant: Plant, role: Any) -> None:
    gateway = holding_first(plant)
    plant.sign(role, expire)
    refused(gateway, "expired")


def expire(signed: Any) -> None:
    signed.expires = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)


def test_mixed_snapshot(plant: Plant) -> None:
    """The new snapshot beside the old shards metadata under the new one's name."""
    gateway = holding_first(plant)
    plant.store.objects["tuf/metadata/2.shards.json"] = plant.first.objects["tuf/metadata/1.shards.json"]
    refused(gateway)


def test_snapshot_that_leaves_a_role_out(plant: Plant) -> None:
    gateway = holding_first(plant)
    plant.sign("snapshot", lambda signed: signed.meta.pop("shards.json"))
    refused(gateway)


def test_snapshot_that_sets_a_role_back(plant: Plant) -> None:
    """Signed with the stolen online keys: both name an older shards metadata again."""
    plant.gateway().update()
    old = plant.first.objects["tuf/metadata/1.shards.json"]

    def set_back(signed: Any) -> None:
        meta = signed.meta["shards.json"]
        meta.version, meta.length, meta.hashes = 1, len(old), {"sha256": hashlib.sha256(old).hexdigest()}

    plant.sign("snapshot", set_back)
    outcome = plant.gateway().update()
    assert (outcome.status, outcome.release) == ("refused", 2)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "shards", "targets"])
def test_metadata_signed_by_a_stranger(plant: Plant, role: Any) -> None:
    gateway = holding_first(plant)
    plant.sign(role, signers=[CryptoSigner.generate_ed25519()])
    refused(gateway, "signed")


@pytest.mark.parametrize(("role", "signer"), [("shards", "models"), ("timestamp", "shards"), ("targets", "shards")])
def test_metadata_signed_by_another_role(plant: Plant, role: Any, signer: Any) -> None:
    gateway = holding_first(plant)
    plant.sign(role, signers=plant.keyring.signers(signer))
    refused(gateway, "signed")


def test_root_signed_by_one_of_the_two_keys_that_it_takes(plant: Plant) -> None:
    gateway = holding_first(plant)
    plant.sign("root", signers=plant.keyring.signers("root")[:1], follow=False)
    refused(gateway, "signed")


def test_model_signed_by_the_shards_role(plant: Plant, tmp_path: Path) -> None:
    """The thief of the shards key lists a model of his own; where models are looked up nobody asks that role."""
    evil = tmp_path / "evil.gguf"
    evil.write_bytes(b"GGUF" + bytes(100))
    plant.publish(models={"writer": evil})
    listed = plant.repository.delegated("models")
    assert listed is not None
    model = listed.targets[model_path("writer")]
    plant.publish(models={})
    plant.sign("shards", lambda signed: signed.targets.update({model_path("writer"): model}))
    assert plant.gateway(store=plant.first).update().status == "applied"
    refused(plant.gateway(settings={"models": ("writer",)}), "models/writer.json is not signed by the role")


def test_release_signed_by_the_models_role(plant: Plant) -> None:
    gateway = holding_first(plant)
    release = TargetFile(2, {"sha256": hashlib.sha256(b"{}").hexdigest()}, "release.json")
    plant.store.objects[target_key("release.json", release.hashes["sha256"])] = b"{}"
    plant.sign("shards", lambda signed: signed.targets.pop("release.json"))
    plant.sign("models", lambda signed: signed.targets.update({"release.json": release}))
    refused(gateway, "release.json is not signed by the role")


def test_swapped_family(plant: Plant) -> None:
    """Even the shards key cannot pass the pump's knowledge off as the drive's without the data keys."""
    gateway = holding_first(plant)

    def swap(signed: Any) -> None:
        one, other = index_path("drive"), index_path("pump")
        signed.targets[one], signed.targets[other] = signed.targets[other], signed.targets[one]
        for path in (one, other):
            signed.targets[path].path = path

    contents = {key: data for key, data in plant.store.objects.items() if key.startswith(f"{TARGETS}/shards/")}
    for key, data in contents.items():
        plant.store.objects[key.replace("drive", "x").replace("pump", "drive").replace("x", "pump")] = data
    plant.sign("shards", swap)
    refused(gateway, "is that of shard")


def test_access_of_another_gateway(plant: Plant) -> None:
    gateway = holding_first(plant, "cell-2")

    def swap(signed: Any) -> None:
        target = signed.targets[access_path("cell-1")]
        target.path = access_path("cell-2")
        data = plant.store.objects[target_key(access_path("cell-1"), target.hashes["sha256"])]
        plant.store.objects[target_key(access_path("cell-2"), target.hashes["sha256"])] = data
        signed.targets[access_path("cell-2")] = target

    plant.sign("shards", swap)
    refused(gateway, "is the access of cell-1")


def test_wrapped_key_of_another_gateway(plant: Plant) -> None:
    """An access record rewritten with another gateway's wrapped keys opens nothing."""
    gateway = holding_first(plant, "cell-2")
    metadata = plant.repository.delegated("shards")
    assert metadata is not None
    other = plant.repository.read_target(metadata, access_path("cell-1"))
    assert other is not None
    forged = AccessRecord.model_validate_json(other).model_copy(update={"gateway": "cell-2"}).model_dump_json().encode()
    sha256 = hashlib.sha256(forged).hexdigest()
    plant.store.objects[target_key(access_path("cell-2"), sha256)] = forged
    target = TargetFile(len(forged), {"sha256": sha256}, access_path("cell-2"))
    plant.sign("shards", lambda signed: signed.targets.update({access_path("cell-2"): target}))
    refused(gateway, "is not wrapped for the key of gateway cell-2")


def test_revoked_gateway(plant: Plant) -> None:
    gateway = holding_first(plant, "cell-2")
    plant.revoke("cell-2")
    plant.publish()
    refused(gateway, "gateway cell-2 may read nothing")


def test_revoked_gateway_cannot_open_what_is_published_after_it(plant: Plant) -> None:
    """With the store's every object, and the data keys that it was given before."""
    before = plant.repository.delegated("shards")
    assert before is not None
    access = plant.repository.read_target(before, access_path("cell-2"))
    assert access is not None
    key = AccessRecord.model_validate_json(access).keys["pump"]
    data_key = plant.identities["cell-2"].unwrap(key.wrapped, family="pump", epoch=key.epoch)
    plant.revoke("cell-2")
    plant.publish()
    after = plant.repository.delegated("shards")
    assert after is not None
    data = plant.repository.read_target(after, index_path("pump"))
    assert data is not None
    index = parse_index(data, kind="shard", name="pump")
    assert index.epoch > key.epoch
    for piece in index.files["passages.arrow"].pieces:
        pack = plant.store.objects[pack_key(index.packs[piece.pack].sha256)]
        with pytest.raises(IntegrityError):
            SealedPieces(data_key).open(piece.id_bytes, pack[piece.offset : piece.offset + piece.size])


def test_families_of_others_are_not_opened(plant: Plant) -> None:
    gateway = plant.gateway("cell-2")
    gateway.update()
    assert [shard.family for shard in gateway.open_release().shards] == ["pump"]
    refusing = plant.gateway("cell-2", settings={"families": ("drive",)})
    assert "may not read drive" in refusing.update().reason


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.shards.json", "2.root.json"])
def test_oversized_metadata(plant: Plant, name: str) -> None:
    gateway = holding_first(plant)
    plant.store.objects[f"tuf/metadata/{name}"] = plant.store.objects.get(f"tuf/metadata/{name}", b"") + b" " * (
        9 << 20
    )
    refused(gateway, "more bytes than may be")


def test_oversized_target(plant: Plant) -> None:
    """Signed, but over the gateway's own limit."""
    gateway = holding_first(plant)
    gateway = plant.gateway(settings={"max_index_bytes": 1_024})
    refused(gateway, "are allowed")


def changed(kind: str) -> Callable[[bytes], bytes]:
    return {
        "longer": lambda data: data + bytes(1 << 20),
        "truncated": lambda data: data[: len(data) // 2],
        "empty": lambda data: b"",
        "other": lambda data: bytes(len(data)),
    }[kind]


@pytest.mark.parametrize("kind", ["longer", "truncated", "empty", "other"])
@pytest.mark.parametrize("where", ["packs/", "targets/shards/", "targets/access/", "targets/", "metadata/3."])
def test_changed_object(plant: Plant, where: str, kind: str) -> None:
    gateway = holding_first(plant)
    plant.publish(new_epoch=True)  # so that there is something new of every kind
    for key in set(plant.store.objects) - set(plant.first.objects):
        if key.startswith(f"tuf/{where}"):
            plant.store.objects[key] = changed(kind)(plant.store.objects[key])
    refused(gateway)


@pytest.mark.parametrize("where", ["packs/", "targets/shards/", "metadata/2.s"])
def test_missing_object_is_waited_for(plant: Plant, where: str) -> None:
    gateway = holding_first(plant)
    for key in set(plant.store.objects) - set(plant.first.objects):
        if key.startswith(f"tuf/{where}"):
            plant.store.delete(key)
    refused(gateway, "lacks", status="unreachable")


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
def test_bit_flip_anywhere(plant: Plant, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bit of whatever object: what is served afterwards is one of the two releases, to the last byte."""
    key = data.draw(st.sampled_from(sorted(plant.store.objects)))
    content = bytearray(plant.store.objects[key])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    plant.root = tmp_path_factory.mktemp("flip")
    gateway = holding_first(plant)
    first, second = gateway.open_release().shards, plant.shards
    store = MemoryStore({**plant.store.objects, key: bytes(content)})
    gateway = plant.gateway(store=store)
    outcome = gateway.update()
    ids = {shard.id for shard in gateway.open_release().shards}
    if outcome.status == "applied":
        assert ids == {path.name for path in second.values()}
        assert key not in store.fetched or not key.startswith(("tuf/packs", "tuf/targets"))
    else:
        assert outcome.status in ("refused", "unreachable"), outcome
        assert ids == {shard.id for shard in first}


def test_gateway_follows_rotated_keys(plant: Plant) -> None:
    """Every role's key and all root keys one after another, while the gateway was away."""
    gateway = holding_first(plant)
    for role in ("timestamp", "snapshot", "targets", "shards", "models"):
        ceremony.rotate(plant.keyring, role)
    for number in (1, 2, 3):
        ceremony.rotate(plant.keyring, "root", number)
    plant.reopen()
    plant.publish()
    outcome = gateway.update()
    assert (outcome.status, outcome.release) == ("applied", plant.releases)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "shards"])
def test_replaced_key_signs_no_more(plant: Plant, role: Any) -> None:
    gateway = holding_first(plant)
    stolen = plant.keyring.signers(role)
    ceremony.rotate(plant.keyring, role)
    plant.reopen()
    plant.publish()
    plant.sign(role, signers=stolen)
    refused(gateway, "signed")
