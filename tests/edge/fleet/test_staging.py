"""Signed rollouts: who takes which publication when, and what nobody can be talked into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from structlog.testing import capture_logs

from edge.sync import Synchroniser
from edge.trust import ceremony
from edge.trust.fleet_documents import FleetDocuments
from edge.trust.records import Recipients, ReleaseRecord, access_path
from edge.trust.staging import ROLLOUT, ROUTING, WAVES, Edition, RolloutRecord, WavesRecord
from lineside.errors import IntegrityError
from tests.edge.plant import MemoryStore, Plant
from tests.edge.test_attacks import changed, expire


def stage(plant: Plant, words: str = "Its colour is green.", **options: object) -> None:
    plant.change("pump", words)
    plant.publish(staged=True, **options)


def sign_rollout(plant: Plant, change: Any, waves: WavesRecord | None = None) -> RolloutRecord:
    """Signs the next rollout document, as the fleet's controller does."""
    repository = plant.repository
    known = FleetDocuments.read(repository)
    assert known.rollout is not None
    rollout: RolloutRecord = change(known.rollout, repository.next_version("fleet"))
    documents = FleetDocuments(rollout, waves or known.waves, known.routing)
    repository.publish({"fleet": documents.contents()})
    return rollout


def admit(plant: Plant, waves: int = 1) -> None:
    """Lets cell-1, and with two waves cell-2, take the newest publication."""
    newest = plant.repository.delegated("shards")
    assert newest is not None
    data = plant.repository.read_target(newest, "release.json")
    assert data is not None
    edition = Edition.of(ReleaseRecord.model_validate_json(data))
    sign_rollout(
        plant,
        lambda known, sequence: known.begin(edition, sequence).admit(waves, sequence),
        WavesRecord(publication=edition.publication, waves=(("cell-1",), ("cell-2",))),
    )


@pytest.fixture
def staged(plant: Plant) -> Plant:
    """Publication 2 runs everywhere, 3 is published and waits."""
    plant.gateway("cell-1").update()
    plant.gateway("cell-2").update()
    stage(plant)
    return plant


def held(plant: Plant, name: str, store: MemoryStore | None = None) -> tuple[str, int | None]:
    outcome = plant.gateway(name, store).update()
    return outcome.status, outcome.publication


def refused(gateway: Synchroniser, reason: str) -> None:
    """Updates, and checks that a log line says why nothing was taken, and that publication 2 still opens."""
    before = {shard.id for shard in gateway.open_release().shards}
    with capture_logs() as lines:
        outcome = gateway.update()
    assert (outcome.status, outcome.publication) == ("refused", 2), outcome
    assert reason in outcome.reason
    assert [line["reason"] for line in lines if line["event"] == "update refused"] == [outcome.reason]
    assert {shard.id for shard in gateway.open_release().shards} == before


def test_publication_waits_until_a_wave_is_admitted(staged: Plant) -> None:
    assert held(staged, "cell-1") == ("unchanged", 2)
    admit(staged, 1)
    assert held(staged, "cell-1") == ("applied", 3)
    assert held(staged, "cell-2") == ("unchanged", 2)
    admit(staged, 2)
    assert held(staged, "cell-2") == ("applied", 3)


def test_gateway_that_is_new_takes_what_its_wave_takes(staged: Plant, tmp_path: Path) -> None:
    admit(staged, 1)
    staged.root = tmp_path / "replaced"
    staged.root.mkdir()
    assert held(staged, "cell-2") == ("applied", 2)
    assert held(staged, "cell-1") == ("applied", 3)


def test_withdrawn_publication_is_left_without_fetching_anything(staged: Plant) -> None:
    admit(staged, 1)
    gateway = staged.gateway("cell-1")
    gateway.update()
    before = {shard.id for shard in gateway.open_release().shards}
    sign_rollout(staged, lambda known, sequence: known.withdraw("canaries failed", sequence))
    outcome = gateway.update()
    assert (outcome.status, outcome.publication, outcome.fetched_bytes) == ("applied", 2, 0)
    assert {shard.id for shard in gateway.open_release().shards} != before
    assert gateway.state().backup is None  # nothing ever falls back on what was withdrawn


