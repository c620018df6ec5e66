"""What a question costs over MQTT, beside the same over HTTP: `python -m benchmarks.mqtt`.

A real mosquitto and a real gateway process with a plant's knowledge (that of `benchmarks.gateway_footprint`). One
client asks real questions for quotes, one at a time and by turns over both: published at QoS 1 with response topic and
correlation data until the answer is there, and posted on a connection that stays open. Both on this machine; the
broker's persistence is on, and what the gateway records of each question is flushed to the disk as ever.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import yaml
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.gateway_footprint import NAME, prepare, running
from benchmarks.gateway_knowledge import questions
from benchmarks.latency import Summary
from benchmarks.report import table
from demo.ports import free_port
from lineside.errors import ConfigurationError, LinesideError

_QUESTIONS = f"lineside/gateways/{NAME}/questions"
_ANSWERS = "lineside/clients/benchmark/answers"
_WITHIN_S = 30.0


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Mosquitto on the port that it gives, without TLS; its files lie in `folder`, anew each time."""
    binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise ConfigurationError("mosquitto is not installed (Debian: apt-get install mosquitto)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "set_tcp_nodelay true",
        "persistence true",
        f"persistence_location {folder}/",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # or it would become a user that cannot write to the folder
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([binary, "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
    try:
        _until_open(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ConfigurationError("mosquitto does not start: its log lies beside its configuration")


class MqttClient:
    """Asks over the broker; one question at a time, until `close`."""

    def __init__(self, port: int, gateway: str = _QUESTIONS) -> None:
        """Connects and subscribes to the answers.

        Raises:
            ConfigurationError: the broker does not let it.
        """
        self._gateway = gateway
        self._arrived: queue.SimpleQueue[tuple[float, MQTTMessage]] = queue.SimpleQueue()
        subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.on_socket_open = _send_at_once
        self._client.on_message = lambda client, data, message: self._arrived.put((time.perf_counter(), message))
        self._client.on_subscribe = lambda client, data, number, reasons, properties: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(_ANSWERS, qos=1)
        if not subscribed.wait(_WITHIN_S):
            raise ConfigurationError("the broker confirms no subscription: see its log")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, question: str) -> float:
        """Seconds until the answer was there.

        Raises:
            ConfigurationError: it was no answer, or none came.
        """
        correlation = uuid.uuid4().bytes  # the gateway remembers those of former runs
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic, properties.CorrelationData = _ANSWERS, correlation
        body = json.dumps({"question": question, "mode": "extract"})
        began = time.perf_counter()
        self._client.publish(self._gateway, body, qos=1, properties=properties)
        while True:
            try:
                arrived, message = self._arrived.get(timeout=_WITHIN_S)
            except queue.Empty:
                raise ConfigurationError(f"no answer within {_WITHIN_S:.0f} s: see the gateway's log") from None
            if getattr(message.properties, "CorrelationData", None) == correlation:
                break
        if "status" not in (reply := json.loads(message.payload)):
            raise ConfigurationError(f"the gateway refuses a question: {reply}")
        return arrived - began


def _send_at_once(client: Client, data: object, connection: object) -> None:
    """As the gateway does, and as the broker is told to."""
    assert isinstance(connection, socket.socket)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def measure(url: str, port: int, rounds: int) -> tuple[Summary, Summary]:
    """Over MQTT and over HTTP, the same questions by turns."""
    asked = questions()
    mqtt: list[float] = []
    http: list[float] = []
    with closing(MqttClient(port)) as ours, httpx.Client(base_url=url, timeout=_WITHIN_S) as web:
        _until_listening(web)
        for question in asked[:5]:
            ours.ask(question)
        for _ in range(rounds):
            for question in asked:
                mqtt.append(ours.ask(question))
                began = time.perf_counter()
                reply = web.post("/v1/answer", json={"question": question, "mode": "extract"})
                http.append(time.perf_counter() - began)
                reply.raise_for_status()
    over_mqtt, over_http = Summary.of(mqtt), Summary.of(http)
    if over_mqtt is None or over_http is None:
        raise ConfigurationError("no questions were asked")
    return over_mqtt, over_http


def _until_listening(web: httpx.Client) -> None:
    """Until the gateway is connected to the broker."""
    until = time.monotonic() + _WITHIN_S
    while web.get("/v1/status").json()["gateway"]["parts"]["mqtt"] != "connected":
        if time.monotonic() > until:
            raise ConfigurationError("the gateway does not reach the broker: see its log")
        time.sleep(0.1)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mqtt", description=(__doc__ or "").split("\n")[0])
    home = Path(os.environ.get("LINESIDE_HOME") or ".lineside").absolute()
    parser.add_argument("--folder", type=Path, default=home / "gateway-footprint", help="keeps what is built")
    parser.add_argument("--rows", type=int, default=100_000, help="with two vectors each")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    folder = options.folder.absolute() / str(options.rows)
    folder.mkdir(parents=True, exist_ok=True)
    http = free_port()
    try:
        plain = prepare(folder, home / "models", options.rows, http)
        with broker(folder / "broker") as port:
            settings = folder / "gateway-mqtt.yaml"
            configuration = yaml.safe_load(plain.read_text(encoding="utf-8"))
            configuration["mqtt"] = {"broker": f"mqtt://127.0.0.1:{port}"}
            settings.write_text(yaml.safe_dump(configuration), encoding="utf-8")
            url = f"http://127.0.0.1:{http}"
            with running(settings, url, folder / "gateway-mqtt.log"):
                over_mqtt, over_http = measure(url, port, options.rounds)
    except (LinesideError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = [("MQTT, QoS 1", over_mqtt), ("HTTP", over_http)]
    lines = [[name, str(s.n), *(f"{value:.1f}" for value in (s.p50, s.p95, s.p99, s.max))] for name, s in rows]
    print(table(["question to answer", "n", "p50 ms", "p95 ms", "p99 ms", "max ms"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
