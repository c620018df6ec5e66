"""The demo plant's written knowledge as a data team would drop it in a bucket: PDFs, Markdown, HTML, incidents."""

from __future__ import annotations

import re
from pathlib import Path

from demo.manual_pdf import render_manual

_PDF_SOURCE = ".pdf.md"
_COPIED = (".md", ".html", ".jsonl")
_FIGURE_LINK = re.compile(r"""(?:\]\(|src=["'])figures/([A-Za-z0-9_-]+\.png)(?:\)|["'])""")


def render_manuals(source: Path, figures: Path, out: Path) -> list[Path]:
    """Writes every document below `source/<family>/` to `out/<family>/`, with the figures it shows.

    `NAME.pdf.md` becomes the PDF `NAME.pdf`; Markdown, HTML and JSONL are copied as they are. A document calls an
    image `figures/NAME.png`; it is taken from `figures/<family>/NAME.png` and, beside a copied document, lies in
    `out/<family>/figures/`. Returns the documents written, in order of their paths.

    Raises:
        FileNotFoundError: a document shows a figure that was not rendered.
        ValueError: a PDF source that cannot be typeset; the message names the file.
    """
    written: list[Path] = []
    for path in sorted(source.glob("*/*")):
        if path.suffix not in _COPIED:
            continue
        family = path.parent.name
        target_dir = out / family
        target_dir.mkdir(parents=True, exist_ok=True)
        if path.name.endswith(_PDF_SOURCE):
            written.append(_write_pdf(path, figures, target_dir))
            continue
        target = target_dir / path.name
        content = path.read_bytes()
        if path.suffix != ".jsonl":
            for name in sorted(set(_FIGURE_LINK.findall(content.decode("utf-8")))):
                _write(
                    target_dir / "figures" / name,
                    _find_figure(figures, family, name).read_bytes(),
                )
        _write(target, content)
        written.append(target)
    return written


def _write_pdf(path: Path, figures: Path, target_dir: Path) -> Path:
    def load(link: str) -> bytes:
        name = link.removeprefix("figures/")
        return _find_figure(figures, target_dir.name, name).read_bytes()

    try:
        content = render_manual(path.read_text(encoding="utf-8"), load)
    except ValueError as error:
        raise ValueError(f"{path.parent.name}/{path.name}: {error}") from error
    target = target_dir / path.name.removesuffix(".md")
    _write(target, content)
    return target


def _find_figure(figures: Path, family: str, name: str) -> Path:
    path = figures / family / name
    if not path.is_file():
        raise FileNotFoundError(f"figure {family}/{name} is not in {figures}: render the figures first")
    return path


def _write(target: Path, content: bytes) -> None:
    """Writes only what changed, so that file times tell a re-index what to look at."""
    if target.is_file() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
