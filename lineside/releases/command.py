"""The command `lineside releases`: look at the catalogue, go forward, go back, check it, and tidy it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from lineside.errors import LinesideError, NotFound
from lineside.releases.catalogue import Catalogue
from lineside.releases.check import ShardCheck, check_shard
from lineside.releases.pruning import DEFAULT_GRACE, plan_prune, prune
from lineside.releases.records import Pointer, Release

app = typer.Typer(
    help="Show, activate, roll back, verify and prune releases.", no_args_is_help=True, add_completion=False
)

StoreOption = Annotated[
    str,
    typer.Option(help="folder or s3://bucket/prefix of the catalogue", envvar="LINESIDE_STORE", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
WhyOption = Annotated[str, typer.Option(help="reason, for the history")]


@app.callback()
def _group() -> None:
    """Show, activate, roll back, verify and prune releases.

    Exit status: 0 done, 1 not possible or damaged, 2 wrong usage.
    """


@app.command("list")
def list_releases(store: StoreOption = "", as_json: JsonOption = False) -> None:
    """All releases, the newest first; the current one is marked."""
    with _errors():
        catalogue = _open(store)
        pointer = _pointer(catalogue)
        releases = [catalogue.get(number) for number in reversed(catalogue.numbers())]
        current = pointer.release if pointer else None
        if as_json:
            _print_json({"current": current, "releases": [_summary(r, current) for r in releases]})
            return
        if not releases:
            typer.echo(f"No releases in {catalogue.store.url}.")
            return
        rows = [
            (
                "→" if release.number == current else "",
                str(release.number),
                _time(release.created),
                str(len(release.families)),
                release.by,
                release.note,
            )
            for release in releases
        ]
        _print_table(("", "release", "created (UTC)", "families", "by", "note"), rows)
        if current is None:
            typer.echo("None of them is current: activate one.")


@app.command()
def show(
    number: Annotated[int | None, typer.Argument(help="release; the current one when left out")] = None,
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """One release: families, shards, encoders, and when it was active."""
    with _errors():
        catalogue = _open(store)
        release = catalogue.current() if number is None else catalogue.get(number)
        pointer = _pointer(catalogue)
        current = pointer.release if pointer else None
        activations = [a for a in (pointer.history if pointer else ()) if a.release == release.number]
        if as_json:
            details = {
                "shards": [entry.model_dump() for entry in release.shards],
                "fingerprints": release.fingerprints,
                "base": release.base,
                "activations": [a.model_dump(mode="json") for a in activations],
            }
            _print_json(_summary(release, current) | details)
            return
        state = "current" if release.number == current else "not current"
        typer.echo(f"Release {release.number} ({state}), created {_time(release.created)} UTC by {release.by or '?'}")
        if release.note:
            typer.echo(f"Note: {release.note}")
        if release.base is not None:
            typer.echo(f"Based on release {release.base}")
        typer.echo("Made with: " + ", ".join(f"{k} {v or '(none)'}" for k, v in release.fingerprints.items()) + "\n")
        _print_table(("family", "shard"), [(entry.family, entry.id) for entry in release.shards])
        if activations:
            typer.echo("")
            rows = [(_time(a.at), "rolled back to" if a.rollback else "activated", a.by, a.why) for a in activations]
            _print_table(("when (UTC)", "what", "by", "why"), rows)


@app.command()
def activate(
    number: Annotated[int, typer.Argument(help="release")],
    store: StoreOption = "",
    why: WhyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a release current; running services take it up by themselves."""
    with _errors():
        release = _open(store).activate(number, why=why)
        _say_current(release, as_json)


@app.command()
def rollback(store: StoreOption = "", why: WhyOption = "", as_json: JsonOption = False) -> None:
    """Make the release current that was active before; again goes further back."""
    with _errors():
        release = _open(store).rollback(why=why)
        _say_current(release, as_json)