def test_withdrawn_rollout_document_cannot_be_replayed(staged: Plant) -> None:
    admit(staged, 1)
    replayed = staged.store.copy()
    gateway = staged.gateway("cell-1")
    gateway.update()
    sign_rollout(staged, lambda known, sequence: known.withdraw("canaries failed", sequence))
    gateway.update()
    refused(staged.gateway("cell-1", replayed), "")


def test_rollout_document_cannot_be_replayed_after_the_gateway_lost_its_metadata(staged: Plant) -> None:
    admit(staged, 1)
    replayed = staged.store.copy()
    sign_rollout(staged, lambda known, sequence: known.withdraw("canaries failed", sequence))
    staged.gateway("cell-1").update()
    for path in (staged.root / "cell-1" / "trust").glob("*.json"):
        path.unlink()
    gateway = staged.gateway("cell-1", replayed)
    refused(gateway, f"{ROLLOUT} ")
    assert "older" in gateway.state().incidents[-1].reason


def test_routing_table_cannot_be_replayed(staged: Plant) -> None:
    replayed = staged.store.copy()
    staged.gateway("cell-1").update()
    stage(staged, "Its colour is blue.")
    staged.gateway("cell-1").update()
    routing = staged.gateway("cell-1").routing()
    refused(staged.gateway("cell-1", replayed), "")
    for path in (staged.root / "cell-1" / "trust").glob("*.json"):
        path.unlink()
    refused(staged.gateway("cell-1", replayed), "older")
    assert staged.gateway("cell-1").routing() == routing


@pytest.mark.parametrize("signer", ["shards", "models", "snapshot"])
def test_wave_document_signed_by_another_role(staged: Plant, signer: Any) -> None:
    admit(staged, 1)
    staged.sign("fleet", signers=staged.keyring.signers(signer))
    refused(staged.gateway("cell-2"), "signed")


def test_wave_document_signed_by_a_stranger(staged: Plant) -> None:
    staged.sign("fleet", signers=[CryptoSigner.generate_ed25519()])
    refused(staged.gateway("cell-1"), "signed")


@pytest.mark.parametrize("kind", ["longer", "truncated", "empty", "other"])
@pytest.mark.parametrize("document", ["rollout", "waves", "routing"])
def test_changed_fleet_document(staged: Plant, document: str, kind: str) -> None:
    before = set(staged.store.objects)
    stage(staged, "Its colour is blue.")  # signs a routing table
    admit(staged, 2)
    for key in set(staged.store.objects) - before:
        if key.startswith("tuf/targets/fleet/") and key.endswith(f".{document}.json"):
            staged.store.objects[key] = changed(kind)(staged.store.objects[key])
    refused(staged.gateway("cell-1"), "")


def test_waves_of_another_rollout(staged: Plant) -> None:
    """Signed by the fleet's key, but for publication 2: which gateways are meant cannot be known."""
    admit(staged, 1)
    mixed = WavesRecord(publication=2, waves=(("cell-2",),))
    contents = FleetDocuments.read(staged.repository).contents()
    staged.repository.publish({"fleet": {**contents, WAVES: mixed.model_dump_json().encode()}})
    refused(staged.gateway("cell-2"), "does not belong to the rollout of 3")


def test_wave_document_listed_by_the_shards_role(staged: Plant) -> None:
    """The thief of the shards key cannot admit anybody: nobody asks that role about the fleet."""
    admit(staged, 2)
    fleet = staged.repository.delegated("fleet")
    assert fleet is not None
    stolen = dict(fleet.targets)
    sign_rollout(staged, lambda known, sequence: known.withdraw("stop", sequence))
    staged.sign("shards", lambda signed: signed.targets.update(stolen))
    assert held(staged, "cell-1") == ("unchanged", 2)


def test_thief_of_the_shards_key_alone_reaches_no_gateway(staged: Plant) -> None:
    staged.change("pump", "Tighten it with 900 Nm.")
    staged.publish()
    assert held(staged, "cell-1") == ("unchanged", 2)
    assert held(staged, "cell-2") == ("unchanged", 2)


def test_rollout_that_is_signed_no_more_is_refused(staged: Plant) -> None:
    staged.gateway("cell-1").update()
    staged.repository.publish({"fleet": {}})
    refused(staged.gateway("cell-1"), "signed no more")


