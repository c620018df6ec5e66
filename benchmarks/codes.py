"""Codes find their place: every code that a corpus defines is asked for, and the first passage must define it.

    python -m benchmarks.codes --store .lineside/store         alarm codes in the tables of a release
    python -m benchmarks.codes --gcodes ../shared/data/marlin  codes in the front matter of Markdown pages

`--gcodes` indexes the folder first, with the settings of production, into `$LINESIDE_HOME/bench/codes`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from index_builder.build import build_release
from index_builder.settings import ModelSettings
from lineside.encoders import Runtime, load_text_encoder
from lineside.local import lineside_home
from lineside.releases import Catalogue
from lineside.schema import Evidence
from lineside.search import ReleaseIndex, SearchQuery

_DEFINED = re.compile(r"\bCode: ([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+);")
_FRONT_MATTER = re.compile(r"^codes:\s*\[(.*?)\]", re.MULTILINE)
_QUESTIONS = ("What does {} do?", "What does {} mean?", "{} on the panel, what should I do?")

Defines = Callable[[Evidence], bool]


def defined_in_tables(index: ReleaseIndex) -> dict[str, Defines]:
    """Codes of the release's tables; a passage defines one where it holds the code's row."""
    codes = {
        code
        for shard in index.shards
        for text in shard.rows.column("text").to_pylist()
        for code in _DEFINED.findall(text or "")
    }
    return {code: lambda found, row=f"Code: {code};": row in found.text for code in sorted(codes)}  # type: ignore[misc]


def defined_in_front_matter(folder: Path) -> dict[str, Defines]:
    """Codes of Markdown pages; a passage defines one where it is of a page that names it."""
    pages: dict[str, set[str]] = {}
    for page in sorted(folder.rglob("*.md")):
        named = _FRONT_MATTER.search(page.read_text(encoding="utf-8"))
        for code in named[1].split(",") if named else ():
            if code.strip(" '\""):
                pages.setdefault(code.strip(" '\""), set()).add(page.relative_to(folder).as_posix())
    return {code: lambda found, own=own: found.source in own for code, own in pages.items()}  # type: ignore[misc]


def ask(index: ReleaseIndex, defines: Mapping[str, Defines], models: Path) -> bool:
    """Prints how often the first passage defines the code, for every way of asking; whether it was 99 % of each."""
    encoder = load_text_encoder(models / "minilm", runtime=Runtime(threads=2))
    reached = True
    for question in _QUESTIONS:
        texts = [question.format(code) for code in defines]
        vectors = encoder.encode(texts)
        queries = [
            SearchQuery(text=t, text_vector=v, k=3, for_answer=False) for t, v in zip(texts, vectors, strict=True)
        ]
        missed = [
            code
            for code, result in zip(defines, index.search_batch(queries), strict=True)
            if not defines[code](result.evidence[0])
        ]
        share = 1 - len(missed) / len(defines)
        reached &= share >= 0.99
        print(f"{share:7.1%} ({len(defines) - len(missed)}/{len(defines)})  {question.format('CODE')}  ", end="")
        print(f"missed: {', '.join(missed[:8])}{' ...' if len(missed) > 8 else ''}" if missed else "")
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--store", type=Path, help="folder of a catalogue")
    chosen.add_argument("--gcodes", type=Path, help="folder of Markdown pages with codes in their front matter")
    options = parser.parse_args()
    models = lineside_home() / "models"
    store = options.store or lineside_home() / "bench" / "codes"
    catalogue = Catalogue(store)
    if options.gcodes:
        build_release(options.gcodes, catalogue, ModelSettings(folder=models / "minilm"), None, progress=print)
    release = catalogue.current()
    index = ReleaseIndex.open(catalogue.paths(release), release.number)
    defines = defined_in_front_matter(options.gcodes) if options.gcodes else defined_in_tables(index)
    if not defines:
        print(f"no codes are defined in {options.gcodes or options.store}", file=sys.stderr)
        return 2
    return 0 if ask(index, defines, models) else 1


if __name__ == "__main__":
    sys.exit(main())
