"""A keep-alive HTTP/1.1 connection that notes when things arrive and costs little more than the parser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, cast

import httptools

from benchmarks.target import Target

TIMEOUT: Final = "timeout"
CONNECTION: Final = "connection"
STREAM: Final = "stream"


@dataclass(slots=True)
class Reply:
    """What came back. Times are of `perf_counter`, in seconds: uvloop's own clock has whole milliseconds.

    `outcome`: the status code as text; `timeout`; `connection` when it broke before the reply's end; `stream` when an
    event stream ended with `error` or without `answer`. `events`: first arrival of each server-sent event by name.
    """

    outcome: str = CONNECTION
    finished: float = 0.0
    events: dict[str, float] = field(default_factory=dict)
    body: bytes = b""


class Connection(asyncio.Protocol):
    """One request at a time over one connection; `usable` tells whether another one may follow."""

    def __init__(self, *, keep_body: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._keep_body = keep_body
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reply = Reply()
        self._is_stream = False
        self._line = b""
        self._parser = httptools.HttpResponseParser(self)

    @classmethod
    async def open(cls, target: Target, *, keep_body: bool = False) -> Connection:
        """Raises: OSError when nobody listens."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(lambda: cls(keep_body=keep_body), target.address, target.port)
        return protocol

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, timeout_s: float) -> asyncio.Future[Reply]:
        """Write the request; the future always gets a reply, never an exception."""
        self._reply = Reply()
        self._is_stream = False
        self._line = b""
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiter = waiter
        if self._transport is None or self._transport.is_closing():
            self._finish(CONNECTION)
        else:
            self._deadline = self._loop.call_later(timeout_s, self._expire)
            self._transport.write(request)
        return waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _expire(self) -> None:
        self._finish(TIMEOUT)
        self.close()

    def _finish(self, outcome: str) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            self._reply.outcome = outcome
            self._reply.finished = perf_counter()
            waiter.set_result(self._reply)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish(CONNECTION)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._finish(CONNECTION)
            self.close()

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._is_stream = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type" and value.startswith(b"text/event-stream"):
            self._is_stream = True

    def on_body(self, data: bytes) -> None:
        if self._keep_body:
            self._reply.body += data
        if not self._is_stream:
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"event:"):
                self._reply.events.setdefault(line[6:].strip().decode(), perf_counter())

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        keep = self._parser.should_keep_alive()
        broken = self._is_stream and ("error" in self._reply.events or "answer" not in self._reply.events)
        self._finish(STREAM if broken and status < 300 else str(status))
        if not keep:
            self.close()
        self._parser = httptools.HttpResponseParser(self)
