"""Objects over HTTP from servers that misbehave: a real one on the loopback interface for each test."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge.pieces import GatewayIdentity
from edge.sync import HttpSource, Synchroniser, SyncSettings
from edge.sync.source import Backoff, Throttle, open_source
from lineside.errors import ConfigurationError, NotFound, StoreUnavailable, TooLarge
from lineside.objects import FolderStore
from tests.edge.plant import MemoryStore, Plant

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers every GET as `answer` says, until it is told to stop."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.sent = 0
        self.answer: Answer = lambda request: request.send_error(404)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    server.answer(self)
                except OSError:  # the client has gone, as it should
                    return

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/edge"

    def secure(self, folder: Path) -> Path:
        """From now on HTTPS, with a certificate of its own; gives the file that it is checked by."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        path, key_path = folder / "store.pem", folder / "store.key"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path, key_path)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.url = self.url.replace("http://", "https://")
        return path

    def close(self) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()

    def serve(self, store: MemoryStore, special: dict[str, Answer] | None = None) -> None:
        """The objects of a store, some keys answered otherwise (by a part of the key)."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            key = request.path.removeprefix("/edge/")
            for part, other in (special or {}).items():
                if part in key:
                    other(request)
                    return
            if key not in store.objects:
                request.send_error(404)
                return
            request.send_response(200)
            request.send_header("Content-Length", str(len(store.objects[key])))
            request.end_headers()
            request.wfile.write(store.objects[key])

        self.answer = answer

    def endless(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not self.stopped.is_set():
            self.sent += request.wfile.write(bytes(1 << 16))

    def trickle(self, request: BaseHTTPRequestHandler) -> None:
        """One byte every 50 ms: never silent, never done."""
        request.send_response(200)
        request.end_headers()
        while not self.stopped.is_set():
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.05)

    def trickle_head(self, request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.stopped.is_set():
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.05)

    def silent(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        self.stopped.wait(60)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def settings(server: Server, **changes: Any) -> SyncSettings:
    values = {
        "gateway": "cell-1",
        "store": server.url,
        "state": Path("state"),
        "root": Path("root.json"),
        "key": "env:KEY",
        "read_timeout_s": 0.5,
        "connect_timeout_s": 0.5,
    }
    return SyncSettings.model_validate(values | changes)


def test_object_comes_with_its_bytes(server: Server) -> None:
    server.serve(MemoryStore({"a/b": b"content"}))
    assert HttpSource(settings(server)).get("a/b")[0] == b"content"


def test_missing_object_is_not_found(server: Server) -> None:
    with pytest.raises(NotFound):
        HttpSource(settings(server)).get("a/b")


def test_endless_download_ends_at_the_limit(server: Server) -> None:
    server.answer = server.endless
    with pytest.raises(TooLarge):
        HttpSource(settings(server)).get("a", 100_000)
    assert server.sent < 32 << 20


@pytest.mark.parametrize("part", ["head", "body"])
def test_trickle_is_given_up(server: Server, part: str) -> None:
    server.answer = server.trickle_head if part == "head" else server.trickle
    with pytest.raises(StoreUnavailable):
        HttpSource(settings(server, min_bytes_per_s=10_000)).get("a", 100_000)


def test_silence_is_given_up(server: Server) -> None:
    server.answer = server.silent
    with pytest.raises(StoreUnavailable):
        HttpSource(settings(server)).get("a", 100)


def test_server_error_and_redirect_are_unavailable(server: Server) -> None:
    source = HttpSource(settings(server))
    server.answer = lambda request: request.send_error(500)
    with pytest.raises(StoreUnavailable, match="500"):
        source.get("a")

    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", "/edge/other")
        request.end_headers()

    server.answer = redirect
    with pytest.raises(StoreUnavailable, match="302"):
        source.get("a")


def test_closed_port_is_unavailable(server: Server) -> None:
    server.close()
    with pytest.raises(StoreUnavailable):
        HttpSource(settings(server)).get("a")


def test_https_is_checked_by_the_given_certificates(server: Server, tmp_path: Path) -> None:
    ca = server.secure(tmp_path)
    server.serve(MemoryStore({"a": b"content"}))
    assert HttpSource(settings(server, ca=ca)).get("a")[0] == b"content"
    with pytest.raises(StoreUnavailable, match="certificate"):
        HttpSource(settings(server)).get("a")
    with pytest.raises(ConfigurationError, match="ca"):
        HttpSource(settings(server, ca=tmp_path / "none.pem"))


@pytest.mark.parametrize("url", ["http://plant.example/edge", "https://user:password@plant.example/edge"])
def test_plain_http_to_another_machine_and_passwords_are_refused(server: Server, url: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpSource(settings(server, store=url))


def test_other_urls_are_object_stores(server: Server, tmp_path: Path) -> None:
    assert isinstance(open_source(settings(server, store=str(tmp_path))), FolderStore)
    assert isinstance(open_source(settings(server)), HttpSource)


# ---- A whole gateway over HTTP --------------------------------------------------------------------------------------


def gateway(plant: Plant, server: Server) -> Synchroniser:
    values = settings(server, state=plant.root / "cell-1", root=plant.keyring.folder / "metadata" / "1.root.json")
    return Synchroniser(values, GatewayIdentity("cell-1", b"cell-1".ljust(32)), sleep=lambda seconds: None)


def test_gateway_takes_a_release_over_http(plant: Plant, server: Server) -> None:
    server.serve(plant.store)
    one = gateway(plant, server)
    assert one.update().status == "applied"
    assert len(one.open_release().shards) == 2


@pytest.mark.parametrize("part", ["timestamp", ".snapshot", ".shards", "2.root", "targets/shards", "packs/"])
def test_endless_download_of_anything_is_refused(plant: Plant, server: Server, part: str) -> None:
    server.serve(plant.first)
    one = gateway(plant, server)
    one.update()
    server.serve(plant.store, {part: server.endless})
    outcome = one.update()
    assert (outcome.status, outcome.release) == ("refused", 1)
    assert server.sent < 64 << 20


@pytest.mark.parametrize("part", ["timestamp", "packs/"])
def test_slow_download_is_tried_again_later(plant: Plant, server: Server, part: str) -> None:
    server.serve(plant.first)
    one = gateway(plant, server)
    one.update()
    server.serve(plant.store, {part: server.silent})
    outcome = one.update()
    assert (outcome.status, outcome.release) == ("unreachable", 1)


# ---- Shares and waits -----------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when somebody sleeps or transfers."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def transfers(throttle: Throttle, clock: Clock, count: int, seconds: float, size: int) -> None:
    def transfer() -> bytes:
        clock.now += seconds
        return bytes(size)

    for _ in range(count):
        throttle.transfer(transfer)


def test_transfers_take_their_share_of_the_time() -> None:
    clock = Clock()
    transfers(Throttle(0.25, None, clock=lambda: clock.now, sleep=clock.sleep), clock, 10, 1.0, 1_000)
    assert clock.now == pytest.approx(40)


def test_transfers_keep_to_their_rate() -> None:
    clock = Clock()
    transfers(Throttle(1.0, 1_000, clock=lambda: clock.now, sleep=clock.sleep), clock, 10, 0.1, 5_000)
    assert clock.now == pytest.approx(50)


def test_waits_double_up_to_their_bound_and_start_again_after_a_success() -> None:
    backoff = Backoff(10, 300, seed=1)
    waits = [backoff.wait(failed=True) for _ in range(12)]
    for number, wait in enumerate(waits):
        bound = min(10 * 2 ** (number + 1), 300)
        assert bound / 2 <= wait <= bound
    assert backoff.wait(failed=False) <= 10


def test_gateways_that_fail_together_do_not_come_back_together() -> None:
    waits = {round(Backoff(10, 300, seed=seed).wait(failed=True), 3) for seed in range(20)}
    assert len(waits) > 15
