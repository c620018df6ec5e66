"""What a gateway has to fetch when a part of the passages changed: `python -m benchmarks.transfer FOLDER`.

Builds a real release of FOLDER (as one family), changes sentences in its Markdown or AsciiDoc files until the wanted
share of passages differs, builds again and packs both: once with the changes in as few documents as possible, as when
a manual is revised, once scattered over all documents, which is the worst case.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from demo.prepare_models import lineside_home
from edge.pieces import PieceIndex, PieceSizes, SealedPieces, new_data_key, pack_files
from index_builder.build import build_release
from index_builder.settings import BuildSettings, ModelSettings
from lineside.releases import Catalogue
from lineside.shards import Shard

_SENTENCE = re.compile(r"^[A-Z][^|`<>{}\n]{60,}[.]$", re.MULTILINE)
_ADDED = " Check this again after every change of tool Q{number}."  # each with a word that was not there before


@dataclass(frozen=True)
class _Built:
    folder: Path
    passages: list[str]

    @property
    def files(self) -> dict[str, Path]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in found}


def measure(
    source: Annotated[Path, typer.Argument(help="a folder with Markdown or AsciiDoc files", exists=True)],
    share: Annotated[float, typer.Option(help="part of the passages that changes")] = 0.01,
    averages: Annotated[str, typer.Option(help="average piece sizes in KiB")] = "2,4,8,64",
    joint: Annotated[bool, typer.Option(help="with the demo's joint vectors")] = False,
) -> None:
    """Prints, for both kinds of change and several piece sizes, the share of the shard's bytes that has to move."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        before = _build(source, root / "store", joint)
        total = sum(path.stat().st_size for path in before.files.values())
        print(f"{source.name}: {len(before.passages)} passages, {total / 2**20:.1f} MiB in {len(before.files)} files")
        for kind in ("documents", "scattered"):
            changed = root / "changed" / source.name
            shutil.rmtree(changed, ignore_errors=True)
            shutil.copytree(source, changed)
            wanted = round(share * len(before.passages))
            edited = _edit(changed, wanted, scattered=kind == "scattered")
            after = _build(changed, root / "store", joint)
            differ = len(set(after.passages) - set(before.passages))
            print(f"\n{kind}: {edited} files edited, {differ} passages differ ({differ / len(before.passages):.2%})")
            for average in (int(size) << 10 for size in averages.split(",")):
                _compare(before, after, average, total)


def _build(source: Path, store: Path, joint: bool) -> _Built:
    """A release of one family by the job itself, which encodes only what the store does not know yet."""
    models = lineside_home() / "models"
    catalogue = Catalogue(store)
    build_release(
        source,
        catalogue,
        ModelSettings(folder=models / "minilm"),
        ModelSettings(folder=models / "joint-demo") if joint else None,
        settings=BuildSettings(family_rules={"*": "all"}),
    )
    (folder,) = catalogue.paths(catalogue.current())
    shard = Shard.open(folder)
    passages = shard.rows.slice(0, shard.manifest.counts["passages"]).column("text").to_pylist()
    return _Built(folder, passages)


def _edit(source: Path, wanted: int, *, scattered: bool) -> int:
    """Lengthens about `wanted` sentences: as many as there are in each file, or one a file. Returns files edited."""
    edited, left = 0, wanted
    files = sorted(path for path in source.rglob("*") if path.suffix in (".md", ".adoc"))
    for path in np.random.default_rng(7).permutation(np.array(files, object)):
        text = path.read_text(encoding="utf-8")
        ends = list(_paragraph_ends(text))[: 1 if scattered else left]
        if not ends:
            continue
        for number, end in enumerate(reversed(ends), edited * 1_000):
            text = text[:end] + _ADDED.format(number=number) + text[end:]
        path.write_text(text, encoding="utf-8")
        edited, left = edited + 1, left - len(ends)
        if left <= 0:
            break
    return edited


def _paragraph_ends(text: str) -> Iterator[int]:
    """Ends of sentences that lie at least a passage's length apart, so that each changes a passage of its own."""
    last = -1_000
    for found in _SENTENCE.finditer(text):
        if found.end() - last >= 700:
            last = found.end()
            yield last


def _compare(before: _Built, after: _Built, average: int, total: int) -> None:
    sizes = PieceSizes(average // 4, average, average * 8)
    cipher = SealedPieces(new_data_key())
    sent: dict[str, int] = {}

    def pack(built: _Built, previous: PieceIndex | None) -> PieceIndex:
        return pack_files(
            built.files,
            kind="shard",
            name="all",
            content=built.folder.name,
            epoch=1,
            cipher=cipher,
            store_pack=lambda name, data: sent.update({name: len(data)}),
            previous=previous,
            sizes=sizes,
        )

    first = pack(before, None)
    whole = sum(sent.values())
    sent.clear()
    second = pack(after, first)
    packs, index = sum(sent.values()), len(second.model_dump_json())
    held = {piece.id for file in first.files.values() for piece in file.pieces}
    by_file: dict[str, int] = {}
    for name, file in second.files.items():
        by_file[name] = sum(piece.size for piece in file.pieces if piece.id not in held)
    largest = sorted(by_file.items(), key=lambda item: -item[1])[:4]
    print(
        f"  pieces of {average >> 10:3d} KiB: {(packs + index) / total:6.1%} moves, {(packs + index) / whole:6.1%} of "
        f"the {whole / 2**20:.1f} MiB of a first transfer (packs {packs / 2**20:.2f} MiB, "
        f"index {index / 2**20:.2f} MiB); most in "
        + ", ".join(f"{name} {size / 2**20:.2f} of {second.files[name].size / 2**20:.1f}" for name, size in largest)
    )


if __name__ == "__main__":
    typer.run(measure)
