"""Where keys are kept: files, the environment, a TPM, AWS KMS; each against the real thing or its simulation."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.sync.settings import SyncSettings
from edge.trust import ceremony
from edge.trust.keyring import Keyring, new_gateway_key
from edge.trust.providers import load_secret, save_secret
from lineside.errors import ConfigurationError
from tests.edge.tpm import software_tpm
from tests.s3_server import S3Server

SECRET = bytes(range(32))


def test_file_keeps_a_secret_for_its_owner_only(tmp_path: Path) -> None:
    reference = save_secret(SECRET, "file", tmp_path / "a.key")
    assert reference == "file:a.key"
    assert load_secret(reference, tmp_path) == SECRET
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    reference = save_secret(SECRET, "file", tmp_path / "a.key")
    (tmp_path / "a.key").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_secret(reference, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    save_secret(SECRET, "file", tmp_path / "a.key")
    with pytest.raises(ConfigurationError, match="never overwritten"):
        save_secret(bytes(32), "file", tmp_path / "a.key")


def test_environment_gives_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELL_KEY", base64.b64encode(SECRET).decode())
    assert load_secret("env:CELL_KEY") == SECRET
    with pytest.raises(ConfigurationError, match="OTHER_KEY"):
        load_secret("env:OTHER_KEY")


@pytest.mark.parametrize(
    "reference", ["", "file:", "vault:x", "plain", "file:nowhere.key", "tpm:nowhere", "kms:nowhere"]
)
def test_reference_that_names_nothing_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(ConfigurationError):
        load_secret(reference, tmp_path)


@pytest.mark.parametrize("content", ["not base64!", base64.b64encode(b"short").decode()])
def test_secret_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("CELL_KEY", content)
    with pytest.raises(ConfigurationError):
        load_secret("env:CELL_KEY")


def test_secret_cannot_be_saved_in_the_environment(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="environment"):
        save_secret(SECRET, "env", tmp_path / "a.key")


# ---- TPM ------------------------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_tpm_opens_what_it_sealed_and_no_other_tpm_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with software_tpm(tmp_path / "tpm") as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        reference = save_secret(SECRET, "tpm", tmp_path / "cell.key")
        assert reference == "tpm:cell.key"
        assert load_secret(reference, tmp_path) == SECRET
    stored = b"".join(path.read_bytes() for path in (tmp_path / "cell.key").iterdir())
    assert SECRET not in stored
    assert base64.b64encode(SECRET) not in stored
    with software_tpm(tmp_path / "other") as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        with pytest.raises(ConfigurationError, match="tpm2 load"):
            load_secret(reference, tmp_path)


@pytest.mark.integration
def test_tpm_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with software_tpm(tmp_path / "tpm") as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        reference = save_secret(SECRET, "tpm", tmp_path / "cell.key")
    with pytest.raises(ConfigurationError, match="tpm2"):
        load_secret(reference, tmp_path)


def test_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="apt-get install tpm2-tools"):
        save_secret(SECRET, "tpm", tmp_path / "cell.key")


# ---- AWS KMS --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("aws"))  # moto answers for KMS at the same address
    yield server
    server.stop()


@pytest.fixture
def kms_key(aws: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    import boto3

    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    key = boto3.client("kms").create_key(Description="lineside")["KeyMetadata"]["KeyId"]
    return str(key)


@pytest.mark.integration
def test_kms_keeps_a_secret(tmp_path: Path, kms_key: str) -> None:
    reference = save_secret(SECRET, "kms", tmp_path / "shards.key", kms_key=kms_key)
    assert load_secret(reference, tmp_path) == SECRET
    stored = json.loads((tmp_path / "shards.key").read_text())
    assert kms_key in stored["key"]
    assert base64.b64encode(SECRET).decode() not in (tmp_path / "shards.key").read_text()


@pytest.mark.integration
def test_secret_of_another_account_is_said(tmp_path: Path, kms_key: str) -> None:
    reference = save_secret(SECRET, "kms", tmp_path / "shards.key", kms_key=kms_key)
    content = json.loads((tmp_path / "shards.key").read_text())
    (tmp_path / "shards.key").write_text(json.dumps({**content, "key": "alias/of-somebody-else"}))
    with pytest.raises(ConfigurationError, match="AWS KMS"):
        load_secret(reference, tmp_path)


@pytest.mark.integration
def test_keyring_in_kms_signs(tmp_path: Path, kms_key: str) -> None:
    keyring = Keyring.create(tmp_path, provider="kms", kms_key=kms_key)
    ceremony.initialise(keyring)
    assert {record.secret.split(":")[0] for record in keyring.keys("shards")} == {"kms"}
    assert {record.secret.split(":")[0] for record in keyring.keys("root")} == {"file"}
    assert keyring.signers("shards")[0].sign(b"x").keyid == keyring.keys("shards")[0].id


def test_kms_key_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--kms-key"):
        save_secret(SECRET, "kms", tmp_path / "shards.key")


# ---- Keyring --------------------------------------------------------------------------------------------------------


def test_keyring_opens_as_it_was_made(tmp_path: Path) -> None:
    made = Keyring.create(tmp_path / "keys", root_keys=4, root_threshold=3)
    opened = Keyring.open(tmp_path / "keys")
    assert opened.root_threshold == 3
    assert opened.keys("root") == made.keys("root")
    assert len({record.id for role in ("root", "targets", "shards", "models") for record in opened.keys(role)}) == 7


def test_root_signs_with_enough_keys_only(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path)
    (tmp_path / "root-1.key").unlink()
    assert len(keyring.signers("root")) == 2
    (tmp_path / "root-2.key").unlink()
    with pytest.raises(ConfigurationError, match="needs 2 root keys, 1 are here"):
        keyring.signers("root")


def test_rotation_without_root_keys_changes_nothing(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path)
    ceremony.initialise(keyring)
    for path in tmp_path.glob("root-*.key"):
        path.unlink()
    before = keyring.keys("timestamp")
    with pytest.raises(ConfigurationError):
        ceremony.rotate(keyring, "timestamp")
    assert Keyring.open(tmp_path).keys("timestamp") == before


def test_rotating_a_delegated_key_needs_no_root_key(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path)
    ceremony.initialise(keyring)
    for path in tmp_path.glob("root-*.key"):
        path.unlink()
    assert ceremony.rotate(keyring, "shards") == ["2.targets.json"]


def test_private_key_of_another_keyring_is_refused(tmp_path: Path) -> None:
    one, other = Keyring.create(tmp_path / "one"), Keyring.create(tmp_path / "other")
    os.replace(tmp_path / "other" / "shards.key", tmp_path / "one" / "shards.key")
    with pytest.raises(ConfigurationError, match="not the private part"):
        one.signers("shards")
    assert other.keys("shards")


@pytest.mark.parametrize(("count", "threshold"), [(1, 2), (0, 0), (3, 0)])
def test_threshold_that_cannot_be_met_is_refused(tmp_path: Path, count: int, threshold: int) -> None:
    with pytest.raises(ConfigurationError):
        Keyring.create(tmp_path, root_keys=count, root_threshold=threshold)


def test_second_keyring_in_a_folder_is_refused(tmp_path: Path) -> None:
    Keyring.create(tmp_path)
    with pytest.raises(ConfigurationError, match="already"):
        Keyring.create(tmp_path)


def test_gateway_key_is_found_by_its_settings(tmp_path: Path) -> None:
    reference, identity = new_gateway_key("cell-1", tmp_path / "cell-1.key", "file")
    settings = SyncSettings(gateway="cell-1", store="s", state=tmp_path, root=tmp_path, key=reference)
    assert load_secret(settings.key, tmp_path)
    assert len(base64.b64decode(identity.public_key)) == 32