def test_expired_rollout_is_refused(staged: Plant) -> None:
    admit(staged, 2)
    staged.sign("fleet", expire)
    refused(staged.gateway("cell-1"), "expired")


def test_gateway_that_is_revoked_while_a_rollout_waits_is_revoked_at_once(staged: Plant) -> None:
    staged.revoke("cell-2")
    stage(staged, "Its colour is blue.")
    outcome = staged.gateway("cell-2").update()
    assert outcome.status == "refused"
    assert "may read nothing of publication 2" in outcome.reason
    metadata = staged.repository.delegated("shards")
    assert metadata is not None
    assert not [path for path in metadata.targets if path.endswith(access_path("cell-2"))]


def test_gateway_that_holds_nothing_is_not_taken_for_a_revoked_one(plant: Plant) -> None:
    gateways = plant.recipients.gateways
    idle = gateways["cell-2"].model_copy(update={"families": ()})
    plant.recipients = Recipients(gateways={**gateways, "cell-2": idle})
    plant.publish(staged=False)
    assert held(plant, "cell-2") == ("applied", 3)
    stage(plant)
    assert held(plant, "cell-2") == ("unchanged", 3)


def test_fleet_key_cannot_send_gateways_to_what_is_signed_no_more(staged: Plant) -> None:
    """The first publication is not listed any more: nobody can be sent back there."""
    sign_rollout(
        staged,
        lambda known, sequence: RolloutRecord(sequence=sequence, baseline=Edition(publication=1, release=1)),
    )
    refused(staged.gateway("cell-1"), "signed no more")


def test_older_publication_keeps_its_models(plant: Plant, tmp_path: Path) -> None:
    model = tmp_path / "writer.gguf"
    model.write_bytes(b"GGUF old")
    plant.publish(staged=False, models={"writer": model})
    settings = {"settings": {"models": ("writer",)}}
    plant.gateway("cell-1", **settings).update()
    model.write_bytes(b"GGUF new")
    stage(plant, models={"writer": model})
    gateway = plant.gateway("cell-1", **settings)
    assert gateway.update().status == "unchanged"
    assert (gateway.model("writer") / "writer.gguf").read_bytes() == b"GGUF old"
    admit(plant, 1)
    assert gateway.update().status == "applied"
    assert (gateway.model("writer") / "writer.gguf").read_bytes() == b"GGUF new"


def test_release_that_everyone_takes_at_once_can_be_taken_back(plant: Plant) -> None:
    plant.publish(staged=False)
    plant.change("pump", "Its colour is green.")
    plant.publish(staged=False)
    assert held(plant, "cell-1") == ("applied", 4)
    sign_rollout(plant, lambda known, sequence: known.settle(known.previous, sequence))
    assert held(plant, "cell-1") == ("applied", 3)


def test_routing_names_who_holds_a_family_before_and_after(staged: Plant) -> None:
    gateways = staged.recipients.gateways
    moved = gateways["cell-2"].model_copy(update={"families": ("drive",), "url": "https://cell-2"})
    staged.recipients = Recipients(gateways={"cell-1": gateways["cell-1"], "cell-2": moved})
    stage(staged)
    admit(staged, 1)
    stage(staged)
    routing = FleetDocuments.read(staged.repository).routing
    assert routing is not None
    assert {route.gateway for route in routing.routes("pump")} == {"cell-1", "cell-2"}
    assert {route.gateway for route in routing.routes("drive")} == {"cell-1", "cell-2"}
    assert [route.url for route in routing.routes("drive") if route.gateway == "cell-2"] == ["https://cell-2"]
    assert routing.routes("lathe") == ()


def test_rotated_fleet_key_signs_no_more(staged: Plant) -> None:
    stolen = staged.keyring.signers("fleet")
    ceremony.rotate(staged.keyring, "fleet")
    staged.reopen()
    stage(staged)
    staged.sign("fleet", signers=stolen)
    assert held(staged, "cell-1")[0] == "refused"


def test_damaged_fleet_document_stops_the_controller(staged: Plant) -> None:
    for key in [key for key in staged.store.objects if key.startswith("tuf/targets/fleet/") and "routing" in key]:
        staged.store.objects[key] = b"{}"
    with pytest.raises(IntegrityError, match=ROUTING):
        FleetDocuments.read(staged.repository)
