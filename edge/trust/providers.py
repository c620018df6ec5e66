"""Where a secret of 32 bytes is kept: a file, the environment, a TPM 2.0 or AWS KMS. Named by a reference.

    file:PATH   the secret in base64, in a file that only its owner may read
    env:NAME    the secret in base64, in an environment variable
    tpm:PATH    sealed by this machine's TPM under its owner hierarchy; PATH is a folder with the two sealed parts
    kms:PATH    encrypted by a key of AWS KMS; PATH holds the ciphertext and the name of that key

A PATH that is relative belongs to the folder of the file that the reference stands in.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from lineside.errors import ConfigurationError

Provider = Literal["file", "env", "tpm", "kms"]
SECRET_BYTES = 32
_TPM_TIMEOUT_S = 60
_KMS_CONTEXT = {"purpose": "lineside-secret-1"}


def load_secret(reference: str, folder: Path = Path()) -> bytes:
    """The 32 bytes that a reference names.

    Raises:
        ConfigurationError: it cannot be had, or is kept where others can read it; the message says what to do.
    """
    provider, _, name = reference.partition(":")
    load = _LOADERS.get(provider)
    if load is None or not name:
        raise ConfigurationError(f"{reference!r} names no key: give file:PATH, env:NAME, tpm:PATH or kms:PATH")
    secret = load(name, folder)
    if len(secret) != SECRET_BYTES:
        raise ConfigurationError(f"{reference} holds {len(secret)} bytes, not {SECRET_BYTES}")
    return secret


def save_secret(secret: bytes, provider: Provider, path: Path, *, kms_key: str = "") -> str:
    """Keeps a secret at `path`; gives the reference, with the path's name only. Nothing is overwritten.

    Raises:
        ConfigurationError: something is there already, the provider cannot keep secrets (env) or is not available.
    """
    if path.exists():
        raise ConfigurationError(f"{path} exists: a key is never overwritten; move it away first")
    path.parent.mkdir(parents=True, exist_ok=True)
    if provider == "file":
        _write_private(path, base64.b64encode(secret) + b"\n")
    elif provider == "tpm":
        _tpm_seal(secret, path)
    elif provider == "kms":
        _write_private(path, _kms_encrypt(secret, kms_key))
    else:
        raise ConfigurationError("a key cannot be saved in the environment: choose file, tpm or kms")
    return f"{provider}:{path.name}"


def _write_private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _decode(text: bytes | str, where: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        raise ConfigurationError(f"{where} is not a key in base64") from None


def _load_file(name: str, folder: Path) -> bytes:
    path = folder / name
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigurationError(f"{path} can be read by others: chmod 600 {path}")
            if status.st_uid not in (os.geteuid(), 0):
                raise ConfigurationError(f"{path} belongs to another user: chown it to the one that runs this")
            return _decode(file.read(1_024), str(path))
    except OSError as error:
        raise ConfigurationError(f"cannot read the key {path}: {error.strerror}") from error


def _load_environment(name: str, folder: Path) -> bytes:
    value = os.environ.get(name)
    if value is None:
        raise ConfigurationError(f"the environment has no {name}: set it to the key in base64")
    return _decode(value, f"the environment variable {name}")


# ---- TPM 2.0, by Debian's tpm2-tools: the TPM named by TPM2TOOLS_TCTI, else the machine's own -----------------------


def _tpm(arguments: list[str], *, stdin: bytes | None = None) -> bytes:
    command = shutil.which("tpm2")
    if command is None:
        raise ConfigurationError("tpm2 is not installed: apt-get install tpm2-tools")
    try:
        done = subprocess.run(
            [command, *arguments], input=stdin, capture_output=True, timeout=_TPM_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"the TPM did not answer `tpm2 {arguments[0]}` in {_TPM_TIMEOUT_S} s") from None
    if done.returncode:
        reason = " / ".join(done.stderr.decode(errors="replace").split("\n"))
        raise ConfigurationError(f"`tpm2 {arguments[0]}` failed with {done.returncode}: {reason[:500]}")
    return done.stdout


def _tpm_with_context(arguments: list[str], *, stdin: bytes | None = None) -> bytes:
    """A command that loads an object into the TPM, which has room for three and keeps them where no resource manager
    (/dev/tpmrm0 is one) stands before it. Through a resource manager this removes this process's objects only."""
    try:
        return _tpm(arguments, stdin=stdin)
    finally:
        _tpm(["flushcontext", "--transient-object"])


def _tpm_primary(folder: Path) -> str:
    """The storage key under the owner hierarchy: the same one each time, as it follows from the TPM's seed."""
    context = str(folder / "primary.ctx")
    _tpm_with_context(
        ["createprimary", "--quiet", "--hierarchy", "o", "--key-algorithm", "ecc", "--key-context", context]
    )
    return context


def _tpm_seal(secret: bytes, path: Path) -> None:
    """Contexts lie in a temporary folder; the sealed parts are of use to this TPM alone. The secret goes by stdin."""
    with tempfile.TemporaryDirectory() as temporary:
        primary = _tpm_primary(Path(temporary))
        path.mkdir(mode=0o700)
        parts = ["--public", str(path / "sealed.pub"), "--private", str(path / "sealed.priv")]
        _tpm_with_context(
            ["create", "--quiet", "--parent-context", primary, "--sealing-input", "-", *parts], stdin=secret
        )


def _load_tpm(name: str, folder: Path) -> bytes:
    path = folder / name
    if not (path / "sealed.priv").is_file():
        raise ConfigurationError(f"{path} holds no key sealed by a TPM")
    with tempfile.TemporaryDirectory() as temporary:
        primary = _tpm_primary(Path(temporary))
        sealed = str(Path(temporary) / "sealed.ctx")
        parts = ["--public", str(path / "sealed.pub"), "--private", str(path / "sealed.priv")]
        _tpm_with_context(["load", "--quiet", "--parent-context", primary, "--key-context", sealed, *parts])
        return _tpm_with_context(["unseal", "--quiet", "--object-context", sealed])


# ---- AWS KMS, by boto3: endpoint, region and credentials from the usual AWS_* variables -----------------------------


def _kms(call: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    try:
        import boto3  # large, and only those need it who keep keys there
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise ConfigurationError("keys in AWS KMS need boto3: pip install boto3") from None
    try:
        return call(boto3.client("kms"))
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"AWS KMS: {error}") from error


def _kms_encrypt(secret: bytes, key: str) -> bytes:
    if not key:
        raise ConfigurationError("say which key of AWS KMS encrypts: --kms-key alias/NAME or its ARN")
    reply = _kms(lambda kms: kms.encrypt(KeyId=key, Plaintext=secret, EncryptionContext=_KMS_CONTEXT))
    return json.dumps(
        {"key": reply["KeyId"], "ciphertext": base64.b64encode(reply["CiphertextBlob"]).decode()}
    ).encode()


def _load_kms(name: str, folder: Path) -> bytes:
    path = folder / name
    try:
        content = json.loads(path.read_bytes())
        key, blob = content["key"], base64.b64decode(content["ciphertext"], validate=True)
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ConfigurationError(f"{path} holds no key encrypted by AWS KMS: {error}") from error
    reply = _kms(lambda kms: kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionContext=_KMS_CONTEXT))
    return bytes(reply["Plaintext"])


_LOADERS: dict[str, Callable[[str, Path], bytes]] = {
    "file": _load_file,
    "env": _load_environment,
    "tpm": _load_tpm,
    "kms": _load_kms,
}
