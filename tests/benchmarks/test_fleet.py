"""The fleet's benchmark on a small scale, over real sockets: nothing is left mixed or broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_failing_wave_of_twenty_gateways_stops_and_comes_back(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fleet", "--gateways", "20", "--families", "4", "--passages", "30"]
    options = ["--poll", "0.4", "--soak", "0.2", "--latency-ms", "2", "--loss", "0.05", "--folder", str(tmp_path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "settled: 20 well" in done.stdout
    assert "rolled back: 1 of 8 gateways failed publication 3" in done.stdout
    assert done.stdout.count("20 gateways on publication 2") == 2
    assert not list(tmp_path.iterdir())
