"""Files that appear whole or not at all, and stay after a loss of power."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

TEMPORARY = ".writing-"


def write_durably(path: Path, data: bytes) -> None:
    """Replaces `path`: written beside it, flushed to the disk, renamed, and the rename flushed too."""
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Removes what a writer that was killed has left in a folder."""
    for path in folder.glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)
