"""A gateway with a plant's knowledge: memory, seconds to ready, latencies. `python -m benchmarks.gateway_footprint`

Builds a release of the wanted number of rows once (`--folder` keeps it), publishes it with the exported encoders and
SmolLM2, lets a gateway fetch it, then starts `lineside edge run` as a process of its own and asks it real questions,
one at a time. Text and joint vectors count each: 100 000 rows are 200 000 vectors.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.gateway_knowledge import build, questions
from benchmarks.latency import Summary
from benchmarks.report import table
from edge.gateway.settings import read_gateway
from edge.sync import Synchroniser
from edge.trust import ceremony
from edge.trust.keyring import Keyring, new_gateway_key
from edge.trust.publishing import publish_release
from edge.trust.records import Recipient, Recipients
from edge.trust.repository import TrustRepository
from lineside.encoders import QuestionEncoder, Runtime, load_joint_encoder, load_text_encoder
from lineside.errors import ConfigurationError, LinesideError
from lineside.objects import open_store
from lineside.releases import Catalogue

NAME = "cell-1"
BARS = {
    "resident, MiB": 1_024,
    "ready, s": 5,
    "extractive p95, ms": 45,
    "first generated token p50, ms": 700,
}


@dataclass(frozen=True)
class Footprint:
    """What one gateway took. `anonymous` is what it wrote itself, `shared` are files in memory: decrypted knowledge."""

    resident_mib: float
    proportional_mib: float
    peak_mib: float
    anonymous_mib: float
    shared_mib: float
    ready_s: float
    extractive: Summary
    modes: dict[str, int]
    stages_ms: dict[str, float]
    first_token: Summary | None
    rows: int


def prepare(folder: Path, models: Path, rows: int, port: int) -> Path:
    """The release, its publication and a gateway that holds it, each made where it is missing; `gateway.yaml`."""
    encoders, writer = models / "encoders", models / "smollm2.gguf"
    settings = folder / "gateway.yaml"
    key = folder / "gateway.key"
    configuration = {
        "gateway": NAME,
        "store": str(folder / "published"),
        "state": "state",
        "root": "keys/metadata/1.root.json",
        "key": f"file:{key.name}",
        "models": ["encoders", "writer"],
        "poll_s": 3_600,
        "http": {"port": port},
        "encoders": {"text": "encoders", "joint": "encoders", "threads": 2},
        "writer": {"model": "writer", "threads": 2},
    }
    if not (folder / "store" / "shards").is_dir() or not Catalogue(folder / "store").numbers():
        runtime = Runtime(threads=2)
        text, joint = load_text_encoder(encoders, runtime=runtime), load_joint_encoder(encoders, runtime=runtime)
        build(folder / "store", rows, QuestionEncoder(text, joint))
    if not key.is_file():
        _, identity = new_gateway_key(NAME, key, "file")
        keyring = Keyring.create(folder / "keys")
        ceremony.initialise(keyring)
        catalogue = Catalogue(folder / "store")
        release = catalogue.current()
        shards = {s.family: path for s, path in zip(release.shards, catalogue.paths(release), strict=True)}
        print(f"publishing release {release.number} ...", flush=True)
        publish_release(
            TrustRepository(open_store(folder / "published"), keyring),
            shards,
            Recipients(gateways={NAME: Recipient(public_key=identity.public_key)}),
            release=release.number,
            models={"encoders": encoders, "writer": writer},
        )
    settings.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    read = read_gateway(settings)
    from edge.pieces import GatewayIdentity
    from edge.trust.providers import load_secret

    print("the gateway fetches it ...", flush=True)
    outcome = Synchroniser(read, GatewayIdentity(NAME, load_secret(read.key, folder))).update()
    if outcome.status not in ("applied", "unchanged"):
        raise ConfigurationError(f"the gateway holds nothing: {outcome.status}: {outcome.reason}")
    return settings


@contextmanager
def running(settings: Path, url: str, log: Path) -> Iterator[tuple[int, float]]:
    """A gateway's process id and the seconds until `/readyz` said yes."""
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lineside.cli", "edge", "run", str(settings)], stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=url, timeout=5) as client:  # a client each time would take half a core from it
            while True:
                try:
                    if client.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                if process.poll() is not None or time.monotonic() - began > 300:
                    raise ConfigurationError(f"the gateway does not become ready:\n{log.read_text()[-2_000:]}")
                time.sleep(0.02)
        yield process.pid, time.monotonic() - began
    finally:
        process.terminate()
        process.wait(30)


