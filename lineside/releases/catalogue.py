"""The catalogue of releases in a folder: numbered, immutable sets of shards, exactly one of them current.

shards/<id>/            content-addressed, shared between releases
releases/0000012.json   immutable, created exclusively: two publishers cannot take one number
current.json            names the current release; replaced atomically, and only after everything it needs is there
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lineside.errors import DataError, NotFound
from lineside.shards import ShardRef

Model = TypeVar("Model", bound=BaseModel)


class ShardEntry(BaseModel):
    """One shard of a release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    id: str


class Release(BaseModel):
    """What a release consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    created: datetime
    shards: tuple[ShardEntry, ...] = Field(min_length=1)
    fingerprints: dict[str, str] = Field(description="encoders and chunker that made the shards")
    note: str = ""


class _Current(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    release: int = Field(ge=1)


class Catalogue:
    """Releases below one folder. Readers and publishers may be different processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shards_root = root / "shards"
        self._releases = root / "releases"
        self._pointer = root / "current.json"

    def publish(
        self,
        shards: Sequence[tuple[str, ShardRef]],
        *,
        fingerprints: dict[str, str],
        note: str = "",
        activate: bool = True,
    ) -> Release:
        """Makes a release of `(family, shard)` pairs that lie in `shards_root` already, and makes it current.

        Raises:
            DataError: a shard is not in the catalogue's folder.
        """
        for family, shard in shards:
            if not (self.shards_root / shard.id / "manifest.json").is_file():
                raise DataError(f"shard {shard.id} of family {family} is not in {self.shards_root}")
        self._releases.mkdir(parents=True, exist_ok=True)
        number = max(self.numbers(), default=0) + 1
        while True:
            release = Release(
                number=number,
                created=datetime.now(UTC),
                shards=tuple(ShardEntry(family=family, id=shard.id) for family, shard in sorted(shards)),
                fingerprints=fingerprints,
                note=note,
            )
            try:
                self._create(self._path(number), release.model_dump_json(indent=1))
                break
            except FileExistsError:
                number += 1  # another publisher was faster
        if activate:
            self.activate(number)
        return release

    def activate(self, number: int) -> None:
        """Makes an existing release current: the way forward and the way back.

        Raises:
            NotFound: there is no such release.
        """
        self.get(number)
        temporary = self._write_temporary(json.dumps({"release": number}))
        os.replace(temporary, self._pointer)

    def current(self) -> Release:
        """The current release.

        Raises:
            NotFound: nothing has been published.
            DataError: the catalogue is damaged.
        """
        try:
            content = self._pointer.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no release in {self.root}: build one (`make knowledge` for the demo plant)") from None
        number = _parse(_Current, content, self._pointer).release
        try:
            return self.get(number)
        except NotFound as error:
            raise DataError(f"{self._pointer} names release {number}, which is not there: activate another") from error

    def get(self, number: int) -> Release:
        """Raises NotFound and DataError as `current` does."""
        path = self._path(number)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no release {number} in {self.root}") from None
        return _parse(Release, content, path)

    def numbers(self) -> list[int]:
        """Numbers of all releases, ascending."""
        return sorted(int(path.stem) for path in self._releases.glob("*.json") if path.stem.isdecimal())

    def paths(self, release: Release) -> list[Path]:
        """Folders of a release's shards."""
        return [self.shards_root / shard.id for shard in release.shards]

    def _path(self, number: int) -> Path:
        return self._releases / f"{number:07d}.json"

    def _write_temporary(self, text: str) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".writing-", dir=self.root)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        return Path(name)

    def _create(self, path: Path, text: str) -> None:
        """Whole or not at all, and never over an existing file: raises FileExistsError."""
        temporary = self._write_temporary(text)
        try:
            os.link(temporary, path)
        finally:
            temporary.unlink()


def _parse(model: type[Model], content: bytes, path: Path) -> Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {error}") from error
