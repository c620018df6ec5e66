"""`lineside fleet`: the gateways of a plant on the command line (docs/fleet.md)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from lineside.errors import ConfigurationError, LinesideError

if TYPE_CHECKING:
    from edge.fleet.placement import Placement
    from edge.fleet.rollout import Controller
    from edge.fleet.settings import FleetSettings
    from edge.fleet.sources import ReportSource
    from edge.fleet.status import FleetStatus
    from edge.trust.repository import TrustRepository

fleet = typer.Typer(no_args_is_help=True, help="All gateways: who holds what, how a release reaches them.")

File = Annotated[Path, typer.Option("--fleet", help="the fleet's settings", envvar="LINESIDE_FLEET")]
Store = Annotated[str, typer.Option(help="store that gateways read", envvar="LINESIDE_STORE")]
Folder = Annotated[Path, typer.Option("--keys", help="the keyring's folder", envvar="LINESIDE_KEYS")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]
_DEFAULT_FILE, _DEFAULT_KEYS = Path("fleet.yaml"), Path("keys")


@fleet.callback()
def about() -> None:
    """All gateways: who holds what, how a release reaches them."""
    # Standard output is for tables and JSON. Looked up at each line, as a live table redirects it meanwhile.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@fleet.command()
def plan(
    file: File = _DEFAULT_FILE,
    store: Annotated[
        str | None, typer.Option(help="store that gateways read: families, sizes and the present placement")
    ] = None,
    folder: Folder = _DEFAULT_KEYS,
    against: Annotated[Path | None, typer.Option(help="another fleet.yaml: show what moves from there to here")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which gateway would hold which family, and what would move. Changes nothing."""
    from edge.fleet.placement import Placement, moves, place, published_sizes
    from edge.fleet.settings import read_fleet
    from edge.trust.fleet_documents import FleetDocuments

    with _errors():
        settings = read_fleet(file)
        sizes = {name: family.size_mib or 0.0 for name, family in settings.families.items()}
        before: Placement | None = None
        if store is not None:
            repository = _repository(store, folder)()
            sizes |= published_sizes(repository)
            routing = FleetDocuments.read(repository).routing
            before = None if routing is None else Placement(dict(routing.families), {})
        if not sizes:
            raise ConfigurationError("no families are known: give --store, or name them in fleet.yaml")
        placement = place(settings, sizes)
        if against is not None:
            before = place(read_fleet(against), sizes)
    changes = [] if before is None else moves(before, placement)
    if as_json:
        found = {
            "families": placement.families,
            "short": placement.short,
            "moves": [{"family": m.family, "gateway": m.gateway, "joins": m.joins} for m in changes],
        }
        typer.echo(json.dumps(found, indent=1))
        return
    _show_placement(placement, settings, sizes)
    if before is not None:
        fetched = sum(sizes[move.family] for move in changes if move.joins)
        typer.echo(f"\n{len(changes)} moves; gateways fetch {fetched:.1f} MiB" if changes else "\nnothing moves")
        for move in changes:
            typer.echo(f"  {move.family}: {'to' if move.joins else 'away from'} {move.gateway}")


@fleet.command()
def route(
    family: Annotated[str, typer.Argument(help="equipment family")],
    store: Store,
    folder: Folder = _DEFAULT_KEYS,
    as_json: AsJson = False,
) -> None:
    """Show who holds a family by the signed routing table, in the order to ask."""
    from edge.trust.fleet_documents import FleetDocuments

    with _errors():
        routing = FleetDocuments.read(_repository(store, folder)()).routing
        if routing is None:
            raise ConfigurationError("no routing table is published yet: lineside publish --fleet fleet.yaml")
        routes = routing.routes(family)
        if not routes:
            raise ConfigurationError(
                f"nobody holds {family}; known are {', '.join(sorted(routing.families)) or 'none'}"
            )
    if as_json:
        typer.echo(json.dumps([one.model_dump() for one in routes]))
        return
    for one in routes:
        typer.echo(f"{one.gateway}\t{one.url or '-'}")


