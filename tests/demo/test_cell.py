"""`make cell` from its beginning to its end: every step checks what it shows."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from demo.cell.relay import Network
from tests.conftest import REPOSITORY


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_release_reaches_both_gateways_and_a_cut_network_leaves_them_answering(
    tmp_path: Path, encoders_folder: Path
) -> None:
    prepared = Path(os.environ["LINESIDE_HOME"])
    if not (prepared / "store" / "current.json").is_file():
        pytest.skip("the demo plant's knowledge is not built: make knowledge")
    home = tmp_path / "home"
    (home / "demo").mkdir(parents=True)
    for part in ("models", "store", "demo/source"):
        (home / part).symlink_to(prepared / part, target_is_directory=True)
    shown = subprocess.run(
        [sys.executable, "-m", "demo.cell", "--once"],
        cwd=REPOSITORY,
        env=os.environ | {"LINESIDE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )
    assert shown.returncode == 0, f"{shown.stdout}\n{shown.stderr}"
    assert "[partial, by cell-2" in shown.stdout
    assert "after the cable was back" in shown.stdout


def test_cut_network_ends_connections_and_lets_them_through_again() -> None:
    network = Network()
    with socket.create_server(("127.0.0.1", 0)) as far:
        port = network.relay(far.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port), 5) as near:
            other, _ = far.accept()
            near.sendall(b"a")
            assert other.recv(1) == b"a"
            network.cut()
            near.settimeout(5)
            assert _is_cut(near)
        with socket.create_connection(("127.0.0.1", port), 5) as near:
            near.settimeout(5)
            assert _is_cut(near)
        network.mend()
        with socket.create_connection(("127.0.0.1", port), 5) as near:
            near.sendall(b"b")
            other, _ = far.accept()
            assert other.recv(1) == b"b"
    network.close()


def _is_cut(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
