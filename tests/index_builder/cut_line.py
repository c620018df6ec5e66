"""A line to an HTTP server that can be cut, or hold a request back: a TCP relay on a free port of the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading

_REQUEST_LINE_BYTES = 2_048  # kept of what was sent, for a request line that came in two parts


class CutLine:
    """Relays connections to `host:port` until it is cut; then every connection is dropped, until it is mended.

    `hold(pattern)` stops the first request whose first line matches before the server sees it; `held` is set then, so
    that a client can be caught at exactly that moment, however fast the machine is. `drop_held` throws it away.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._cut = False
        self._pattern: re.Pattern[bytes] | None = None
        self.held = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def cut(self) -> None:
        self._cut = True
        self._loop.call_soon_threadsafe(self._drop)

    def mend(self) -> None:
        self._cut = False

    def hold(self, pattern: str) -> None:
        self.held.clear()
        self._pattern = re.compile(pattern.encode())

    def drop_held(self) -> None:
        self._pattern = None
        self._loop.call_soon_threadsafe(self._drop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, there_writer}
        try:
            await asyncio.gather(self._pump_requests(reader, there_writer), _pump(there_reader, writer))
        finally:
            self._writers -= {writer, there_writer}

    async def _pump_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                seen = seen[-_REQUEST_LINE_BYTES:] + data
                if self._pattern is not None and self._pattern.search(seen):
                    self.held.set()
                    await reader.read(-1)  # nothing more goes through; ends with the connection
                    return
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        writer.close()
