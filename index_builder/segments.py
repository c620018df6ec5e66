"""Arrow files in the store that are written once, named by the hash of their bytes, and read by memory map."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import structlog

from lineside.errors import IntegrityError, NotFound
from lineside.objects import ObjectStore

log = structlog.get_logger("lineside.reindex")

_SUFFIX = ".arrow"
_NAME_CHARS = 32
_PUT_BYTES = 8 * 2**20


class Segments:
    """Tables of one schema below a prefix of the store.

    A name is the beginning of the sha256 of the file's bytes: writing twice is writing once, and a file that was
    damaged on the way is never used. `scratch` keeps what was fetched; several processes may share it.
    """

    def __init__(self, store: ObjectStore, prefix: str, scratch: Path) -> None:
        self.prefix = prefix.rstrip("/") + "/"
        self._store = store
        self._scratch = scratch / self.prefix
        self._open: dict[str, pa.Table] = {}

    def names(self) -> list[str]:
        """Sorted names of what is in the store."""
        keys = (info.key.removeprefix(self.prefix) for info in self._store.list(self.prefix))
        return sorted(key.removesuffix(_SUFFIX) for key in keys if key.endswith(_SUFFIX) and "/" not in key)

    def write(self, table: pa.Table) -> str:
        """Stores a table; returns its name."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            for batch in table.combine_chunks().to_batches():
                writer.write_batch(batch)
        data = sink.getvalue().to_pybytes()
        name = hashlib.sha256(data).hexdigest()[:_NAME_CHARS]
        if len(data) <= _PUT_BYTES:
            self._store.put(self._key(name), data)
        else:
            self._upload(name, data)
        return name

    def table(self, name: str) -> pa.Table:
        """The table, mapped: columns that are not touched are not read.

        Raises:
            NotFound: it is not there (any more).
            IntegrityError: it is damaged.
        """
        if name not in self._open:
            self._open[name] = self._map(name)
        return self._open[name]

    def tables(self, names: Iterable[str]) -> dict[str, pa.Table]:
        """Those of the named tables that are still there: another run may have merged some into a new one.

        A damaged one is removed: all that stands in segments can be made again.
        """
        found = {}
        for name in names:
            try:
                found[name] = self.table(name)
            except NotFound:
                continue
            except IntegrityError as error:
                log.warning("segment_removed", segment=self._key(name), reason=str(error))
                self.delete([name])
        return found

    def delete(self, names: Iterable[str]) -> None:
        """From the store and from here."""
        for name in names:
            self._store.delete(self._key(name))
            self._open.pop(name, None)
            (self._scratch / f"{name}{_SUFFIX}").unlink(missing_ok=True)

    def forget_all_but(self, names: Sequence[str]) -> None:
        """Frees local copies of tables that are gone from the store."""
        kept = set(names)
        for file in self._scratch.glob(f"*{_SUFFIX}"):
            if file.stem not in kept:
                self._open.pop(file.stem, None)
                file.unlink(missing_ok=True)

    def _upload(self, name: str, data: bytes) -> None:
        """In parts, each with a time-out and retries of its own."""
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix=".writing-") as stream:
            stream.write(data)
            stream.flush()
            self._store.upload(self._key(name), Path(stream.name))

    def _map(self, name: str) -> pa.Table:
        file = self._scratch / f"{name}{_SUFFIX}"
        if not file.is_file():
            self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store.download(self._key(name), file)
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if not found.startswith(name):
            file.unlink(missing_ok=True)
            raise IntegrityError(f"{self._key(name)} in {self._store.url} is damaged: its name is not its hash")
        try:
            return pa.ipc.open_file(pa.memory_map(str(file))).read_all()
        except pa.ArrowInvalid as error:
            raise IntegrityError(f"{self._key(name)} in {self._store.url} is no Arrow file") from error

    def _key(self, name: str) -> str:
        return f"{self.prefix}{name}{_SUFFIX}"
