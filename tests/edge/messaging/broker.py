"""Mosquitto in a folder and on a port of the test's own, with certificates made for it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo.ports import free_port

# Debian keeps it where only root's PATH looks.
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Authority:
    """Signs certificates of brokers and clients."""

    def __init__(self, folder: Path, name: str = "plant") -> None:
        self.folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(name, self._key.public_key(), name, server=False, ca=True)
        self.path = folder / f"{name}-ca.pem"
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, server: bool = False) -> tuple[Path, Path]:
        """Certificate and key, as PEM files."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), self._name, server=server, ca=False)
        paths = self.folder / f"{self._name}-{name}.pem", self.folder / f"{self._name}-{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def _sign(
        self, subject: str, key: ec.EllipticCurvePublicKey, issuer: str, *, server: bool, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if server:
            names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


class Broker:
    """A mosquitto that keeps its sessions over `restart`. With an authority, it asks clients for certificates."""

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        if MOSQUITTO is None:
            pytest.skip("mosquitto is not installed (Debian package mosquitto)")
        folder.mkdir(parents=True, exist_ok=True)
        self._binary = MOSQUITTO
        self._authority = authority
        self.port = free_port()
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"persistence_location {folder}/",
            "persistence true",
            "max_queued_messages 10000",
            "max_packet_size 20000000",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # or it would become a user that cannot write to the folder
        if authority is None:
            lines.append("allow_anonymous true")
        else:
            certificate, key = authority.issue("broker", server=True)
            lines += [f"cafile {authority.path}", f"certfile {certificate}", f"keyfile {key}"]
            lines += ["require_certificate true", "use_identity_as_username true"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._log = folder / "mosquitto.log"
        self._scheme = "mqtt" if authority is None else "mqtts"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def authority(self) -> Authority:
        """Who signs the certificates of this broker's clients."""
        assert self._authority is not None
        return self._authority

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._binary, "-c", str(self._config)], stdout=log, stderr=log)
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"mosquitto does not start: {self._log.read_text()}", pytrace=False)
                time.sleep(0.02)

    def stop(self) -> None:
        """In an orderly way: it writes its sessions to the disk."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()
