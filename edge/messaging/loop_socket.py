"""The socket of a paho client on an asyncio event loop: read when something has come, written when paho has something.

paho opens and closes the socket and says when it wants to write; this is the other side of its interface for external
loops.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from paho.mqtt.client import Client


class LoopSocket:
    """Of one client, over all of its connections. Used on the event loop; connecting may go on in another thread.

    `lost` is set where the connection is given up: nothing is read from it then. `failed` gets what paho raises while
    it reads or writes.
    """

    def __init__(self, client: Client, lost: asyncio.Event, failed: Callable[[Exception], None]) -> None:
        self._client, self._lost, self._failed = client, lost, failed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._paused = False
        self.opened: Any = None
        """The socket, TLS or not; None while there is none."""
        client.on_socket_open = self._socket_opened
        client.on_socket_close = self._socket_closed
        client.on_socket_register_write = self._wants_to_write
        client.on_socket_unregister_write = self._wrote_all

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Uses the loop from now on; before the client connects."""
        self._loop = loop

    def pause(self) -> None:
        """Stops reading, also from sockets that are opened meanwhile."""
        if not self._paused and self.opened is not None and self._loop is not None:
            self._loop.remove_reader(self.opened)
        self._paused = True

    def resume(self) -> None:
        if self._paused and self.opened is not None and self._loop is not None:
            self._loop.add_reader(self.opened, self._read, self.opened)
            self._loop.call_soon(self._read, self.opened)  # what TLS has decrypted already wakes no selector
        self._paused = False

    def close(self) -> None:
        """Closes the socket that a given up connection left open."""
        left = self._client.socket()
        if left is None:
            return
        self._socket_closed(self._client, None, left)
        left.close()

    # paho calls these while `_read` or `_write` runs, while its pings are sent, or from the thread that connects.

    def _socket_opened(self, client: Client, userdata: Any, opened: Any) -> None:
        # Or a packet of a handshake waits for the other side's delayed acknowledgement of the one before: 40 ms.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_loop(self._open, opened)

    def _open(self, opened: Any) -> None:
        self.opened = opened
        if self._loop is not None and not self._paused:
            self._loop.add_reader(opened, self._read, opened)

    def _socket_closed(self, client: Client, userdata: Any, closed: Any) -> None:
        descriptor = closed.fileno()
        if descriptor >= 0 and self._loop is not None and closed is self.opened:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
            self.opened = None

    def _wants_to_write(self, client: Client, userdata: Any, opened: Any) -> None:
        self._on_loop(self._add_writer, opened)

    def _add_writer(self, opened: Any) -> None:
        if self._loop is not None and opened.fileno() >= 0:
            self._loop.add_writer(opened, self._write)

    def _wrote_all(self, client: Client, userdata: Any, opened: Any) -> None:
        if self._loop is not None and opened.fileno() >= 0:
            self._loop.remove_writer(opened)

    def _on_loop(self, call: Callable[[Any], None], argument: Any) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(call, argument)

    def _read(self, opened: Any) -> None:
        more = opened is self.opened and not self._lost.is_set()
        while more:
            with self._errors_told():
                self._client.loop_read()
            # TLS may hold decrypted bytes that no selector tells of.
            more = (
                opened is self.opened
                and not self._lost.is_set()
                and not self._paused
                and isinstance(opened, ssl.SSLSocket)
                and bool(opened.pending())
            )

    def _write(self) -> None:
        with self._errors_told():
            self._client.loop_write()

    @contextlib.contextmanager
    def _errors_told(self) -> Iterator[None]:
        """paho raises whatever a malformed packet makes its parser raise; the event loop would only log it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - paho promises nothing
            self._failed(error)