@fleet.command()
def status(
    store: Store,
    file: File = _DEFAULT_FILE,
    folder: Folder = _DEFAULT_KEYS,
    watch: Annotated[bool, typer.Option(help="go on until stopped")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every gateway: what it should run, what it serves, and what is wrong. Needs no private key."""
    with _errors(), _opened(file, store, folder) as opened:
        if not watch:
            _show(opened.status(), as_json=as_json)
            return
        opened.watch(lambda: (opened.status(), True), as_json=as_json)


@fleet.command()
def rollout(
    store: Store,
    file: File = _DEFAULT_FILE,
    folder: Folder = _DEFAULT_KEYS,
    release: Annotated[int | None, typer.Option(min=1, help="the newest publication's when left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a publication to all gateways, wave by wave, or go on with what is under way.

    Ends with 0 when all gateways may take it, with 1 when it was rolled back. It may be stopped or killed and started
    again at any time.
    """
    from edge.fleet.placement import score
    from edge.fleet.rollout import plan_waves

    with _errors(), _opened(file, store, folder) as opened:
        controller, settings = opened.controller, opened.settings
        current = controller.documents().rollout
        assert current is not None
        if current.candidate is None:
            chosen = [one for one in controller.editions() if release in (None, one.release)]
            if not chosen:
                raise ConfigurationError(
                    f"release {release} is not published: lineside publish --release {release} --fleet {file}"
                )
            held = controller.held(chosen[-1].publication)
            # By hash: canaries and waves are drawn anew for each publication, and of all cells.
            ranked = sorted(settings.gateways, key=lambda name: score(str(chosen[-1].publication), name, 1.0))
            controller.begin(chosen[-1], plan_waves(settings.rollout_settings, held, ranked))
        elif release not in (None, current.candidate.release):
            raise ConfigurationError(
                f"release {current.candidate.release} is rolling out: lineside fleet rollback gives it up"
            )

        def step() -> tuple[FleetStatus, bool]:
            signed, decision = controller.step(opened.reports.read(), datetime.now(UTC))
            return opened.status(decision.why), signed.candidate is not None

        final = opened.watch(step, as_json=as_json)
    if final.rollout.phase == "rolled back":
        raise typer.Exit(1)


@fleet.command()
def pause(
    store: Store,
    file: File = _DEFAULT_FILE,
    folder: Folder = _DEFAULT_KEYS,
    reason: Annotated[str, typer.Option(help="kept in the signed rollout")] = "",
) -> None:
    """Admit no further wave. Gateways that were admitted keep what they have; failures still roll it back."""
    with _errors(), _opened(file, store, folder, listen=False) as opened:
        signed = opened.controller.pause(reason)
        typer.echo(f"paused at {signed.admitted} waves")


@fleet.command()
def resume(store: Store, file: File = _DEFAULT_FILE, folder: Folder = _DEFAULT_KEYS) -> None:
    """Go on with a paused rollout; `lineside fleet rollout` advances it."""
    with _errors(), _opened(file, store, folder, listen=False) as opened:
        signed = opened.controller.resume()
        typer.echo(f"rolling again at {signed.admitted} waves")


@fleet.command()
def rollback(
    store: Store,
    file: File = _DEFAULT_FILE,
    folder: Folder = _DEFAULT_KEYS,
    reason: Annotated[str, typer.Option(help="kept in the signed rollout")] = "by hand",
) -> None:
    """Send all gateways back to what they ran before, at once. A finished rollout can be taken back as well."""
    with _errors(), _opened(file, store, folder, listen=False) as opened:
        signed = opened.controller.roll_back(reason)
        typer.echo(f"all gateways go to publication {signed.baseline.publication} (release {signed.baseline.release})")


class _Opened:
    """What the commands work with."""

    def __init__(
        self,
        settings: FleetSettings,
        controller: Controller,
        reports: ReportSource,
    ) -> None:
        self.settings = settings
        self.reports = reports
        self.controller = controller

    def status(self, why: str = "") -> FleetStatus:
        from edge.fleet.status import fleet_status

        return fleet_status(self.settings, self.controller.documents(), self.reports.read(), datetime.now(UTC), why)

    def watch(self, look: Callable[[], tuple[FleetStatus, bool]], *, as_json: bool) -> FleetStatus:
        """Shows what `look` gives, until that says that there is nothing to wait for."""
        from rich.console import Console
        from rich.live import Live

        from edge.fleet.status import as_table, headline

        console = Console()
        every_s = self.settings.rollout_settings.look_s
        if not console.is_terminal or as_json:
            said = ""
            while True:
                found, more = look()
                line = json.dumps(found.json()) if as_json else headline(found)
                if line != said or as_json:
                    typer.echo(line)
                    said = line
                if not more:
                    return found
                time.sleep(every_s)
        with Live(console=console, auto_refresh=False) as live:
            while True:
                found, more = look()
                live.update(as_table(found, max(console.size.height - 5, 5)), refresh=True)
                if not more:
                    return found
                time.sleep(every_s)


@contextmanager
def _opened(file: Path, store: str, folder: Path, *, listen: bool = True) -> Iterator[_Opened]:
    from edge.fleet.rollout import Controller
    from edge.fleet.settings import read_fleet
    from edge.fleet.sources import open_reports

    settings = read_fleet(file)
    # Without listening the broker is still told, where there is one; a store needs nobody.
    reports = open_reports(settings, required=listen)
    try:
        repository = _repository(store, folder)
        urls = {name: gateway.url for name, gateway in settings.gateways.items()}
        controller = Controller(repository, settings.rollout_settings, urls, announce=reports.announce)
        yield _Opened(settings, controller, reports)
    finally:
        reports.close()


def _repository(store: str, folder: Path) -> Callable[[], TrustRepository]:
    from edge.trust.keyring import Keyring
    from edge.trust.repository import TrustRepository
    from lineside.objects import open_store

    objects = open_store(store)
    return lambda: TrustRepository(objects, Keyring.open(folder))


def _show(found: FleetStatus, *, as_json: bool) -> None:
    from rich.console import Console

    from edge.fleet.status import as_lines, as_table

    console = Console()
    if as_json:
        typer.echo(json.dumps(found.json(), indent=1))
    elif console.is_terminal:
        console.print(as_table(found, rows=len(found.gateways)))
    else:
        typer.echo("\n".join(as_lines(found)))


def _show_placement(placement: Placement, settings: FleetSettings, sizes: dict[str, float]) -> None:
    for family, gateways in placement.families.items():
        short = f"   {placement.short[family]}" if family in placement.short else ""
        typer.echo(f"{family} ({sizes[family]:.1f} MiB): {', '.join(gateways)}{short}")
    typer.echo("")
    held = placement.held()
    for name, gateway in settings.gateways.items():
        used = sum(sizes[family] for family in held.get(name, ()))
        limit = f" of {gateway.memory_mib:g}" if gateway.memory_mib else ""
        typer.echo(f"{name}: {len(held.get(name, ()))} families, {used:.1f}{limit} MiB")


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("stopped; what is signed stays: the same command goes on", err=True)
        raise typer.Exit(130) from None
