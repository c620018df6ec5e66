"""The real application, started once for all tests of this folder: Ray Serve, HAProxy, encoders, FAISS, vLLM."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.application import Described, remove_deployment
from benchmarks.application import application as application_of
from benchmarks.processes import Service
from demo.render_frames import INDEXED, render_frame
from index_builder.build import build_release
from index_builder.settings import ModelSettings
from lineside.releases import Catalogue

READY_WITHIN_S = 240

MANUAL = """---
title: Drive motor manual
family: drive
---
# Drive motor manual

## Bearing temperature

The bearing temperature limit is {limit} °C. Stop the motor at once when the bearing is hotter than {limit} °C.
A hot bearing glows brighter than the rest of the motor on the thermal camera.

## Tightening torques

The bearing cap screws are tightened to 45 Nm. The terminal screws are tightened to 12 Nm.

## Alarms

| Code | Meaning | Action |
|---|---|---|
| DRV-M101 | Winding too hot | Reduce the load |
| DRV-M102 | Fan has failed | Replace the fan |
"""


@dataclass
class Application:
    """A running application."""

    url: str
    service: Service
    home: Path

    @property
    def process(self) -> psutil.Process:
        """`lineside serve` itself."""
        return psutil.Process(self.service.pid)

    def wait_ready(self, within_s: float = READY_WITHIN_S) -> float:
        """Seconds until every stage answered."""
        started = time.monotonic()
        while time.monotonic() - started < within_s:
            if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
                pytest.fail(f"the application ended; see {self.home / 'serve.log'}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).status_code == 200:
                    return time.monotonic() - started
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        pytest.fail(f"not ready within {within_s:.0f} s; see {self.home / 'serve.log'}")

    def replica(self, deployment: str) -> psutil.Process:
        """The process of a deployment's first replica; waits for it a while."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for process in self.service.processes():
                with suppress(psutil.NoSuchProcess):
                    if f"ServeReplica:lineside:{deployment}" in " ".join(process.cmdline()):
                        return process
            time.sleep(0.5)
        pytest.fail(f"no replica of {deployment} runs")

    def engine(self) -> psutil.Process:
        """vLLM's engine process."""
        for child in self.replica("Generator").children(recursive=True):
            if "VLLM" in " ".join(child.cmdline()):
                return child
        pytest.fail("no vLLM engine runs")


def publish(home: Path, models: Path, limit: int) -> int:
    """Builds a release whose manual names `limit` as the bearing's limit, and makes it current."""
    source = home / "source"
    (source / "drive").mkdir(parents=True, exist_ok=True)
    (source / "drive/motor.md").write_text(MANUAL.format(limit=limit))
    frames = source / "frames/drive"
    frames.mkdir(parents=True, exist_ok=True)
    rows = ["file,label,family,camera_id,time,caption"]
    for label in ("thermal-bearing-hot", "thermal-normal"):
        for seed in range(INDEXED.start, INDEXED.start + 4):
            name = f"{label}-{seed}.jpg"
            render_frame(label, seed).save(frames / name)
            rows.append(f"{name},{label},drive,CAM-1,2026-01-01T00:00:00Z,{label.replace('-', ' ')}")
    (frames / "labels.csv").write_text("\n".join(rows) + "\n")
    text, joint = (ModelSettings(folder=models / name) for name in ("minilm", "joint-demo"))
    return build_release(source, Catalogue(home / "store"), text, joint, isolated=False).release.number


@contextmanager
def running(models_dir: Path, home: Path, change: Callable[[Described], None]) -> Iterator[Application]:
    """`lineside serve` with the repository's configuration, changed, on a free port and a small release."""
    (home / "models").symlink_to(models_dir, target_is_directory=True)
    publish(home, models_dir, limit=95)

    def at_home(described: Described) -> None:
        described["args"]["home"] = str(home)
        described["args"]["answering"]["default_deadline_ms"] = 20_000
        described["args"]["reindex"] = {"sources": ["source"]}
        change(described)

    service, url = application_of(home, at_home, ready_within_s=READY_WITHIN_S)
    with service:
        print(f"ready after {service.ready_s:.0f} s")
        yield Application(url, service, home)


@pytest.fixture(scope="package")
def application(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application as `serve_config.yaml` describes it."""
    with running(models_dir, tmp_path_factory.mktemp("application"), lambda described: None) as started:
        yield started


def every_stage_apart(described: Described) -> None:
    """Every stage in a deployment of its own, as on a cluster; nothing is generated."""
    described["args"]["placement"] = {"text_encoder": "deployment", "retriever": "deployment"}
    described["args"]["generator"] = {"engine": "none"}
    remove_deployment(described, "Generator")
    for deployment in described["deployments"]:
        if deployment["name"] in {"TextEncoder", "Retriever"}:
            del deployment["autoscaling_config"]
