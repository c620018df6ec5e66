"""`lineside serve`: starts the application with the flags that make Serve fast on one machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

# Both must be set before Ray starts. HAProxy in front and user code on the replica's own loop: a fifth of the latency
# of a hop and five times the requests per second (docs/benchmarks.md). Small log buffer: fewer stalls at the tail.
FAST_FLAGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def serve(
    config: Annotated[Path, typer.Argument(help="the application's configuration")] = Path("serve_config.yaml"),
) -> None:
    """Run the application in the foreground; Ctrl-C stops it."""
    if not config.is_file():
        typer.echo(f"error: no configuration at {config}; run this in the project's folder or name the file", err=True)
        raise typer.Exit(2)
    environment = {**FAST_FLAGS, **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    program = str(Path(sys.executable).with_name("serve"))
    os.execvpe(program, [program, "run", str(config)], environment)
