"""`lineside encoders`: makes encoders for machines without torch, and checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineside.encoders.exported import check_files, read_manifest
from lineside.encoders.exported.manifest import ExportManifest
from lineside.encoders.settings import DEFAULT_MAX_TOKENS
from lineside.errors import LinesideError

app = typer.Typer(no_args_is_help=True, help="Encoders for gateways: exported once, loaded without torch.")
Folder = Annotated[Path, typer.Argument(help="folder of exported encoders")]


@app.command()
def export(
    out: Folder,
    text: Annotated[Path | None, typer.Option(help="Hugging Face folder of the sentence encoder")] = None,
    joint: Annotated[Path | None, typer.Option(help="Hugging Face folder of the joint image-text encoder")] = None,
    max_tokens: Annotated[
        int, typer.Option(min=3, max=8_192, help="longer texts are cut; as the release was made with")
    ] = DEFAULT_MAX_TOKENS,
) -> None:
    """Write graphs, tokenizers and image preparation to OUT; what was written is compared with the models first."""
    try:
        from lineside.encoders.pretrained.export import export_encoders
    except ModuleNotFoundError as error:
        typer.echo(f"error: exporting needs {error.name}: install lineside[encoders]", err=True)
        raise typer.Exit(1) from None
    try:
        manifest = export_encoders(out, text=text, joint=joint, max_tokens=max_tokens)
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    _describe(out, manifest)
    typer.echo(f"for gateways: lineside publish --model encoders={out} ...")


@app.command()
def check(folder: Folder) -> None:
    """Compare every file of FOLDER with its checksum, and say what it holds."""
    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
    except LinesideError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    _describe(folder, manifest)


def _describe(folder: Path, manifest: ExportManifest) -> None:
    size = sum(file.size for file in manifest.files.values())
    typer.echo(f"{folder}: {len(manifest.files)} files, {size / 2**20:.1f} MiB, intact")
    if (text := manifest.text) is not None:
        typer.echo(f"  text   {text.fingerprint}  {text.dimension} values, up to {text.max_tokens} tokens")
    if (joint := manifest.joint) is not None:
        tower = "no text tower"
        if joint.text is not None:
            tower = "text tower shared with text" if joint.text.shares_trunk else "text tower of its own"
        typer.echo(f"  joint  {joint.fingerprint}  {joint.dimension} values, images of {joint.pixels.side}, {tower}")
