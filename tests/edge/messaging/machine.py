"""A machine with an OPC UA server of its own, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua import Node, Server, ua
from asyncua.common.utils import ServiceError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from demo.ports import free_port


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed application certificate (DER) and its key (PEM), as OPC UA has them."""
    key = rsa.generate_private_key(65_537, 2_048)
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.UniformResourceIdentifier(f"urn:plant:{name}"), x509.DNSName(socket.gethostname())]
    usage = dict.fromkeys(
        ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False
    ) | dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), True)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.KeyUsage(**usage), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.der", folder / f"{name}.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.DER))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class Machine:
    """Serves `temperature` and `pressure` at ns=2, to anybody in plain text and to `trusted` encrypted."""

    def __init__(self, own: tuple[Path, Path], trusted: Path) -> None:
        self.port = free_port()
        self._own = own
        self._trusted = x509.load_der_x509_certificate(trusted.read_bytes())
        self._server = Server()
        self._nodes: dict[str, Node] = {}

    async def start(self) -> None:
        server = self._server
        await server.init()  # seconds: the whole standard address space
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}/machine")
        await server.set_application_uri("urn:plant:plc")
        server.set_security_policy(
            [ua.SecurityPolicyType.NoSecurity, ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt]
        )
        await server.load_certificate(str(self._own[0]))
        await server.load_private_key(str(self._own[1]))
        server.set_certificate_validator(self._check)
        await server.register_namespace("urn:plant")
        drive = await server.nodes.objects.add_object(ua.NodeId("drive", 2), "drive")
        for name in ("temperature", "pressure"):
            node = ua.NodeId(name, 2)
            self._nodes[name] = await drive.add_variable(node, name, 0.0, ua.VariantType.Double)
        await server.start()

    async def stop(self) -> None:
        await self._server.stop()

    async def write(self, name: str, value: float, *, status: int = ua.StatusCodes.Good) -> None:
        data = ua.DataValue(ua.Variant(value, ua.VariantType.Double), ua.StatusCode(ua.UInt32(status)))
        await self._nodes[name].write_value(data)

    async def _check(self, certificate: x509.Certificate, application: ua.ApplicationDescription) -> None:
        if certificate != self._trusted:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)


class Line:
    """A cable to a port of this machine, which can be pulled and plugged in again."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def endpoint(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/machine"

    async def plug_in(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)

    async def pull(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()
