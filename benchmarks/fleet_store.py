"""A file server over a bad link, for simulated gateways: `python -m benchmarks.fleet_store FOLDER`, prints its port.

Real sockets and HTTP/1.1 with kept connections. Every reply waits for `latency` and comes at `bandwidth`, a connection
at a time; of `loss` of the replies only a random part comes, and then the connection breaks: what a gateway sees of a
link that is lost in the middle of a transfer (loss of single packets TCP hides, at the price of bandwidth).
`GET /_counts` gives requests, bytes and broken replies since the last time, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote


@dataclass
class Counts:
    """What the store has served."""

    requests: int = 0
    bytes: int = 0
    broken: int = 0
    missing: int = 0
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """One gateway's link. `loss`: share of replies that break."""

    latency_ms: float
    bytes_per_s: float
    loss: float


class FileServer:
    """Serves what lies below a folder."""

    def __init__(self, folder: Path, link: Link, seed: int) -> None:
        self._folder = folder
        self._link = link
        self._random = random.Random(seed)
        self.counts = Counts()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        self.counts.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = unquote(head.split(b" ", 2)[1].decode("latin-1")).lstrip("/")
                if path == "_counts":
                    self._reply(writer, 200, json.dumps(asdict(self.counts)).encode())
                    self.counts = Counts()
                elif not await self._give(path, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, IndexError):
            return
        finally:
            writer.close()

    async def _give(self, path: str, writer: asyncio.StreamWriter) -> bool:
        self.counts.requests += 1
        await asyncio.sleep(self._link.latency_ms / 1_000 * self._random.uniform(0.5, 1.5))
        try:
            data = (self._folder / path).read_bytes()
        except OSError:
            self.counts.missing += 1
            self._reply(writer, 404, b"")
            return True
        broken = self._random.random() < self._link.loss
        sent = data[: self._random.randrange(len(data))] if broken and data else data
        await asyncio.sleep(len(sent) / self._link.bytes_per_s)
        self._reply(writer, 200, sent, len(data))
        await writer.drain()
        self.counts.bytes += len(sent)
        if broken:
            self.counts.broken += 1
            await asyncio.sleep(0)
            writer.close()
        return not broken

    @staticmethod
    def _reply(writer: asyncio.StreamWriter, status: int, data: bytes, length: int | None = None) -> None:
        reason = "OK" if status == 200 else "Not Found"
        size = len(data) if length is None else length
        writer.write(f"HTTP/1.1 {status} {reason}\r\ncontent-length: {size}\r\n\r\n".encode() + data)


async def run(folder: Path, link: Link, seed: int) -> None:
    """Serves until killed."""
    server = FileServer(folder, link, seed)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4_096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--bytes-per-s", type=float, default=1e9)
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(run(given.folder, Link(given.latency_ms, given.bytes_per_s, given.loss), given.seed))


if __name__ == "__main__":
    main()
