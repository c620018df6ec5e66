"""The fleet's benchmark on a small scale, over real sockets: nothing is left mixed or broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["0.05"])
def test_failing_wave_of_forty_gateways_stops_and_comes_back(tmp_path: Path, loss: str) -> None:
    command = [sys.executable, "-m", "benchmarks.fleet", "--gateways", "40", "--families", "6", "--passages", "30"]
    options = ["--poll", "1", "--soak", "0.5", "--latency-ms", "5", "--loss", loss, "--folder", str(tmp_path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "settled: 40 well" in done.stdout
    assert "rolled back: 1 of 16 gateways failed publication 3" in done.stdout
    assert done.stdout.count("40 gateways on publication 2") == 2
    assert not list(tmp_path.iterdir())
