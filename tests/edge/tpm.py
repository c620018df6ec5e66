"""A software TPM 2.0 (swtpm) as a process on a socket of the loopback interface."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.ports import free_ports

START_S = 30


@contextmanager
def software_tpm(folder: Path) -> Iterator[str]:
    """Gives the value of TPM2TOOLS_TCTI. Its state lies in `folder`: another folder is another TPM."""
    for command, package in (("swtpm", "swtpm"), ("tpm2", "tpm2-tools")):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed: apt-get install {package}")
    folder.mkdir(exist_ok=True)
    port = free_ports(2)[0]  # the TCTI wants the control channel on the port after that of the commands
    process = subprocess.Popen(
        [
            "swtpm",
            "socket",
            "--tpm2",
            "--tpmstate",
            f"dir={folder}",
            "--server",
            f"type=tcp,bindaddr=127.0.0.1,port={port}",
            "--ctrl",
            f"type=tcp,bindaddr=127.0.0.1,port={port + 1}",
            "--flags",
            "not-need-init,startup-clear",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + START_S
        while not listens(port + 1):  # a connection to the other port would be taken for the one client
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("swtpm did not start")
            time.sleep(0.05)
        yield f"swtpm:host=127.0.0.1,port={port}"
    finally:
        process.terminate()
        process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
