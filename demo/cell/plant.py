"""What the demo cell consists of: store, broker, cluster and gateways as processes, keys, and who publishes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.cell.certificates import PlantAuthority
from demo.cell.relay import Network
from demo.ports import free_port
from demo.prepare_models import lineside_home
from edge.trust import ceremony
from edge.trust.keyring import Keyring, new_gateway_key
from edge.trust.publishing import publish_release
from edge.trust.records import Recipient, Recipients
from edge.trust.repository import TrustRepository
from index_builder.build import build_release
from index_builder.settings import ModelSettings
from lineside.client import Client
from lineside.errors import ConfigurationError
from lineside.objects import open_store
from lineside.releases import Catalogue
from lineside.schema import Answer

MANUAL = Path("conveyor") / "conveyor-belt-manual.md"
HELD = {"cell-1": ("conveyor", "pump", "drive", "stand"), "cell-2": ("conveyor", "hydraulics", "furnace", "welder")}
"""Families by gateway: both hold the conveyor, nobody the coiler."""
_BUCKET = "s3://plant/edge"
_READY_S = 180.0


class Cell:
    """Everything in one folder, each process with its log there. `stop` ends them all."""

    def __init__(self, folder: Path, *, writer: bool = False) -> None:
        self.folder, self._writer = folder, writer
        home = lineside_home()
        self._models = home / "models"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(home / "demo" / "source", folder / "source")
        shutil.copytree(home / "store", folder / "store")
        self.catalogue = Catalogue(folder / "store")
        self.network = Network()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._urls: dict[str, str] = {}
        self._broker: int | None = None
        self._authority = PlantAuthority(folder / "certificates")

    def url(self, name: str) -> str:
        return self._urls[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start_store(self) -> None:
        """moto's S3 server; this process talks to it directly, gateways over the network."""
        port = free_port()
        self._start("store", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {})
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        self._wait("store", lambda: _listens(port))
        httpx.put(f"http://127.0.0.1:{port}/plant", timeout=30, trust_env=False).raise_for_status()
        self._urls["store"] = f"http://127.0.0.1:{port}/plant"
        self._store_for_gateways = f"http://127.0.0.1:{self.network.relay(port)}"

    def start_broker(self) -> bool:
        """Debian's mosquitto with TLS, for clients with certificates; False where it is not installed."""
        binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if binary is None:
            return False
        port = free_port()
        certificate, key = self._authority.issue("broker")
        lines = [f"listener {port} 127.0.0.1", "require_certificate true", "use_identity_as_username true"]
        lines += [f"cafile {self._authority.path}", f"certfile {certificate}", f"keyfile {key}"]
        lines += ["set_tcp_nodelay true"]
        lines += ["user root"] if os.geteuid() == 0 else []
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        self._start("broker", [binary, "-c", str(config)], {})
        self._wait("broker", lambda: _listens(port))
        self._broker = port
        self._broker_for_gateways = self.network.relay(port)
        self._publisher = self._authority.issue("publisher")
        self._urls["broker"] = f"mqtts://127.0.0.1:{port}"
        return True

    def start_cluster(self) -> None:
        port = free_port()
        arguments = [sys.executable, "-m", "demo.cell.cluster", str(self.folder / "store"), str(port)]
        self._start("cluster", arguments, {})
        self._urls["cluster"] = f"http://127.0.0.1:{port}"
        self._cluster_for_gateways = f"http://127.0.0.1:{self.network.relay(port)}"

    def make_keys(self) -> None:
        self._keyring = Keyring.create(self.folder / "keys")
        ceremony.initialise(self._keyring)
        found = {}
        for name, families in HELD.items():
            (self.folder / name).mkdir()
            _, identity = new_gateway_key(name, self.folder / name / "gateway.key", "file")
            found[name] = Recipient(public_key=identity.public_key, families=families)
        self._recipients = Recipients(gateways=found)

    def publish(self) -> tuple[int, float]:
        """Signs and seals the current release for both gateways; its publication, and MiB that are new for them."""
        release = self.catalogue.current()
        models = {"encoders": self._models / "encoders"}
        if self._writer:
            models["writer"] = self._models / "smollm2.gguf"
        published = publish_release(
            TrustRepository(open_store(_BUCKET), self._keyring),
            {shard.family: self.folder / "store" / "shards" / shard.id for shard in release.shards},
            self._recipients,
            release=release.number,
            models=models,
        )
        return published.publication, sum(moved.new_bytes for moved in published.moved) / 2**20

    def tell(self, publication: int) -> None:
        """Tells the broker's clients that there is something new; without a broker they find out by looking."""
        if self._broker is None:
            return
        from paho.mqtt import publish

        certificate, key = self._publisher
        publish.single(
            "lineside/release",
            str(publication),
            qos=1,
            retain=True,
            hostname="127.0.0.1",
            port=self._broker,
            tls={"ca_certs": str(self._authority.path), "certfile": str(certificate), "keyfile": str(key)},
        )

    def start_gateway(self, name: str) -> None:
        settings = self.folder / name / "gateway.yaml"
        port = free_port()
        written: dict[str, Any] = {
            "gateway": name,
            "store": _BUCKET,
            "state": "state",
            "root": "../keys/metadata/1.root.json",
            "key": "file:gateway.key",
            "models": ["encoders", *(["writer"] if self._writer else [])],
            "link_share": 1.0,
            "poll_s": 5 if self._broker is None else 60,
            "backoff_max_s": 5,
            "http": {"port": port},
            "encoders": {},
            "window": {"hours": 24, "families": {"camera-1": "conveyor"}},
            "routing": {"cluster": [self._cluster_for_gateways]},
        }
        if self._writer:
            written["writer"] = {}
        if self._broker is not None:
            certificate, key = self._authority.issue(name)
            written["mqtt"] = {
                "broker": f"mqtts://127.0.0.1:{self._broker_for_gateways}",
                "ca": str(self._authority.path),
                "certificate": str(certificate),
                "key": str(key),
                "reconnect_max_s": 2,
                "release_spread_s": 0.2,
            }
        settings.write_text(yaml.safe_dump(written, sort_keys=False))
        arguments = [sys.executable, "-m", "lineside.cli", "edge", "run", str(settings)]
        self._start(name, arguments, {"AWS_ENDPOINT_URL": self._store_for_gateways})
        self._urls[name] = f"http://127.0.0.1:{port}"

    def revise(self, old: str, new: str) -> int:
        """Changes a manual and indexes what changed; the new release's number."""
        path = self.folder / "source" / MANUAL
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise ConfigurationError(f"{MANUAL} does not say {old!r}")
        path.write_text(text.replace(old, new), encoding="utf-8")
        text_model, joint_model = ModelSettings(folder=self._models / "minilm"), self._models / "joint-demo"
        report = build_release(
            self.folder / "source", self.catalogue, text_model, ModelSettings(folder=joint_model), isolated=False
        )
        return report.release.number

    def wait_for(self, name: str, release: int) -> None:
        """Until it serves that release."""
        self._wait(name, lambda: _release(self._urls[name]) == release)

    def wait_for_knowledge(self, name: str) -> None:
        self._wait(name, lambda: _release(self._urls[name]) is not None)

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self._urls[name]}/v1/status", timeout=10, trust_env=False).json()
        return found

    def ask(self, name: str, question: str, family: str | None = None) -> Answer:
        with Client(self._urls[name]) as client:
            return client.answer(question, family=family, mode="extract")

    def stop(self) -> None:
        """Gateways first; whoever does not end within ten seconds is killed."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.network.close()

    def _start(self, name: str, arguments: list[str], environment: dict[str, str]) -> None:
        with self.log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                arguments, stdout=log, stderr=log, env=os.environ | environment, start_new_session=True
            )

    def _wait(self, name: str, true: Callable[[], bool]) -> None:
        until = time.monotonic() + _READY_S
        while not true():
            if self._processes[name].poll() is not None:
                raise ConfigurationError(f"{name} has ended; see {self.log(name)}")
            if time.monotonic() > until:
                raise ConfigurationError(f"{name} is not ready after {_READY_S:.0f} s; see {self.log(name)}")
            time.sleep(0.1)


def _release(url: str) -> int | None:
    try:
        reply = httpx.get(f"{url}/readyz", timeout=10, trust_env=False)
        found = json.loads(reply.content).get("release")
    except (httpx.TransportError, ValueError):
        return None
    return found if reply.status_code == 200 else None


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
