"""Removes what a committed release made superfluous: nothing before the commit, and nothing while another run works."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from index_builder.planning import Row
from index_builder.work import WorkArea
from lineside.releases import Catalogue
from lineside.runs import active_run, delete_old_runs

_SEGMENTS = 24
_MERGED_BYTES = 64 * 2**20


def tidy(work: WorkArea, catalogue: Catalogue, run_id: str, rows: Sequence[Row], keys: Sequence[str]) -> None:
    """After publishing: few segments instead of many, and no rows, vectors, images and notes that nothing uses.

    Skipped while another run is active: it may be about to use what seems superfluous here.
    """
    if active_run(work.store, besides=run_id) is not None:
        return
    _merge_parsed(work, rows)
    # Another source of the same store may use any vector.
    alone = not work.other_sources()
    for name, space in work.spaces.items():
        used = [key for row in rows for key in row.keys(name)] if alone else None
        space.merge(used, files=_SEGMENTS)
    work.drop_staged(work.images.names())
    shards = {entry.id for number in catalogue.numbers() for entry in catalogue.get(number).shards}
    work.forget_shards(set(keys), shards)
    delete_old_runs(work.store)


def _merge_parsed(work: WorkArea, rows: Sequence[Row]) -> None:
    """When there are many segments, or half of their rows are of files that changed or are gone."""
    live: dict[str, list[int]] = {}
    for row in rows:
        live.setdefault(row.segment, []).append(row.place)
    tables = work.parsed.tables(work.parsed.names())
    total = sum(map(len, tables.values()))
    if len(tables) <= _SEGMENTS and 2 * len(rows) >= total:
        return
    written: set[str] = set()
    pending: list[pa.Table] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if pending:
            written.add(work.parsed.write(pa.concat_tables(pending)))
        pending.clear()
        size = 0

    for name, places in live.items():
        if name not in tables:
            continue
        part = tables[name].take(pa.array(sorted(places)))
        pending.append(part)
        size += part.nbytes
        if size >= _MERGED_BYTES:
            flush()
    flush()
    work.parsed.delete([name for name in tables if name not in written])
