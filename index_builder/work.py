"""What the job remembers in the store, so that it resumes and costs what changed.

work/parsed/<source>/<segment>.arrow   a row for every parsed file of that source (`parsed.PARSED_SCHEMA`)
work/images/<segment>.arrow            images of parsed files that are not encoded yet; gone once they are
work/vectors/<space>/<segment>.arrow   vectors by content
work/shards/<key>.json                 the shard that was written from that content
work/runs/<run>.json                   what runs say about themselves

Every segment is written once and named by its hash: of two runs at the same time none overwrites what the other wrote.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from index_builder.digests import SIZE
from index_builder.segments import Segments
from index_builder.settings import JobSettings
from index_builder.tasks import Space
from index_builder.vectors import VectorSpace, joint_image_space, joint_text_space, text_space
from lineside.encoders.model_folder import has_text_tower, joint_fingerprint, text_fingerprint
from lineside.errors import DataError, NotFound
from lineside.objects import ObjectStore, open_store

PARSED = "work/parsed"
_IMAGES = "work/images"
_SHARDS = "work/shards"
IMAGE_SCHEMA = pa.schema([("key", pa.binary(SIZE)), ("data", pa.large_binary())])


def source_name(url: str) -> str:
    """A folder name that stands for a source."""
    return hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def scratch_folder(store_url: str) -> Path:
    """Where this machine keeps copies of segments; they are checked against their names when they are opened."""
    name = hashlib.sha256(store_url.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"lineside-reindex-{name}"


class WorkArea:
    """The job's part of a store, seen from one process."""

    def __init__(self, settings: JobSettings, source_url: str) -> None:
        self.store: ObjectStore = open_store(settings.store)
        self.scratch = scratch_folder(self.store.url)
        self.source = source_name(source_url)
        self.parsed = Segments(self.store, f"{PARSED}/{self.source}", self.scratch)
        self.images = Segments(self.store, _IMAGES, self.scratch)
        self.text_fingerprint = text_fingerprint(settings.text.folder)
        self.joint_fingerprint = ""
        self.text = VectorSpace(self.store, text_space(self.text_fingerprint), self.scratch)
        self.joint_text: VectorSpace | None = None
        self.joint_image: VectorSpace | None = None
        if settings.joint is not None:
            fingerprint = self.joint_fingerprint = joint_fingerprint(settings.joint.folder)
            self.joint_image = VectorSpace(self.store, joint_image_space(fingerprint), self.scratch)
            if has_text_tower(settings.joint.folder):
                self.joint_text = VectorSpace(self.store, joint_text_space(fingerprint), self.scratch)

    @property
    def spaces(self) -> dict[Space, VectorSpace]:
        """By the name that tasks use."""
        named: dict[Space, VectorSpace | None] = {
            "text": self.text,
            "joint_text": self.joint_text,
            "joint_image": self.joint_image,
        }
        return {name: space for name, space in named.items() if space is not None}

    def refresh_vectors(self) -> None:
        """Sees what workers have written since."""
        for space in self.spaces.values():
            space.refresh()

    def stage_images(self, images: dict[bytes, bytes]) -> None:
        """Keeps images until they are encoded."""
        if images:
            columns = {"key": list(images), "data": list(images.values())}
            self.images.write(pa.table(columns, schema=IMAGE_SCHEMA))

    def staged_images(self) -> dict[bytes, str]:
        """Segment of every staged image."""
        found: dict[bytes, str] = {}
        for name, table in self.images.tables(self.images.names()).items():
            found.update(dict.fromkeys(table.column("key").to_pylist(), name))
        return found

    def drop_staged(self, names: Iterable[str]) -> None:
        """Of these segments, those whose images all have vectors."""
        if self.joint_image is None:
            return
        for name, table in self.images.tables(names).items():
            if not self.joint_image.unknown(table.column("key").to_pylist()):
                self.images.delete([name])

    def known_shard(self, key: str) -> str | None:
        """The shard that was written for this content and settings; it may have been pruned since."""
        try:
            data, _ = self.store.get(f"{_SHARDS}/{key}.json", max_bytes=4_096)
            return str(json.loads(data)["shard"])
        except NotFound:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{_SHARDS}/{key}.json in {self.store.url} is damaged: delete it") from error

    def remember_shard(self, key: str, shard: str) -> None:
        """A finished family is not built again when the job is."""
        self.store.put(f"{_SHARDS}/{key}.json", json.dumps({"shard": shard}).encode())

    def forget_shards(self, kept_keys: Collection[str], kept_shards: Collection[str]) -> None:
        """Notes about shards that are in no release any more."""
        for info in list(self.store.list(f"{_SHARDS}/")):
            key = info.key.removeprefix(f"{_SHARDS}/").removesuffix(".json")
            if key not in kept_keys and self.known_shard(key) not in kept_shards:
                self.store.delete(info.key)

    def other_sources(self) -> Sequence[str]:
        """Names of other sources that have parsed files in this store."""
        names = {info.key.removeprefix(f"{PARSED}/").split("/")[0] for info in self.store.list(f"{PARSED}/")}
        return sorted(names - {self.source})
