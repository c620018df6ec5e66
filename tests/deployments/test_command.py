"""`lineside serve` says what is in its way before it starts anything."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.ports import free_ports
from deployments.command import _stop_left_over, taken_ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_port_that_something_listens_on_is_named(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    port = listener.getsockname()[1]
    assert taken_ports("127.0.0.1", port) == {port: "http_options.port"}
    listener.close()
    assert taken_ports("127.0.0.1", port) == {}


def test_haproxys_own_ports_are_looked_at_where_it_runs(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = listener.getsockname()[1]
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(taken))
    monkeypatch.setenv("RAY_SERVE_HAPROXY_METRICS_PORT", str(free_ports(1)[0]))  # another service may have the default
    assert taken_ports("127.0.0.1", taken) == {taken: "HAProxy's statistics"}


def test_a_proxy_that_outlived_its_manager_is_ended_and_no_other(tmp_path: Path) -> None:
    waits = "import time; time.sleep(60)"
    own = subprocess.Popen([sys.executable, "-c", waits, "-f", f"{tmp_path}/haproxy.cfg"])
    other = subprocess.Popen([sys.executable, "-c", waits, "-f", f"{tmp_path}-other/haproxy.cfg"])
    try:
        _stop_left_over(str(tmp_path))
        assert own.wait(10) != 0
        assert other.poll() is None
    finally:
        own.kill()
        other.kill()
        other.wait(10)
