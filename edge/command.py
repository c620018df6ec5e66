"""`lineside edge`: a gateway on the command line."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lineside.errors import LinesideError

if TYPE_CHECKING:
    from edge.early_shards import EarlyShards
    from edge.gateway.settings import GatewaySettings
    from edge.pieces import GatewayIdentity
    from edge.sync import Synchroniser

edge = typer.Typer(no_args_is_help=True, help="A gateway: keeps its knowledge up to date and answers from it.")
Settings = Annotated[Path, typer.Argument(help="the gateway's settings", exists=True, dir_okay=False)]


@edge.callback()
def about() -> None:
    """A gateway: keeps its knowledge up to date and answers from it."""


@edge.command()
def run(settings: Settings = Path("gateway.yaml")) -> None:
    """Answer over HTTP from what this gateway holds, and follow the store, until SIGTERM or Ctrl-C."""
    from edge.early_shards import EarlyShards

    try:
        with EarlyShards() as shards:
            read, identity = _read(settings, shards)
            from edge.gateway.process import run  # most of the libraries: loaded while shards are opened

            run(read, identity, shards)
    except LinesideError as error:
        raise _failed(error) from None


@edge.command()
def sync(
    settings: Settings = Path("gateway.yaml"),
    follow: Annotated[bool, typer.Option(help="go on looking until stopped")] = False,
) -> None:
    """Look at the store once, or go on looking: fetch, verify, try and apply what is new."""
    from edge.sync import SyncLoop

    synchroniser = _synchroniser(settings)
    if not follow:
        try:
            outcome = synchroniser.update()
        except LinesideError as error:
            raise _failed(error) from None
        held = "nothing" if outcome.release is None else f"release {outcome.release}"
        reason = f": {outcome.reason}" if outcome.reason else ""
        typer.echo(f"{outcome.status}{reason}; holds {held}; {outcome.fetched_bytes / 2**20:.2f} MiB fetched")
        raise typer.Exit(0 if outcome.status in ("applied", "unchanged") else 1)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    loop = SyncLoop(synchroniser, on_change=lambda: _say_current(synchroniser))
    loop.start()
    stopped.wait()
    loop.stop(timeout_s=30)


@edge.command()
def status(settings: Settings = Path("gateway.yaml")) -> None:
    """Show what the gateway holds and what went wrong lately."""
    state = _synchroniser(settings).state()
    for name, held in (("current", state.current), ("backup", state.backup)):
        if held is None:
            typer.echo(f"{name}: none")
        else:
            families = sorted(p.split("/")[1].removesuffix(".json") for p in held.documents if p.startswith("shards/"))
            typer.echo(
                f"{name}: release {held.release} (publication {held.publication}), applied {held.applied:%F %H:%M}, "
                f"families {', '.join(families)}"
            )
    for incident in state.incidents:
        typer.echo(f"{incident.at:%Y-%m-%d %H:%M}  publication {incident.publication}: {incident.reason}")


def _read(path: Path, shards: EarlyShards | None = None) -> tuple[GatewaySettings, GatewayIdentity]:
    from edge.gateway.settings import read_gateway
    from edge.pieces import GatewayIdentity
    from edge.trust.providers import load_secret

    settings = read_gateway(path)
    secret = load_secret(settings.key, path.parent)
    if shards is not None:
        shards.begin(settings.state, settings.gateway, secret, max_shard_bytes=settings.max_shard_bytes)
    return settings, GatewayIdentity(settings.gateway, secret)


def _synchroniser(path: Path) -> Synchroniser:
    from edge.sync import Synchroniser

    try:
        return Synchroniser(*_read(path))
    except LinesideError as error:
        raise _failed(error) from None


def _say_current(synchroniser: Synchroniser) -> None:
    current = synchroniser.state().current
    typer.echo("holds nothing" if current is None else f"holds release {current.release}")


def _failed(error: LinesideError) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(1)
