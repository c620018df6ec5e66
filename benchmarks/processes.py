"""Service and load processes: started, waited for, their CPU time counted over the whole tree, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import psutil

from benchmarks.load import Plan, Result

_MARK = "LINESIDE_BENCH_SERVICE"


class ServiceFailed(RuntimeError):
    """A service ended early or was not ready in time; the message ends with its last output."""


class Service:
    """A service in a subprocess, with every process that descends from it.

    Its environment carries a mark that children inherit, so that processes which detach themselves (Ray's) still
    count and are still stopped.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready_url: str,
        log: Path,
        ready_within_s: float = 180.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._ready_url = ready_url
        self._log = log
        self._ready_within_s = ready_within_s
        self._token = uuid.uuid4().hex
        self._environment = {**os.environ, **(environment or {}), _MARK: self._token}
        self._process: subprocess.Popen[bytes] | None = None
        self.ready_s = 0.0

    def __enter__(self) -> Service:
        began = time.monotonic()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        try:
            while not self._is_ready():
                if self._process.poll() is not None:
                    raise ServiceFailed(f"{self.name} ended with code {self._process.returncode}:\n{self._tail()}")
                if time.monotonic() - began > self._ready_within_s:
                    raise ServiceFailed(f"{self.name} not ready after {self._ready_within_s:.0f} s:\n{self._tail()}")
                time.sleep(0.25)
        except BaseException:
            self._stop()
            raise
        self.ready_s = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """Of the process that was started, which must be running."""
        assert self._process is not None
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """Every living process of the service."""
        found: dict[int, psutil.Process] = {}
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(self._process.pid)
                found = {p.pid: p for p in (root, *root.children(recursive=True))}
        mark = f"{_MARK}={self._token}".encode()
        for process in psutil.process_iter():
            if process.pid not in found:
                with contextlib.suppress(OSError):
                    if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                        found[process.pid] = process
        return list(found.values())

    def cpu_seconds(self) -> dict[tuple[int, float], float]:
        """User and system seconds of each living process so far, by (pid, start time)."""
        times: dict[tuple[int, float], float] = {}
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                spent = process.cpu_times()
                times[process.pid, process.create_time()] = spent.user + spent.system
        return times

    def rss_bytes(self) -> int:
        """Proportional set size of the tree where the system tells it: shared pages count once."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
        return total

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._ready_url, timeout=5) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _tail(self) -> str:
        """The end of its output and, where it is a Serve application, of what its parts wrote to files of their own."""
        parts = sorted(Path("/tmp/ray").glob(f"session_*_{self.pid}/logs/serve/*.log"))
        said = [(path, path.read_text(errors="replace").splitlines()[-20:]) for path in (self._log, *parts)]
        return "\n".join(line for path, lines in said for line in (f"---- {path.name}", *lines))

    def _stop(self) -> None:
        assert self._process is not None
        ours = self.processes()
        if self._process.poll() is None:
            self._process.terminate()  # not SIGINT: shells start what runs in the background with it ignored
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=30)
        rest = {p.pid: p for p in (*ours, *self.processes()) if p.is_running()}
        for stop in (psutil.Process.terminate, psutil.Process.kill):
            for process in rest.values():
                with contextlib.suppress(psutil.NoSuchProcess):
                    stop(process)
            _, alive = psutil.wait_procs(list(rest.values()), timeout=10)
            rest = {p.pid: p for p in alive}
        self._process.wait()


def spent_between(before: Mapping[tuple[int, float], float], after: Mapping[tuple[int, float], float]) -> float:
    """CPU seconds between two readings. A process that ended in between is not counted, a new one in full."""
    return sum(seconds - before.get(key, 0.0) for key, seconds in after.items())


@dataclass(frozen=True, slots=True)
class Measured:
    """A load run and the CPU time that the service's processes spent in its window."""

    plan: Plan
    result: Result
    service_cpu_s: float | None

    @property
    def cpu_ms_per_request(self) -> float | None:
        if self.service_cpu_s is None or not self.result.completed:
            return None
        return 1000.0 * self.service_cpu_s / self.result.completed

    @property
    def generator_ms_per_request(self) -> float:
        return 1000.0 * self.result.generator_cpu_s / max(1, self.result.completed)


def run_load(plan: Plan, cpu_seconds: Callable[[], Mapping[tuple[int, float], float]] | None = None) -> Measured:
    """Run a plan in a process of its own; `cpu_seconds` is read at both ends of the measured window.

    Raises:
        RuntimeError: the load process failed; its output is on stderr.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        json.dump(asdict(plan), process.stdin)
        process.stdin.close()
        readings: list[Mapping[tuple[int, float], float]] = []
        result: Result | None = None
        for line in process.stdout:
            message = json.loads(line)
            if message["event"] == "result":
                result = Result.from_json(message["result"])
            elif cpu_seconds is not None:
                readings.append(cpu_seconds())
    if result is None:
        raise RuntimeError(f"the load generator failed with code {process.returncode}")
    spent = spent_between(readings[0], readings[1]) if len(readings) == 2 else None
    return Measured(plan, result, spent)
