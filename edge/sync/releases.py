"""Releases as a gateway holds them: what they need on the disk, how they become shards in memory and model folders."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edge.pieces import GatewayIdentity, Pack, PieceIndex, PlainPieces, SealedPieces
from edge.pieces.index import parse_index
from edge.sync.durable import TEMPORARY, sync_folder
from edge.sync.memory import MemoryFiles
from edge.sync.packs import PackStore
from edge.sync.state import Held, StateFile
from edge.trust.records import index_path, model_path
from lineside.errors import IntegrityError
from lineside.shards import Shard


@dataclass(frozen=True, slots=True)
class OpenRelease:
    """A release of this gateway, its shards in memory. `models`: the folder of each model by name."""

    publication: int
    release: int
    shards: tuple[Shard, ...]
    models: dict[str, Path]


class HeldReleases:
    """Reads releases whose documents and packs lie on this gateway."""

    def __init__(self, state: StateFile, packs: PackStore, models: Path, identity: GatewayIdentity) -> None:
        self._state = state
        self._packs = packs
        self._models = models
        self._identity = identity
        models.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove_unfinished(self) -> None:
        """Removes what a writer that was killed has left; only its successor may do that."""
        self._packs.remove_unfinished()
        self._state.remove_unfinished()
        for unfinished in self._models.glob(f"{TEMPORARY}*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def families(self, held: Held) -> list[str]:
        return _names(held, "shards/")

    def models(self, held: Held) -> list[str]:
        return _names(held, "models/")

    def shard_ids(self, held: Held) -> dict[str, str]:
        """Of every family held. Raises IntegrityError where a document is missing or damaged."""
        ids = {entry.family: entry.shard for entry in self._state.release(held).shards}
        return {family: ids.get(family, "") for family in self.families(held)}

    def describe(self, held: Held, shards: Iterable[Shard]) -> OpenRelease:
        models = {model: self.model_folder(held, model) for model in self.models(held)}
        return OpenRelease(held.publication, held.release, tuple(shards), models)

    def packs(self, held: Held) -> list[Pack]:
        """The packs of its shards, each once. Raises IntegrityError where an index is damaged."""
        found = {pack.sha256: pack for family in self.families(held) for pack in self._shard_index(held, family).packs}
        return list(found.values())

    def is_complete(self, held: Held) -> bool:
        """Whether all documents are intact and everything that they name is there, by size."""
        try:
            self._state.release(held), self._state.access(held)
            packs = self.packs(held)
        except IntegrityError:
            return False
        models = all(self.model_folder(held, model).is_dir() for model in self.models(held))
        return models and all(self._packs.has(pack) for pack in packs)

    def read_shard(self, held: Held, family: str, files: MemoryFiles) -> Shard:
        """The shard of a family in files that `decrypt` gave; raises IntegrityError where it is another's."""
        shard = Shard.open(files, verify=False)  # every byte has been compared with the signed index just now
        if (shard.family, shard.id) != (family, self.shard_ids(held)[family]):
            raise IntegrityError(f"the shard of {family} is one of {shard.family}")
        return shard

    def decrypt(self, held: Held, family: str, *, max_bytes: int) -> MemoryFiles:
        """The files of a shard in memory, each compared with the signed index; the caller closes them.

        Raises:
            IntegrityError: something is missing, damaged, or not what was signed for this family.
        """
        entry = next((s for s in self._state.release(held).shards if s.family == family), None)
        key = self._state.access(held).keys.get(family)
        index = self._shard_index(held, family)
        if entry is None or key is None or not index.epoch == entry.epoch == key.epoch or index.content != entry.shard:
            raise IntegrityError(f"the signed documents of release {held.release} contradict each other about {family}")
        if (size := sum(file.size for file in index.files.values())) > max_bytes:
            raise IntegrityError(f"the shard of {family} has {size} bytes; max_shard_mib allows {max_bytes}")
        cipher = SealedPieces(self._identity.unwrap(key.wrapped, family=family, epoch=key.epoch))
        with ExitStack() as undo:
            files = undo.enter_context(MemoryFiles(f"shard {entry.shard[:12]} of {family}"))
            for name, file in index.files.items():
                files.write(name, self._packs.plain(index, file, cipher), size=file.size, sha256=file.sha256)
            undo.pop_all()
        return files

    def model_folder(self, held: Held, model: str) -> Path:
        return self._models / f"{model}-{held.documents[model_path(model)][:16]}"

    def model_index(self, held: Held, model: str) -> PieceIndex:
        return parse_index(self._state.document(held, model_path(model)), kind="model", name=model)

    def assemble_model(self, held: Held, model: str) -> None:
        """Writes a model's files from its packs, which are removed then. The folder appears whole or not at all.

        Raises:
            IntegrityError: a pack is missing, or a file is not the one that was published.
        """
        index, target = self.model_index(held, model), self.model_folder(held, model)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self._models))
        try:
            for name, file in index.files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                digest = hashlib.sha256()
                with path.open("wb") as out:
                    for part in self._packs.plain(index, file, PlainPieces()):
                        digest.update(part)
                        out.write(part)
                    out.flush()
                    os.fsync(out.fileno())
                if digest.hexdigest() != file.sha256:
                    raise IntegrityError(f"{name} of model {model} is not the file that was published")
            temporary.rename(target)
            sync_folder(self._models)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for pack in index.packs:
            self._packs.remove(pack)

    def is_model_intact(self, held: Held, model: str) -> bool:
        folder = self.model_folder(held, model)
        for name, file in self.model_index(held, model).files.items():
            try:
                with (folder / name).open("rb") as opened:
                    if hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
                        return False
            except OSError:
                return False
        return True

    def remove_model(self, held: Held, model: str) -> None:
        shutil.rmtree(self.model_folder(held, model), ignore_errors=True)

    def keep_only(self, held: Iterable[Held]) -> None:
        """Removes packs, documents and models that none of these releases needs."""
        kept = list(held)
        self._packs.keep_only({pack.sha256 for one in kept for pack in self.packs(one)})
        folders = {self.model_folder(one, model) for one in kept for model in self.models(one)}
        for folder in self._models.iterdir():
            if folder not in folders:
                shutil.rmtree(folder, ignore_errors=True)
        self._state.keep_only(kept)

    def used_bytes(self) -> int:
        models = sum(path.stat().st_size for path in self._models.rglob("*") if path.is_file())
        return self._packs.used_bytes() + models

    def _shard_index(self, held: Held, family: str) -> PieceIndex:
        return parse_index(self._state.document(held, index_path(family)), kind="shard", name=family)


def _names(held: Held, prefix: str) -> list[str]:
    return sorted(p.removeprefix(prefix).removesuffix(".json") for p in held.documents if p.startswith(prefix))
