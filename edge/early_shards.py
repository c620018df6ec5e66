"""Decrypts the shards that a gateway holds in a process of its own, while the gateway still loads its libraries.

A hundred thousand pieces are opened by Python, one thread of it at a time; two processes use two cores. The other one
verifies as the gateway itself would (`HeldReleases.decrypt`) and hands over sealed memory files through a socket that
only the two have (SCM_RIGHTS, unix(7)); it is told the gateway's key the same way. What it could not open is opened by
the gateway, which then says what is wrong.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.sync.memory import MemoryFiles

# Starts like this process, whatever its way of finding modules; `-P` keeps the folder that it stands in out of that.
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from edge.early_shards import main; main(int(sys.argv[1]))"
_MESSAGE_BYTES_MAX = 64 << 10
_FILES_MAX = 250  # descriptors that one message may carry (SCM_MAX_FD is 253)
_SILENCE_S = 60.0
_END_S = 5.0  # from its last word to its end


class EarlyShards:
    """The other process, from its start to `close`. `begin` and `take` belong to one thread at a time."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_SILENCE_S)
        self._arrived: dict[str, MemoryFiles] = {}
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-P", "-c", _PROGRAM, str(number), *sys.path]
            self._process = subprocess.Popen(command, pass_fds=[number], stdin=subprocess.DEVNULL)

    def __enter__(self) -> EarlyShards:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def begin(self, state: Path, gateway: str, secret: bytes, *, max_shard_bytes: int) -> None:
        """Says what to open: the current release in a gateway's state folder, with the gateway's key."""
        request = {"state": str(state), "gateway": gateway, "secret": secret.hex(), "max_bytes": max_shard_bytes}
        with contextlib.suppress(OSError):  # it has ended: nothing comes early
            self._socket.send(json.dumps(request).encode())

    def take(self, shard_id: str) -> MemoryFiles | None:
        """The verified files of a shard, the caller's to close; waits for them. None where they do not come early."""
        while shard_id not in self._arrived:
            if not self._receive():
                self._say_what_went_wrong(shard_id)
                return None
        return self._arrived.pop(shard_id)

    def close(self) -> None:
        """Ends the process, and lets go of what nobody took."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        while self._arrived:
            self._arrived.popitem()[1].close()

    def _say_what_went_wrong(self, shard_id: str) -> None:
        """Nothing did where it has ended well: then it had no such shard to open."""
        import structlog  # here: what is loaded above delays the start of the other process

        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_END_S)
        if code != 0:
            structlog.get_logger().warning("shard_not_opened_early", shard=shard_id, exit_status=code)

    def _receive(self) -> bool:
        from edge.sync.memory import MemoryFiles

        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._socket, _MESSAGE_BYTES_MAX, _FILES_MAX, socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            return False
        if not data:
            return False
        said = json.loads(data)
        files = self._arrived[said["shard"]] = MemoryFiles(said["label"])
        for name, descriptor in zip(said["names"], descriptors, strict=True):
            files.adopt(name, descriptor)
        return True


def main(number: int) -> None:
    """The other process: loads what it needs, waits for `begin`, sends every shard as soon as it is decrypted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the gateway ends it
    from edge.pieces import GatewayIdentity
    from edge.sync.packs import PackStore
    from edge.sync.releases import HeldReleases
    from edge.sync.state import StateFile
    from lineside.errors import LinesideError

    with socket.socket(fileno=number) as gateway:
        if not (request := gateway.recv(_MESSAGE_BYTES_MAX)):
            return
        said = json.loads(request)
        folder = Path(said["state"])
        identity = GatewayIdentity(said["gateway"], bytes.fromhex(said["secret"]))
        try:
            state = StateFile(folder, identity.gateway, identity.state_key)
            held = HeldReleases(state, PackStore(folder / "packs"), folder / "models", identity)
            current = state.load().current
            if current is None:
                return
            for family, shard in held.shard_ids(current).items():
                with held.decrypt(current, family, max_bytes=said["max_bytes"]) as files:
                    _send(gateway, shard, files)
        except (LinesideError, OSError):
            sys.exit(1)  # the gateway comes to the same point and says why; or it has ended


def _send(gateway: socket.socket, shard: str, files: MemoryFiles) -> None:
    names, descriptors = zip(*files.descriptors.items(), strict=True)
    message = json.dumps({"shard": shard, "label": files.label, "names": names}).encode()
    if len(names) <= _FILES_MAX and len(message) <= _MESSAGE_BYTES_MAX:
        socket.send_fds(gateway, [message], descriptors)
