"""Builds the demo plant's release: renders manuals and frames, then reads, embeds, indexes and publishes them.

    $LINESIDE_HOME/demo/source/<family>/   what a data team would keep in its bucket
    $LINESIDE_HOME/store/                  the catalogue of releases that the service reads

Nothing is done when the sources, the encoders and the code that builds have not changed.
Run it with `python -m demo.build_knowledge`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

from demo.prepare_models import lineside_home
from demo.render_figures import render_figures
from demo.render_frames import write_frames
from demo.render_manuals import render_manuals
from index_builder.build import build_release
from index_builder.settings import ModelSettings
from lineside.encoders import Runtime
from lineside.errors import LinesideError
from lineside.releases import Catalogue

_ROOT = Path(__file__).resolve().parent
# What decides the bytes of a release: a change elsewhere leaves it as it is.
_CODE = (
    "demo/render_*.py",
    "demo/drawing.py",
    "demo/figures/*.py",
    "demo/captions.py",
    "demo/phrases/*.py",
    "demo/manual_*.py",
    "demo/scenes/*.py",
    "ingest/*.py",
    "index_builder/*.py",
    "lineside/analysis.py",
    "lineside/documents.py",
    "lineside/encoders/*.py",
    "lineside/shards/*.py",
)


def build(home: Path, *, force: bool = False) -> bool:
    """Builds unless the stamp says that it was done from the present inputs. Returns whether anything was built."""
    models, store = home / "models", home / "store"
    stamp, inputs = home / "demo" / "knowledge.stamp", _inputs(models)
    if not force and stamp.is_file() and stamp.read_text() == inputs and (store / "current.json").is_file():
        print(f"The demo plant's knowledge is up to date: release {Catalogue(store).current().number}.")
        return False
    started = time.monotonic()
    source, figures = home / "demo" / "source", home / "demo" / "figures"
    _say("drawing the figures of the manuals")
    render_figures(figures)
    _say("typesetting the manuals")
    written = render_manuals(_ROOT / "knowledge", figures, source)
    _say(f"{len(written)} files; rendering camera frames")
    count = write_frames(source / "frames", processes=os.cpu_count() or 1)
    _say(f"{count} frames")
    runtime = Runtime(threads=os.cpu_count() or 1)
    text = ModelSettings(folder=models / "minilm", runtime=runtime)
    joint = ModelSettings(folder=models / "joint-demo", runtime=runtime)
    report = build_release(source, Catalogue(store), text, joint, note="demo plant", progress=_say)
    for row in (*report.errors, *report.warnings):
        print(f"  ! {row}", file=sys.stderr)
    stamp.write_text(inputs)
    counts = report.counts
    print(
        f"Release {report.release.number}: {counts.documents} documents, {counts.passages} passages, "
        f"{counts.figures} figures, {counts.frames} frames, {counts.known_questions} known questions "
        f"in {time.monotonic() - started:.0f} s."
    )
    return True


def _inputs(models: Path) -> str:
    """A hash over everything the release is made from: written sources, models and code."""
    digest = hashlib.sha256()
    files = [p for p in (_ROOT / "knowledge").rglob("*") if p.is_file()]
    files += [p for pattern in _CODE for p in _ROOT.parent.glob(pattern)]
    files += [p for name in ("minilm", "joint-demo") for p in (models / name).glob("*.safetensors")]
    for path in sorted(files):
        digest.update(path.name.encode())
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; the exit status is 1 with a message where something is missing or broken."""
    parser = argparse.ArgumentParser(description="Build the demo plant's release.")
    parser.add_argument("--force", action="store_true", help="build even when nothing changed")
    options = parser.parse_args(arguments)
    try:
        build(lineside_home(), force=options.force)
    except LinesideError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
