"""Which questions have been answered: a bounded record on the disk, so that none is answered twice.

Two entries for each question, both flushed to the disk: `sending` before its answer is published, `sent` after the
broker has confirmed it. A question that is redelivered is

- new: answered;
- `sent`: acknowledged, nothing else;
- `sending`, left by a process that ended in between: whether its answer reached the broker cannot be known. It is not
  answered again; its sender is told `interrupted` and may ask again.

So an answer is published at most once, and a question never remains without a reply.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar, TypeVarTuple

import structlog

from edge.messaging.messages import Delivery
from lineside.errors import StoreUnavailable

State = Literal["sending", "sent"]
Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

_log = structlog.get_logger(__name__)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS questions (
    key BLOB PRIMARY KEY, named INTEGER NOT NULL, state TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class QuestionKey:
    """What a repetition of a question is recognised by.

    `named`: by correlation data, response topic and payload, so that a sender's repetition counts as well. Otherwise by
    packet id and payload, which only tells the broker's own redelivery, and only within one session.
    """

    digest: bytes
    named: bool

    @classmethod
    def of(cls, delivery: Delivery) -> QuestionKey | None:
        """None at QoS 0 without correlation data: nothing tells such a message from another."""
        payload = hashlib.sha256(delivery.payload).digest()
        if delivery.correlation:
            topic = (delivery.response_topic or "").encode()
            parts = (b"correlation", len(topic).to_bytes(4), topic, delivery.correlation, payload)
            return cls(hashlib.sha256(b"".join(parts)).digest(), True)
        if delivery.qos:
            return cls(hashlib.sha256(b"packet" + delivery.mid.to_bytes(2) + payload).digest(), False)
        return None


class AnsweredRecord:
    """SQLite beside a copy in memory; the disk is written in a thread of its own.

    `capacity`: entries kept, the oldest leave first. `repeat_s`: how long a message that the broker does not call a
    redelivery still counts as a repetition, if it is named.
    """

    def __init__(self, path: Path, *, capacity: int, repeat_s: float) -> None:
        self._path = path
        self._capacity = capacity
        self._repeat_s = repeat_s
        self._entries: OrderedDict[bytes, tuple[State, float]] = OrderedDict()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="lineside-answered")
        self._database: sqlite3.Connection | None = None
        self.damaged = False
        """Whether the record could not be read at the start and was begun anew."""

    def __len__(self) -> int:
        return len(self._entries)

    async def open(self) -> None:
        """Reads what a former process has left. A damaged record is put aside and said so: answering goes on.

        Raises:
            StoreUnavailable: the folder cannot be written to.
        """
        await self._in_writer(self._open)

    async def close(self) -> None:
        await self._in_writer(self._close)
        self._writer.shutdown(wait=False)

    def find(self, key: QuestionKey, *, redelivered: bool) -> State | None:
        """What was done about the question already; None for a new one."""
        found = self._entries.get(key.digest)
        if found is None:
            return None
        state, at = found
        return state if redelivered or (key.named and abs(time.time() - at) <= self._repeat_s) else None

    async def note(self, key: QuestionKey, state: State) -> None:
        """Returns when it would survive a loss of power.

        Raises:
            StoreUnavailable: the disk does not take it.
        """
        at = time.time()
        self._entries[key.digest] = (state, at)
        self._entries.move_to_end(key.digest)
        evicted = []
        while len(self._entries) > self._capacity:
            evicted.append(self._entries.popitem(last=False)[0])
        await self._in_writer(self._write, key, state, at, evicted)

    async def forget_unnamed(self) -> None:
        """The broker has begun a new session: its packet ids begin anew and mean other messages."""
        for digest in await self._in_writer(self._delete_unnamed):
            self._entries.pop(digest, None)

    async def _in_writer(self, call: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, call, *arguments)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path} cannot be used: {error}; look at the disk") from error

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._load()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = self._path.with_suffix(".damaged")
            _log.error(
                "record of answered questions is damaged", path=str(self._path), kept=str(aside), reason=str(error)
            )
            self._close()
            self._path.replace(aside)
            for name in ("-wal", "-shm"):
                Path(f"{self._path}{name}").unlink(missing_ok=True)
            self.damaged = True
            self._load()

    def _load(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._database = database
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # every commit is flushed
        database.executescript(_SCHEMA)
        rows = database.execute("SELECT key, state, at FROM questions ORDER BY at DESC").fetchall()
        database.executemany("DELETE FROM questions WHERE key = ?", [(key,) for key, _, _ in rows[self._capacity :]])
        self._entries = OrderedDict((key, (state, at)) for key, state, at in reversed(rows[: self._capacity]))

    def _write(self, key: QuestionKey, state: State, at: float, evicted: list[bytes]) -> None:
        assert self._database is not None
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.execute(
                "INSERT OR REPLACE INTO questions VALUES (?, ?, ?, ?)", (key.digest, int(key.named), state, at)
            )
            self._database.executemany("DELETE FROM questions WHERE key = ?", [(digest,) for digest in evicted])
            self._database.execute("COMMIT")
        except sqlite3.Error:
            self._database.execute("ROLLBACK")
            raise

    def _delete_unnamed(self) -> list[bytes]:
        assert self._database is not None
        gone = self._database.execute("DELETE FROM questions WHERE named = 0 RETURNING key").fetchall()
        return [key for (key,) in gone]

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
