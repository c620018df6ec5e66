"""Content hashes: of a text, an image or a whole record, 16 bytes each; many of them as one column of bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import ingest
import lineside

SIZE = 16


def digest(*parts: str | bytes) -> bytes:
    """16 bytes over the parts and their borders."""
    found = hashlib.blake2b(digest_size=SIZE)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.digest()


def join(digests: Iterable[bytes]) -> bytes:
    """As one value."""
    return b"".join(digests)


def split(joined: bytes) -> list[bytes]:
    """What `join` joined."""
    return [joined[first : first + SIZE] for first in range(0, len(joined), SIZE)]


def code_fingerprint(files: Sequence[Path]) -> str:
    """16 hex digits over source files: what they make is made again when they change."""
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def parser_code() -> str:
    """Changes with the code that decides what a file is parsed to."""
    core = Path(lineside.__file__).parent
    files = [*Path(ingest.__file__).parent.glob("*.py"), core / "analysis.py", core / "documents.py"]
    return code_fingerprint([*files, core / "shards" / "rows.py", core / "shards" / "images.py"])


def shard_code() -> str:
    """Changes with the code that decides what rows and vectors are written to."""
    core = Path(lineside.__file__).parent
    return code_fingerprint([*(core / "shards").glob("*.py"), core / "analysis.py"])
