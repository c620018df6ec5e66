"""The publisher: what it sends, when it changes keys, and that it never signs what somebody else put into the store."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import TargetFile

from edge.pieces import GatewayIdentity
from edge.trust import ceremony
from edge.trust.keyring import Keyring
from edge.trust.pruning import prune
from edge.trust.publishing import Published
from edge.trust.records import Recipient, Recipients
from edge.trust.repository import TrustRepository, target_key
from lineside.encoders.exported import MANIFEST, check_files, read_manifest
from lineside.errors import ConfigurationError, Conflict, DataError, IntegrityError
from tests.edge.plant import MemoryStore, Plant


def moved(published: Published, name: str) -> int:
    return next(one.new_bytes for one in published.moved if one.name == name)


def keys(store: MemoryStore, prefix: str) -> set[str]:
    return {key for key in store.objects if key.startswith(prefix)}


# ---- What is sent ---------------------------------------------------------------------------------------------------


def test_publication_consists_of_metadata_targets_and_packs(plant: Plant) -> None:
    names = {key.removeprefix("tuf/metadata/") for key in keys(plant.first, "tuf/metadata/")}
    assert names == {
        "1.root.json",
        "1.targets.json",
        "1.shards.json",
        "1.models.json",
        "1.fleet.json",
        "1.snapshot.json",
        "timestamp.json",
    }
    listed = plant.repository.delegated("shards")
    assert listed is not None
    assert set(listed.targets) == {
        "release.json",
        "shards/drive.json",
        "shards/pump.json",
        "access/cell-1.json",
        "access/cell-2.json",
        "access/publisher.json",
    }


def test_family_that_has_not_changed_sends_no_pack(plant: Plant) -> None:
    before = keys(plant.store, "tuf/packs")
    published = plant.publish()
    assert keys(plant.store, "tuf/packs") == before
    assert published.new_epochs == ()
    assert {one.new_bytes for one in published.moved} == {0}


def test_access_of_gateways_for_which_nothing_changed_is_not_written_again(plant: Plant) -> None:
    before = keys(plant.store, "tuf/targets/access")
    with_recipients(plant, **{"cell-3": Recipient(public_key=GatewayIdentity("cell-3", b"3" * 32).public_key)})
    plant.publish()
    assert [key for key in keys(plant.store, "tuf/targets/access") - before if "cell-3" not in key] == []
    plant.revoke("cell-2")
    plant.publish()
    written = {key.split(".")[-2] for key in keys(plant.store, "tuf/targets/access") - before}
    assert written == {"cell-1", "cell-3", "publisher"}


def test_removed_pack_is_stored_again(plant: Plant) -> None:
    before = keys(plant.store, "tuf/packs")
    for key in before:
        plant.store.delete(key)
    plant.publish()
    assert plant.gateway().update().status == "applied"


def test_models_stay_when_only_shards_are_published(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "writer.gguf").write_bytes(b"GGUF" * 1_000)
    plant.publish(models={"writer": tmp_path / "writer.gguf"})
    plant.publish()
    assert plant.gateway(settings={"models": ("writer",)}).update().status == "applied"


def test_unchanged_model_is_not_sent_again(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "writer.gguf").write_bytes(bytes(range(256)) * 4_000)
    first = plant.publish(models={"writer": tmp_path / "writer.gguf"})
    before = keys(plant.store, "tuf/packs")
    plant.publish(models={"writer": tmp_path / "writer.gguf"})
    assert keys(plant.store, "tuf/packs") == before
    assert moved(first, "writer") > 0


# ---- Data keys ------------------------------------------------------------------------------------------------------


def with_recipients(plant: Plant, **changes: Recipient) -> None:
    plant.recipients = Recipients(gateways={**plant.recipients.gateways, **changes})


def test_gateway_that_comes_changes_no_data_key(plant: Plant) -> None:
    with_recipients(plant, **{"cell-3": Recipient(public_key=GatewayIdentity("cell-3", b"3" * 32).public_key)})
    assert plant.publish().new_epochs == ()


def test_gateway_that_goes_changes_the_data_keys_of_its_families_only(plant: Plant) -> None:
    plant.revoke("cell-2")
    assert plant.publish().new_epochs == ("pump",)


def test_gateway_that_loses_a_family_changes_its_data_key(plant: Plant) -> None:
    with_recipients(plant, **{"cell-1": plant.recipients.gateways["cell-1"].model_copy(update={"families": ("pump",)})})
    assert plant.publish().new_epochs == ("drive",)


def test_gateway_with_another_key_changes_the_data_keys(plant: Plant) -> None:
    """The box was replaced: the old one may be anywhere."""
    with_recipients(plant, **{"cell-1": Recipient(public_key=GatewayIdentity("cell-1", b"n" * 32).public_key)})
    assert plant.publish().new_epochs == ("drive", "pump")


def test_epoch_stays_while_nobody_goes(plant: Plant) -> None:
    plant.revoke("cell-2")
    plant.publish()
    epochs = [one.epoch for one in plant.publish().moved]
    assert epochs == [1, 3]


def test_rotated_shards_key_starts_over_with_new_data_keys(plant: Plant) -> None:
    """What the old key signed is not believed any more, the wrapped data keys neither."""
    ceremony.rotate(plant.keyring, "shards")
    plant.reopen()
    assert plant.publish().new_epochs == ("drive", "pump")
    assert plant.gateway().update().status == "applied"


def test_rotated_publisher_keeps_the_models(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "writer.gguf").write_bytes(b"GGUF" * 1_000)
    plant.publish(models={"writer": tmp_path / "writer.gguf"})
    for role in ("shards", "snapshot", "timestamp"):
        ceremony.rotate(plant.keyring, role)
    plant.reopen()
    plant.publish()
    assert plant.gateway(settings={"models": ("writer",)}).update().status == "applied"


# ---- What the store may not make a publisher do ---------------------------------------------------------------------


def test_publisher_does_not_sign_a_strangers_targets(plant: Plant) -> None:
    """A newer shards metadata by a stranger lies in the store when the publisher signs again."""
    evil = hashlib.sha256(b"{}").hexdigest()
    plant.store.objects[target_key("release.json", evil)] = b"{}"
    plant.sign(
        "shards",
        lambda signed: signed.targets.update({"release.json": TargetFile(2, {"sha256": evil}, "release.json")}),
        signers=[CryptoSigner.generate_ed25519()],
        follow=False,
    )
    plant.repository.publish({})
    listed = plant.repository.delegated("shards")
    assert listed is not None
    assert listed.targets["release.json"].hashes["sha256"] != evil
    assert plant.gateway().update().status == "applied"


def test_publisher_notices_that_the_store_was_set_back(plant: Plant) -> None:
    plant.store.objects = dict(plant.first.objects)
    with pytest.raises(DataError, match="set back"):
        plant.publish()
    with pytest.raises(DataError, match="set back"):
        plant.repository.publish({})


def test_start_over_goes_on_after_the_store_was_set_back(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    plant.store.objects = dict(plant.first.objects)
    assert plant.publish(start_over=True).new_epochs == ("drive", "pump")
    outcome = gateway.update()
    assert (outcome.status, outcome.publication) == ("applied", 3)


def test_changed_target_in_the_store_is_noticed(plant: Plant) -> None:
    for key in keys(plant.store, "tuf/targets/"):
        plant.store.objects[key] += b" "
    with pytest.raises(IntegrityError, match="--start-over"):
        plant.publish()


def test_store_of_other_keys_is_refused(plant: Plant, tmp_path: Path) -> None:
    other = Keyring.create(tmp_path / "other")
    ceremony.initialise(other)
    with pytest.raises(Conflict, match="belongs to other keys"):
        TrustRepository(plant.store, other).publish({})


def test_two_publishers_at_once_one_is_refused(plant: Plant) -> None:
    overtaken = []

    def overtake(key: str) -> None:
        """Somebody else publishes after this publisher has read the timestamp."""
        if key.endswith("2.shards.json") and not overtaken:
            overtaken.append(key)
            plant.repository.publish({})

    plant.store.before_get = overtake
    with pytest.raises(Conflict):
        plant.repository.publish({})
    plant.store.before_get = lambda key: None
    assert plant.gateway().update().status == "applied"


@pytest.mark.parametrize("role", ["shards.json", "snapshot.json", "timestamp.json"])
def test_publisher_that_dies_has_published_nothing_and_goes_on(plant: Plant, role: str) -> None:
    gateway = plant.gateway()
    gateway.update()
    write = plant.store.put

    def die(key: str, data: bytes) -> str:
        if key.endswith(role):
            raise KeyboardInterrupt
        return write(key, data)

    plant.store.put = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        plant.publish()
    plant.store.put = write  # type: ignore[method-assign]
    assert gateway.update().status == "unchanged"
    plant.change("pump", "Its colour is green.")
    plant.publish()
    assert gateway.update().status == "applied"


# ---- Expiry ---------------------------------------------------------------------------------------------------------


def test_signing_again_moves_the_expiry_of_what_is_half_over(plant: Plant) -> None:
    def age(signed: Any) -> None:
        signed.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)

    plant.sign("shards", age)
    versions = plant.repository.publish({})
    listed = plant.repository.delegated("shards")
    assert listed is not None
    assert versions.shards == 4
    assert listed.expires > datetime.now(UTC) + timedelta(days=80)
    assert versions.models == 1


def test_expired_root_asks_for_renewal(plant: Plant) -> None:
    path = plant.keyring.folder / "keyring.json"
    path.write_text(
        path.read_text().replace('"root":365.0', '"root":0.000001').replace('"root": 365.0', '"root": 1e-9')
    )
    plant.reopen()
    ceremony.renew(plant.keyring)
    with pytest.raises(ConfigurationError, match="keys renew"):
        plant.publish()


def test_renewed_root_and_targets_reach_the_gateways(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    assert ceremony.renew(plant.keyring) == ["2.root.json", "2.targets.json"]
    plant.repository.publish({})
    assert gateway.update().status == "unchanged"
    assert (plant.root / "cell-1" / "trust" / "root_history" / "2.root.json").is_file()


# ---- What cannot be published ---------------------------------------------------------------------------------------


def test_missing_private_key_is_said(plant: Plant) -> None:
    (plant.keyring.folder / "shards.key").unlink()
    with pytest.raises(ConfigurationError, match=r"shards\.key"):
        plant.publish()


def test_family_with_an_impossible_name_is_refused(plant: Plant) -> None:
    plant.shards["../pump"] = plant.shards["pump"]
    with pytest.raises(ConfigurationError, match="cannot be published"):
        plant.publish()


def test_shard_of_another_family_is_refused(plant: Plant) -> None:
    plant.shards["drive"] = plant.shards["pump"]
    with pytest.raises(DataError, match="not of drive"):
        plant.publish()


def test_gateway_that_wants_an_unknown_family_is_refused(plant: Plant) -> None:
    with_recipients(plant, **{"cell-1": plant.recipients.gateways["cell-1"].model_copy(update={"families": ("kiln",)})})
    with pytest.raises(ConfigurationError, match="kiln"):
        plant.publish()


# ---- Pruning --------------------------------------------------------------------------------------------------------


AT_ONCE = timedelta(seconds=-5)


def test_pruning_keeps_what_gateways_need_and_removes_the_rest(plant: Plant) -> None:
    gateway = plant.gateway()
    gateway.update()
    for _ in range(3):
        plant.publish(new_epoch=True)
    before = len(plant.store.objects)
    pruned = prune(plant.repository, keep=1, older_than=AT_ONCE)
    assert pruned.objects == before - len(plant.store.objects) > 10
    assert gateway.update().status == "applied"
    assert plant.gateway("cell-2").update().status == "applied"
    assert plant.publish().new_epochs == ()


def test_pruning_keeps_as_many_publications_as_asked_for(plant: Plant) -> None:
    plant.publish(new_epoch=True)
    prune(plant.repository, keep=2, older_than=AT_ONCE)
    assert sorted(plant.repository.versions("shards")) == [2, 3]
    assert sorted(plant.repository.versions("root")) == [1]


def test_pruning_leaves_what_another_publisher_may_be_writing(plant: Plant) -> None:
    plant.publish(new_epoch=True)
    assert prune(plant.repository, keep=1).objects == 0


def test_pruning_removes_nothing_when_the_store_was_set_back(plant: Plant) -> None:
    plant.store.objects = dict(plant.first.objects)
    with pytest.raises(DataError):
        prune(plant.repository, keep=1, older_than=AT_ONCE)
    assert plant.store.objects == plant.first.objects


# ---- Models in folders ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_exported_encoders_arrive_as_they_were_exported(plant: Plant, encoders_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(encoders_folder, tmp_path / "encoders")
    (folder / "notes.txt").write_text("not part of it")
    plant.publish(models={"encoders": folder})
    gateway = plant.gateway(settings={"models": ("encoders",)})
    assert gateway.update().status == "applied"
    arrived = gateway.model("encoders")
    check_files(arrived, manifest := read_manifest(arrived))
    assert {file.name for file in arrived.iterdir()} == {MANIFEST, *manifest.files}


def test_damaged_encoders_are_not_published(plant: Plant, encoders_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(encoders_folder, tmp_path / "encoders")
    with (folder / "image.bin").open("r+b") as file:
        file.write(b"?")
    with pytest.raises(IntegrityError, match=r"image\.bin"):
        plant.publish(models={"encoders": folder})


def test_hidden_files_of_a_model_stay_at_home(plant: Plant, tmp_path: Path) -> None:
    for name in ("weights", ".complete", ".git/config"):
        (tmp_path / "writer" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "writer" / name).write_text(name)
    plant.publish(models={"writer": tmp_path / "writer"})
    gateway = plant.gateway(settings={"models": ("writer",)})
    gateway.update()
    assert [file.name for file in gateway.model("writer").iterdir()] == ["weights"]


@pytest.mark.parametrize("name", ["white space", "-dash", "ü", "a" * 201])
def test_a_model_with_a_file_that_gateways_would_refuse_is_not_published(
    plant: Plant, tmp_path: Path, name: str
) -> None:
    (tmp_path / "writer").mkdir()
    (tmp_path / "writer" / name).write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be published"):
        plant.publish(models={"writer": tmp_path / "writer"})


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", ""])
def test_a_model_has_a_name_that_is_no_path(plant: Plant, tmp_path: Path, name: str) -> None:
    (tmp_path / "writer.gguf").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="cannot be published"):
        plant.publish(models={name: tmp_path / "writer.gguf"})
