"""What a gateway has to fetch when a part of the passages changed: `python -m benchmarks.transfer FOLDER`.

Builds a real release of FOLDER (as one family), changes sentences in its Markdown or AsciiDoc files until the wanted
share of passages differs, builds again and packs both: once with the changes in as few documents as possible, as when
a manual is revised, once scattered over all documents, which is the worst case.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer
from numpy.typing import NDArray

from demo.prepare_models import lineside_home
from edge.pieces import PieceIndex, PieceSizes, SealedPieces, new_data_key, pack_files
from index_builder.embed import embed
from index_builder.read import Knowledge, read_knowledge
from lineside.encoders import Runtime, TextEncoder, load_text_encoder
from lineside.shards import write_shard

_PASSAGE_TOKENS = 160
_SENTENCE = re.compile(r"^[A-Z][^|`<>{}\n]{60,}[.]$", re.MULTILINE)
_ADDED = " Check this again after every change of tool Q{number}."  # each with a word that was not there before


class _Remembering:
    """Encodes a text once: as the incremental index job, which keeps the vectors of unchanged passages."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self.dimension = encoder.dimension
        self.known: dict[str, NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        self.known.update(zip(new, self.encoder.encode(new), strict=True))
        return np.stack([self.known[text] for text in texts])


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
    averages: Annotated[str, typer.Option(help="average piece sizes in KiB")] = "2,4,8,16,64",
) -> None:
    """Prints, for both kinds of change and several piece sizes, the share of the shard's bytes that has to move."""
    encoder = _Remembering(load_text_encoder(lineside_home() / "models" / "minilm", runtime=Runtime(threads=1)))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        before = _build(source, root / "before", encoder)
        total = sum(path.stat().st_size for path in before.files.values())
        print(f"{source.name}: {len(before.passages)} passages, {total / 2**20:.1f} MiB in {len(before.files)} files")
        for kind in ("documents", "scattered"):
            changed = root / kind
            shutil.copytree(source, changed / "source")
            wanted = round(share * len(before.passages))
            edited = _edit(changed / "source", wanted, scattered=kind == "scattered")
            after = _build(changed / "source", changed, encoder)
            differ = len(set(after.passages) - set(before.passages))
            print(f"\n{kind}: {edited} files edited, {differ} passages differ ({differ / len(before.passages):.2%})")
            for average in (int(size) << 10 for size in averages.split(",")):
                _compare(before, after, average, total)


def _build(source: Path, root: Path, encoder: _Remembering) -> _Built:
    everything = {"**/*": "all", "*": "all"}
    count = encoder.encoder.count_tokens
    knowledge: Knowledge = read_knowledge(
        source, count_tokens=count, max_tokens=_PASSAGE_TOKENS, family_rules=everything
    )
    figures = [figure for document in knowledge.documents for figure in document.figures]
    shard = write_shard(
        root / "shards",
        family="all",
        documents=knowledge.documents,
        passages=knowledge.passages,
        figures=figures,
        frames=knowledge.frames,
        vectors=embed(knowledge.passages, figures, knowledge.frames, cast(TextEncoder, encoder), None),
        fingerprints={"text": encoder.encoder.fingerprint},
    )
    return _Built(shard.path, [passage.text for passage in knowledge.passages])


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
