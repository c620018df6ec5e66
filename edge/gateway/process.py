"""`lineside edge run`: a gateway's process, from its settings to the last request before it ends."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from edge.early_shards import EarlyShards
from edge.gateway.composition import Gateway
from edge.gateway.settings import GatewaySettings, ServerSettings
from edge.pieces import GatewayIdentity
from lineside.errors import ConfigurationError

log = structlog.get_logger("lineside.gateway")


def run(settings: GatewaySettings, identity: GatewayIdentity, shards: EarlyShards | None = None) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are finished then, as long as `http.drain_s` allows.

    Raises:
        ConfigurationError: the settings cannot work, or the port is taken.
    """
    if settings.encoders is None:
        raise ConfigurationError("gateway.yaml has no `encoders`: name those that made the knowledge")
    write_logs()
    with _listening(settings.http) as listener:
        asyncio.run(_serve(Gateway(settings, identity, shards=shards), listener))


def write_logs() -> None:
    """One line an event to standard error: JSON, or coloured where a person watches."""
    rendering: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


async def _serve(gateway: Gateway, listener: socket.socket) -> None:
    http = gateway.settings.http
    server = _Server(
        uvicorn.Config(
            gateway.api(),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=math.ceil(http.drain_s),
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.end)
    host, port = listener.getsockname()[:2]
    await gateway.start()
    log.info("gateway_started", gateway=gateway.settings.gateway, url=f"http://{host}:{port}")
    try:
        await server.serve(sockets=[listener])
    finally:
        await gateway.stop()
        log.info("gateway_stopped", gateway=gateway.settings.gateway)


class _Server(uvicorn.Server):
    """Leaves signals to the process: uvicorn's own way raises them again before the other parts could stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Stops listening; a second time ends at once what is still under way."""
        self.force_exit = self.should_exit
        self.should_exit = True


@contextmanager
def _listening(settings: ServerSettings) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2_048)
        # Connections inherit it. asyncio sets it only where a socket's protocol is named, which create_server does not:
        # each reply on a connection that is used again waited 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host}:{settings.port} ({os.strerror(error.errno or 0)}): stop what listens "
            "there, or change http.host and http.port"
        ) from error
    with listener:
        yield listener
