"""Where the files of a shard are: a folder, or files that have no folder (a gateway's are in memory only)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class ShardFiles(Protocol):
    """Read access to the files of a shard by their name in the manifest. `str()` of it appears in messages."""

    def path(self, name: str) -> Path:
        """A path that opens the file."""
        ...

    def size(self, name: str) -> int:
        """Bytes of the file; raises OSError where it is not there."""
        ...


class FolderFiles:
    """The files of a shard in its folder. A symbolic link in the place of a file has another size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def path(self, name: str) -> Path:
        return self.folder / name

    def size(self, name: str) -> int:
        return os.lstat(self.folder / name).st_size


def shard_files(where: Path | ShardFiles) -> ShardFiles:
    return FolderFiles(where) if isinstance(where, Path) else where
