"""Images of a shard: re-encoded small, packed by content hash into one memory-mapped file."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from lineside.errors import IntegrityError, NotFound, ShardError
from lineside.shards.arrow_files import read_table, write_table
from lineside.shards.files import ShardFiles, shard_files

PACK = "figures/images.bin"
INDEX = "figures/images.arrow"
_INDEX_SCHEMA = pa.schema([("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64())])


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An encoded image and its media type."""

    data: bytes
    media_type: str


def thumbnail(image: bytes, *, max_px: int, quality: int, max_pixels: int) -> bytes:
    """The image as WebP with its longer side at most `max_px`; metadata is dropped.

    Raises:
        ShardError: the bytes are no image, are damaged, or hold more than `max_pixels` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(image)) as opened:
                if opened.width * opened.height > max_pixels:
                    raise ShardError(f"image of {opened.width} x {opened.height} pixels is over the limit")
                opened.draft("RGB", (max_px, max_px))
                has_alpha = opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info
                small = opened.convert("RGBA" if has_alpha else "RGB")
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        ValueError,
        SyntaxError,
    ) as error:
        raise ShardError(f"image cannot be decoded: {error}") from error
    small.thumbnail((max_px, max_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()


def write_images(directory: Path, images: Iterable[bytes]) -> None:
    """Writes the distinct images, sorted by their hash."""
    by_name = {image_name(data): data for data in images}
    offsets, offset = [], 0
    pack = directory / PACK
    pack.parent.mkdir(parents=True, exist_ok=True)
    with pack.open("wb") as file:
        for name in sorted(by_name):
            offsets.append(offset)
            offset += file.write(by_name[name])
    names = sorted(by_name)
    columns = {
        "name": names,
        "offset": offsets,
        "size": [len(by_name[n]) for n in names],
    }
    write_table(pa.table(columns, schema=_INDEX_SCHEMA), directory / INDEX)


def image_name(data: bytes) -> str:
    """Content address of an encoded image: 32 hex digits."""
    return hashlib.sha256(data).hexdigest()[:32]


class ImagePack:
    """Read access to the packed images of a shard."""

    def __init__(self, where: Path | ShardFiles) -> None:
        files = shard_files(where)
        index = read_table(files.path(INDEX), _INDEX_SCHEMA)
        self._spans = {
            name: (offset, size)
            for name, offset, size in zip(*(index.column(c).to_pylist() for c in _INDEX_SCHEMA.names), strict=True)
        }
        total = sum(size for _, size in self._spans.values())
        if files.size(PACK) != total:
            raise IntegrityError(f"{files}/{PACK} has {files.size(PACK)} bytes, its index says {total}")
        self._pack = pa.memory_map(str(files.path(PACK))).read_buffer() if total else pa.py_buffer(b"")

    def __len__(self) -> int:
        return len(self._spans)

    def get(self, name: str) -> StoredImage:
        """Raises NotFound where there is no image of that name."""
        span = self._spans.get(name)
        if span is None:
            raise NotFound(f"no image {name}")
        offset, size = span
        return StoredImage(self._pack.slice(offset, size).to_pybytes(), "image/webp")
