"""`lineside ...`: the commands of the core and those that other packages register in `lineside.commands`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from lineside.client import DEFAULT_URL, Client, ServiceError, Unreachable
from lineside.schema import Answer, Priority, RequestedMode

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def about() -> None:
    """Cited answers beside the production line."""


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="what you want to know")],
    image: Annotated[Path | None, typer.Option(help="a camera frame", exists=True, dir_okay=False)] = None,
    family: Annotated[str | None, typer.Option(help="equipment family to search; all when left out")] = None,
    context: Annotated[str, typer.Option(help="sensor log or note that goes with the question")] = "",
    mode: Annotated[RequestedMode, typer.Option(help="auto, generate or extract")] = "auto",
    priority: Annotated[Priority, typer.Option(help="alert, interactive or batch")] = "interactive",
    k: Annotated[int, typer.Option(help="passages wanted")] = 8,
    deadline_ms: Annotated[int | None, typer.Option(help="time the answer may take")] = None,
    url: Annotated[
        str, typer.Option(help="where the service is; several with commas", envvar="LINESIDE_URL")
    ] = DEFAULT_URL,
    json: Annotated[bool, typer.Option("--json", help="print the reply as JSON")] = False,
) -> None:
    """Ask a question, with or without a frame, and print the cited answer."""
    try:
        with Client([one.strip() for one in url.split(",")]) as client:
            answer = client.answer(
                question,
                image=image,
                family=family,
                context=context,
                mode=mode,
                priority=priority,
                k=k,
                deadline_ms=deadline_ms,
            )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_url=False))
        typer.echo(f"error: {problems}", err=True)
        raise typer.Exit(2) from None
    except (ServiceError, Unreachable) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(answer.model_dump_json(indent=2) if json else describe(answer, client.url))


def describe(answer: Answer, url: str) -> str:
    """An answer as a person reads it in a terminal: text, what it rests on, what the frame shows, how it was made."""
    lines = [answer.text or "(no answer; the evidence follows)", ""]
    cited = {citation.n for sentence in answer.sentences for citation in sentence.citations}
    shown = [e for e in answer.evidence if e.n in cited] or list(answer.evidence[:3])
    for evidence in shown:
        place = " › ".join(evidence.section_path) or evidence.label or evidence.id
        page = f", page {evidence.page}" if evidence.page is not None else ""
        lines.append(f"  [{evidence.n}] {evidence.title or evidence.camera_id or ''}{page}: {place}")
        if link := evidence.url or evidence.image_url:
            lines.append(f"      {url}{link}")
    frames = [e for e in answer.evidence if e.kind == "frame"]
    if answer.labels:
        seen = ", ".join(f"{vote.label} {vote.share:.0%}" for vote in answer.labels[:3])
        lines += ["", f"  The image looks like: {seen}"]
        lines += [f"      {url}{frame.image_url}" for frame in frames[:2] if frame.image_url]
    lines += [
        "",
        f"  mode {answer.mode}, status {answer.status}, release {answer.release}, {answer.elapsed_ms:.0f} ms "
        f"of {answer.deadline_ms}, request {answer.request_id}",
    ]
    if answer.served_by is not None:
        age = (
            ""
            if answer.knowledge_age_s is None
            else f", knowledge last known to be new {answer.knowledge_age_s:.0f} s ago"
        )
        lines.append(f"  answered by {answer.served_by}{age}")
    lines += [f"  degraded: {d.stage}: {d.reason}" for d in answer.degraded]
    return "\n".join(lines)


def main() -> None:
    """Entry point: core commands first, then what the installed packages registered, by name.

    Where one of those is called, the others are not loaded: their libraries would cost a gateway half a second.
    """
    entries = sorted(entry_points(group="lineside.commands"), key=lambda entry: entry.name)
    called = [entry for entry in entries if entry.name == sys.argv[1]] if len(sys.argv) > 1 else []
    for entry in called or entries:
        register(entry)
    app(prog_name=Path(sys.argv[0]).name)


def register(entry: EntryPoint) -> None:
    """Adds a command. One whose package lacks an extra, or was moved since the installation, says so when it is called:
    the others do not need it."""
    try:
        command = entry.load()
    except ImportError as error:
        command = _unavailable(entry.name, str(error))
        app.command(entry.name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(command)
        return
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=entry.name)
    else:
        app.command(name=entry.name)(command)


def _unavailable(name: str, reason: str) -> Callable[[], None]:
    def refuse() -> None:
        typer.echo(
            f"error: {name} cannot be loaded: {reason}. Install Lineside again, with the extra it needs", err=True
        )
        raise typer.Exit(1)

    refuse.__doc__ = f"Not available: {reason}"
    return refuse


if __name__ == "__main__":
    main()