def memory(pid: int) -> dict[str, float]:
    """MiB by field of `/proc/PID/smaps_rollup` and `/proc/PID/status`."""
    fields: dict[str, float] = {}
    for name in ("smaps_rollup", "status"):
        for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
            parts = line.split()
            if parts[-1:] == ["kB"]:
                fields[parts[0].rstrip(":")] = int(parts[1]) / 1024
    return fields


def ask(client: httpx.Client, question: str, **fields: object) -> tuple[dict[str, Any], float]:
    """The answer and the seconds that it took."""
    began = time.perf_counter()
    reply = client.post("/v1/answer", json={"question": question, **fields})
    seconds = time.perf_counter() - began
    reply.raise_for_status()
    return reply.json(), seconds


def measure(settings: Path, url: str, log: Path, rounds: int) -> Footprint:
    """Asks every question `rounds` times for quotes, and ten of them for a written answer."""
    asked = questions()
    with running(settings, url, log) as (pid, ready_s), httpx.Client(base_url=url, timeout=60) as client:
        rows = int(client.get("/v1/status").json().get("passages", 0) or 0)
        for question in asked[:5]:
            ask(client, question, mode="extract")
        seconds: list[float] = []
        modes: dict[str, int] = {}
        stages: dict[str, list[float]] = {}
        for _ in range(rounds):
            for question in asked:
                answer, took = ask(client, question, mode="extract")
                seconds.append(took)
                modes[answer["status"]] = modes.get(answer["status"], 0) + 1
                for stage, ms in answer["stages_ms"].items():
                    stages.setdefault(stage, []).append(ms)
        first = []
        for question in asked[:10]:
            answer, _ = ask(client, question, mode="generate", deadline_ms=6_000)
            if (ms := answer["stages_ms"].get("first_token")) is not None:
                first.append(ms / 1e3)
        held = memory(pid)
    extractive = Summary.of(seconds)
    if extractive is None:
        raise ConfigurationError("no questions were asked")
    return Footprint(
        resident_mib=held["Rss"],
        proportional_mib=held["Pss"],
        peak_mib=held["VmHWM"],
        anonymous_mib=held["Anonymous"],
        shared_mib=held["RssShmem"],
        ready_s=ready_s,
        extractive=extractive,
        modes=modes,
        stages_ms={stage: statistics.median(ms) for stage, ms in stages.items()},
        first_token=Summary.of(first),
        rows=rows,
    )


def report(found: Footprint) -> bool:
    """Prints the figures beside their bars; whether all are reached."""
    first = found.first_token
    figures = {
        "resident, MiB": found.resident_mib,
        "ready, s": found.ready_s,
        "extractive p95, ms": found.extractive.p95,
        "first generated token p50, ms": float("nan") if first is None else first.p50,
    }
    lines = [[name, "", f"{value:.1f}", f"{BARS[name]}"] for name, value in figures.items()]
    more = {
        "proportional, MiB": found.proportional_mib,
        "peak, MiB": found.peak_mib,
        "own memory, MiB": found.anonymous_mib,
        "decrypted knowledge, MiB": found.shared_mib,
        "extractive p50, ms": found.extractive.p50,
        "first generated token p95, ms": float("nan") if first is None else first.p95,
        **{f"  {stage}, ms (median)": ms for stage, ms in sorted(found.stages_ms.items())},
    }
    print(table(["figure", "", "measured", "bar"], [*lines, *([name, "", f"{v:.1f}", ""] for name, v in more.items())]))
    print(f"answers: {found.modes}")
    return all(value <= BARS[name] for name, value in figures.items())


def main() -> int:
    """Command line; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gateway_footprint", description=(__doc__ or "").split("\n")[0]
    )
    home = Path(os.environ.get("LINESIDE_HOME") or ".lineside").absolute()
    parser.add_argument("--folder", type=Path, default=home / "gateway-footprint", help="keeps what is built")
    parser.add_argument("--rows", type=int, default=100_000, help="with two vectors each")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = options.folder.absolute() / str(options.rows)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        settings = prepare(folder, home / "models", options.rows, port)
        found = measure(settings, f"http://127.0.0.1:{port}", folder / "gateway.log", options.rounds)
    except (LinesideError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
