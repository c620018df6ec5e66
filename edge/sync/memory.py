"""Files that exist in memory only: anonymous, sealed, readable by path within this process.

A shard's readers map files by path, and plain text must not reach a disk. `memfd_create` (Linux 3.17) gives a file
without a name in any file system, whose pages belong to its descriptors and mappings: it is gone with the process,
however that ends, and `/proc/self/fd/N` opens it for FAISS, Arrow and NumPy. tmpfs would be memory as well, but its
files have names that other processes of the user can open and that outlive a crash. Once written a file is sealed, so
that nothing in the process can change what was verified. Where there is no memfd_create (macOS, Windows) a gateway
does not start: there is no second, weaker way. Swap is the operator's: a gateway has none, or an encrypted one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lineside.errors import ConfigurationError, IntegrityError

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_GATHERED_BYTES = 1 << 20  # pieces are 4 KiB: a system call and a digest's update for each took a second a release


class MemoryFiles:
    """The files of a shard by name, in memory. What has been mapped stays valid after `close`."""

    def __init__(self, label: str) -> None:
        if not hasattr(os, "memfd_create"):
            raise ConfigurationError("a gateway needs Linux: knowledge is decrypted into memfd_create's files only")
        self.label = label
        self._descriptors: dict[str, int] = {}

    def __str__(self) -> str:
        return self.label

    def __enter__(self) -> MemoryFiles:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def write(self, name: str, parts: Iterable[bytes], *, size: int, sha256: str) -> None:
        """Adds a file that must have this size and SHA-256 (hex).

        Raises:
            IntegrityError: it has not; nothing is added then.
        """
        descriptor = os.memfd_create(f"lineside:{name}"[:240], os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            digest, written = hashlib.sha256(), 0
            for part in _gathered(parts):
                written += len(part)
                if written > size:
                    break
                digest.update(part)
                view = memoryview(part)
                while view:
                    view = view[os.write(descriptor, view) :]
            if written != size or digest.hexdigest() != sha256:
                raise IntegrityError(f"{name} of {self.label} is not the file that was published")
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptors[name] = descriptor

    @property
    def descriptors(self) -> dict[str, int]:
        """By name, for a process that is given them; they stay this object's."""
        return dict(self._descriptors)

    def adopt(self, name: str, descriptor: int) -> None:
        """Adds a file that another process of this gateway has written and verified; closes it with the others.

        Raises:
            IntegrityError: it is not sealed, so that it could still be changed.
        """
        self._descriptors[name] = descriptor
        try:
            seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        except OSError:
            seals = 0
        if seals & _SEALS != _SEALS:
            raise IntegrityError(f"{name} of {self.label} is not sealed")

    def path(self, name: str) -> Path:
        """Where this process can open the file, as long as this object is not closed."""
        try:
            return Path(f"/proc/self/fd/{self._descriptors[name]}")
        except KeyError:
            raise IntegrityError(f"{self.label} has no file {name}") from None

    def size(self, name: str) -> int:
        return os.stat(self.path(name)).st_size

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def close(self) -> None:
        """Closes the descriptors; the memory goes when nothing maps it any more."""
        for descriptor in self._descriptors.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors.clear()


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer parts."""
    waiting = bytearray()
    for part in parts:
        waiting += part
        if len(waiting) >= _GATHERED_BYTES:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)
