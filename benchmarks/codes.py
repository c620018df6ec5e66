"""Codes find their place: every code that a corpus defines is asked for, and the first passage must define it.

    python -m benchmarks.codes --store .lineside/store             codes in tables and headings of a release
    python -m benchmarks.codes --folder ../shared/data/linuxcnc    the same of a folder of documents
    python -m benchmarks.codes --gcodes ../shared/data/marlin      codes in the front matter of Markdown pages

A table defines codes where its first column is headed as codes, alarms, errors or faults are; a heading defines those
that it begins with. Folders are indexed first, with the settings of production, into `$LINESIDE_HOME/bench/codes-NAME`,
unless they are there already.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from index_builder.build import build_release
from index_builder.settings import ModelSettings
from lineside.encoders import Runtime, load_text_encoder
from lineside.errors import NotFound
from lineside.local import lineside_home
from lineside.releases import Catalogue
from lineside.schema import Evidence
from lineside.search import ReleaseIndex, SearchQuery

# A line of a table as `ingest.builder.row_line` writes it: the first column's name, what stands there, the rest.
_ROW = re.compile(
    r"^((?:[\w/-]+ )?(?:code|alarm|error|fault|warning)(?: (?:code|no\.?|number|id))?): ([^;]{1,24});", re.I
)
_CODE = re.compile(r"(?=[\w./-]*\d)[A-Za-z0-9]+(?:[-./][A-Za-z0-9]+)*")
_RANGE = re.compile(r"([A-Za-z]+)\d[\d.]*-\1\d")
_FRONT_MATTER = re.compile(r"^codes:\s*\[(.*?)\]", re.MULTILINE)
# "G92 Coordinate System Offset", "M3, M4, M5 Spindle Control", "M98 and M99", "G17 - G19.1 Plane Select".
_HEADED = re.compile(
    r"([A-Z]{1,4})-?\d++(?:\.\d++)*+(?![\w.]\w)"
    r"(?:(?:\s*[,/-]\s*|\s+(?:and|or|to)\s+|\s+)\1-?\d++(?:\.\d++)*+(?![\w.]\w))*"
)
_HEADED_CODE = re.compile(r"[A-Z]{1,4}-?\d+(?:\.\d+)*")
_QUESTIONS = ("What does {} do?", "What does {} mean?", "{} on the panel, what should I do?")

Defines = Callable[[Evidence], bool]


def rows_of_codes(text: str) -> Iterator[tuple[str, str]]:
    """(code, the row's beginning) for each code of each row of a table of codes.

    A range of codes is none, and neither is the argument of another: "G10 L1" defines G10 alone.
    """
    for line in text.splitlines():
        found = _ROW.match(line.strip())
        codes = re.split(r"[,\s]+", found[2].strip()) if found else []
        if found and all(_CODE.fullmatch(code) and not _RANGE.match(code) for code in codes):
            series = codes[0].rstrip("0123456789.")
            yield from ((code, found[0]) for code in codes if code.rstrip("0123456789.") == series)


def codes_of_heading(heading: str) -> list[str]:
    """The codes that a heading begins with."""
    found = _HEADED.match(heading)
    return _HEADED_CODE.findall(found[0]) if found else []


def defined_in_release(index: ReleaseIndex) -> dict[str, Defines]:
    """Codes of the release's tables and headings.

    A passage defines one where it holds a row of the code, or where a heading above it begins with the code.
    """
    rows: dict[str, set[str]] = {}
    for shard in index.shards:
        for text in shard.rows.column("text").to_pylist():
            for code, row in rows_of_codes(text or ""):
                rows.setdefault(code, set()).add(row)
    for document_id in dict.fromkeys(document_id for _, document_id in index.passages()):
        for section in index.document(document_id).sections:
            for code in codes_of_heading(section.title):
                rows.setdefault(code, set())
    return {
        code: lambda found, code=code, own=own: (  # type: ignore[misc]
            any(row in found.text for row in own) or _is_headed(found, code)
        )
        for code, own in sorted(rows.items())
    }


def _is_headed(found: Evidence, code: str) -> bool:
    return any(code in codes_of_heading(heading) for heading in found.section_path)


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


def _indexed(folder: Path, models: Path, again: bool) -> Catalogue:
    """The folder's release, built unless it is there."""
    catalogue = Catalogue(lineside_home() / "bench" / f"codes-{folder.resolve().name}")
    try:
        catalogue.current()
        build = again
    except NotFound:
        build = True
    if build:
        build_release(folder, catalogue, ModelSettings(folder=models / "minilm"), None, progress=print)
    return catalogue


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--store", type=Path, help="folder of a catalogue")
    chosen.add_argument("--folder", type=Path, help="folder of documents with tables and headings of codes")
    chosen.add_argument("--gcodes", type=Path, help="folder of Markdown pages with codes in their front matter")
    parser.add_argument("--again", action="store_true", help="index the folder even if it was indexed before")
    options = parser.parse_args()
    models = lineside_home() / "models"
    folder = options.gcodes or options.folder
    catalogue = _indexed(folder, models, options.again) if folder else Catalogue(options.store)
    release = catalogue.current()
    index = ReleaseIndex.open(catalogue.paths(release), release.number)
    defines = defined_in_front_matter(options.gcodes) if options.gcodes else defined_in_release(index)
    if not defines:
        print(f"no codes are defined in {folder or options.store}", file=sys.stderr)
        return 2
    return 0 if ask(index, defines, models) else 1


if __name__ == "__main__":
    sys.exit(main())