@app.command()
def verify(
    number: Annotated[int | None, typer.Argument(help="release; the current one when left out")] = None,
    every: Annotated[bool, typer.Option("--all", help="every release")] = False,
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Read every file of every shard and compare it with its checksum. Exit status 1 where something is damaged."""
    if every and number is not None:
        raise typer.BadParameter("give a number or --all, not both")
    with _errors():
        catalogue = _open(store)
        if every:
            releases = [catalogue.get(n) for n in catalogue.numbers()]
        else:
            releases = [catalogue.current() if number is None else catalogue.get(number)]
        users: dict[str, list[int]] = {}
        entries = {}
        for release in releases:
            for entry in release.shards:
                users.setdefault(entry.id, []).append(release.number)
                entries[entry.id] = entry
        checks = []
        for entry in entries.values():
            checks.append(check_shard(catalogue.store, entry))
            if not as_json:
                _say_check(checks[-1], users[entry.id])
        damaged = [check for check in checks if check.problems]
        if as_json:
            _print_json({"ok": not damaged, "shards": [_check_json(check, users[check.shard.id]) for check in checks]})
        else:
            numbers = ", ".join(str(release.number) for release in releases)
            said = f"{len(damaged)} of {len(checks)} shards damaged" if damaged else f"{len(checks)} shards whole"
            typer.echo(f"Release {numbers}: {said}, {_size(sum(check.size for check in checks))} read.")
    if damaged:
        raise typer.Exit(1)


@app.command("prune")
def prune_releases(
    keep: Annotated[int, typer.Option(help="how many of the newest releases stay", min=1)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")] = False,
    grace_hours: Annotated[float, typer.Option(help="what is younger stays: it may be being published", min=0)] = (
        DEFAULT_GRACE.total_seconds() / 3600
    ),
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Remove old releases, and shards that no release needs.

    The current release and the one that a rollback goes to always stay. Services that are pinned to a release with
    user_config are not known here: keep enough.
    """
    with _errors():
        catalogue, grace = _open(store), timedelta(hours=grace_hours)
        plan = plan_prune(catalogue, keep, grace) if dry_run else prune(catalogue, keep, grace)
        if as_json:
            _print_json(
                {
                    "dry_run": dry_run,
                    "releases": plan.releases,
                    "shards": plan.shards,
                    "bytes": plan.size,
                    "kept": plan.kept,
                }
            )
            return
        kept = f"Kept: {', '.join(map(str, plan.kept))}."
        if plan.is_empty:
            typer.echo(f"Nothing to remove. {kept}")
            return
        numbers = f" ({', '.join(map(str, plan.releases))})" if plan.releases else ""
        typer.echo(
            f"{'Would remove' if dry_run else 'Removed'} {len(plan.releases)} releases{numbers} and {len(plan.shards)} "
            f"shards, {_size(plan.size)}. {kept}"
        )


def _open(store: str) -> Catalogue:
    return Catalogue(store or os.path.join(os.environ.get("LINESIDE_HOME") or ".lineside", "store"))


def _pointer(catalogue: Catalogue) -> Pointer | None:
    """None where nothing has been made current."""
    try:
        return catalogue.pointer()
    except NotFound:
        return None


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _summary(release: Release, current: int | None) -> dict[str, Any]:
    return {
        "number": release.number,
        "current": release.number == current,
        "created": release.created.isoformat(),
        "by": release.by,
        "note": release.note,
        "families": sorted(release.families),
    }


def _say_current(release: Release, as_json: bool) -> None:
    if as_json:
        _print_json({"current": release.number})
    else:
        typer.echo(f"Release {release.number} is current.")


def _say_check(check: ShardCheck, releases: list[int]) -> None:
    state = "damaged" if check.problems else "whole"
    used = f"release {', '.join(map(str, releases))}"
    typer.echo(
        f"{check.shard.family}: shard {check.shard.id} {state}, {check.files} files, {_size(check.size)} ({used})"
    )
    for problem in check.problems:
        typer.echo(f"  ! {problem}")


def _check_json(check: ShardCheck, releases: list[int]) -> dict[str, Any]:
    return {
        "family": check.shard.family,
        "id": check.shard.id,
        "files": check.files,
        "bytes": check.size,
        "problems": check.problems,
        "releases": releases,
    }


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    for line in (head, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


if __name__ == "__main__":
    app()
