"""Arrow IPC files of a shard: written with the same bytes each time, read by memory map."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from lineside.errors import ShardError


def write_table(table: pa.Table, path: Path) -> None:
    """Writes one record batch, uncompressed, so that reading maps memory instead of copying."""
    path.parent.mkdir(parents=True, exist_ok=True)
    batches = table.combine_chunks().to_batches(max_chunksize=None)
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Maps a table.

    Raises:
        ShardError: the file is no Arrow file, or not of the expected schema.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise ShardError(f"{path} cannot be read: {error}") from error
    if not table.schema.equals(schema):
        raise ShardError(f"{path} has an unexpected schema")
    return table
