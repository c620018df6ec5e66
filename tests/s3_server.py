"""A real S3 server (moto's) as a process: tests may stop it, and start it again empty on the same port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import httpx

START_S = 60


class S3Server:
    """Listens on a free port of the loopback interface; what it stores lives in its memory."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, 0
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def start(self) -> None:
        log = self._folder / f"s3-{uuid4().hex[:8]}.log"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=stream, stderr=stream, env=os.environ | {"PYTHONUNBUFFERED": "1"}
            )
        until = time.monotonic() + START_S
        while not (found := re.search(r"Running on http://127\.0\.0\.1:(\d+)", log.read_text())):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"the S3 server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        self._port = int(found[1])

    def stop(self) -> None:
        """Ends the process; what was stored is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def create_bucket(self) -> str:
        """URL of a new, empty bucket."""
        name = f"bucket-{uuid4().hex[:12]}"
        httpx.put(f"{self.endpoint}/{name}", timeout=30, trust_env=False).raise_for_status()
        return f"s3://{name}"
