"""Where the job runs: a Ray of its own on this machine, the cluster it was submitted to, or one far away."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lineside.errors import ConfigurationError, Unavailable

_DASHBOARD_PORT = 8265
_POLL_S = 2.0


def connect(cpus: int | None = None) -> None:
    """Joins the cluster that RAY_ADDRESS names (a submitted job is given it), else starts a quiet one on loopback."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # An actor's threads are its encoder's setting; BLAS pools of several actors would spin against each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    here = str(Path(__file__).resolve().parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    if not os.environ.get("RAY_ADDRESS"):
        # Despite its name the switch that makes Ray's own processes listen on loopback alone, on every system.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
        return
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        # Tasks and outcomes are short records: everything large goes through the store.
        object_store_memory=256 * 2**20,
    )


def dashboard(address: str) -> str:
    """The job server's URL. A `ray://` address names the head node, whose dashboard has its usual port.

    Raises:
        ConfigurationError: neither http(s):// nor ray://.
    """
    parts = urlsplit(address)
    if parts.scheme in ("http", "https") and parts.netloc:
        return address.rstrip("/")
    if parts.scheme == "ray" and parts.hostname:
        return f"http://{parts.hostname}:{_DASHBOARD_PORT}"
    raise ConfigurationError(f"{address} is no cluster: give http://HEAD:{_DASHBOARD_PORT} or ray://HEAD:10001")


def submit(address: str, run_id: str, arguments: Sequence[str], *, python: str = "python") -> None:
    """Starts `lineside reindex` as a Ray job named like the run. Lineside and the models must be on the cluster.

    Raises:
        Unavailable: the cluster does not answer, or refused the job.
        ConfigurationError: the address is none.
    """
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    command = shlex.join([python, "-m", "index_builder.command", *arguments])
    try:
        client = JobSubmissionClient(dashboard(address))
        client.submit_job(entrypoint=command, submission_id=run_id)
    except (ConnectionError, RuntimeError, RayError) as error:
        raise Unavailable(f"{dashboard(address)} did not take the job: {error}") from error


def follow(address: str, run_id: str, write: Callable[[str], None]) -> bool:
    """Prints the job's output until it ends. True where it succeeded. Raises Unavailable."""
    from ray.exceptions import RayError
    from ray.job_submission import JobStatus, JobSubmissionClient

    shown = 0
    try:
        client = JobSubmissionClient(dashboard(address))
        while True:
            status = client.get_job_status(run_id)
            text = client.get_job_logs(run_id)
            if len(text) > shown:
                write(text[shown:].rstrip("\n"))
                shown = len(text)
            if status.is_terminal():
                return bool(status == JobStatus.SUCCEEDED)
            time.sleep(_POLL_S)
    except (ConnectionError, RuntimeError, RayError) as error:
        raise Unavailable(f"{dashboard(address)} does not answer: {error}; the job may still run") from error
