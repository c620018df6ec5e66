"""The application as `serve_config.yaml` describes it, changed, on free ports: for measurements and for tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.processes import Service
from demo.ports import free_ports

CONFIG = Path(__file__).resolve().parents[1] / "serve_config.yaml"

Described = dict[str, Any]
"""An application of `serve_config.yaml`: its `args` and `deployments`."""


def application(
    folder: Path, change: Callable[[Described], None], *, name: str = "lineside", ready_within_s: float = 240.0
) -> tuple[Service, str]:
    """`lineside serve`, not started yet, and its URL; configuration and log lie in `folder`."""
    port, metrics, statistics = free_ports(3)
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["http_options"]["port"] = port
    change(config["applications"][0])
    path = folder / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    url = f"http://127.0.0.1:{port}"
    service = Service(
        name,
        [sys.executable, "-m", "lineside.cli", "serve", "--logs", str(path)],
        ready_url=f"{url}/readyz",
        log=folder / "serve.log",
        ready_within_s=ready_within_s,
        # Another application may run on this machine with the default ports.
        environment={
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
        },
    )
    return service, url


def without_model(folder: Path, home: Path, store: str) -> Callable[[Described], None]:
    """A change for `application`: the store's releases, their copies in `folder`, and no language model."""

    def change(described: Described) -> None:
        described["args"] |= {
            "home": str(home),
            "store": store,
            "cache": {"folder": str(folder / "cache")},
            "generator": {"engine": "none"},
        }
        remove_deployment(described, "Generator")

    return change


def remove_deployment(described: Described, name: str) -> None:
    """Leaves a deployment out."""
    described["deployments"] = [d for d in described["deployments"] if d["name"] != name]
