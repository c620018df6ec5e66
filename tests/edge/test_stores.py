"""From a catalogue in one S3 bucket to a gateway that reads another, over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.pieces import GatewayIdentity
from edge.sync import Synchroniser
from edge.trust import ceremony
from edge.trust.keyring import Keyring
from edge.trust.publishing import publish_release
from edge.trust.records import Recipient, Recipients
from edge.trust.repository import TrustRepository
from lineside.objects import open_store
from tests.edge.plant import Plant
from tests.s3_server import S3Server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    import boto3

    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="edge-plant")
    return "s3://edge-plant/line-1"


def test_gateway_follows_a_bucket_and_lives_without_it(
    plant: Plant, bucket: str, server: S3Server, tmp_path: Path
) -> None:
    identity = GatewayIdentity("cell-9", b"9" * 32)
    recipients = Recipients(gateways={"cell-9": Recipient(public_key=identity.public_key)})
    keyring = Keyring.create(tmp_path / "bucket-keys")
    ceremony.initialise(keyring)

    def publish(number: int) -> None:
        publish_release(TrustRepository(open_store(bucket), keyring), plant.shards, recipients, release=number)

    publish(1)
    settings = plant.settings(
        "cell-9", store=bucket, root=keyring.folder / "metadata" / "1.root.json", connect_timeout_s=1.0, link_share=1.0
    )
    gateway = Synchroniser(settings, identity)
    assert gateway.update().status == "applied"
    plant.change("pump", "Its colour is blue.")
    publish(2)
    outcome = gateway.update()
    assert (outcome.status, outcome.release) == ("applied", 2)
    server.stop()
    assert gateway.update().status == "unreachable"
    assert {shard.id for shard in gateway.open_release().shards} == {folder.name for folder in plant.shards.values()}
