"""Small whole shards for tests of the catalogue, written as the builder writes them."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lineside.shards import ShardRef, write_shard
from tests.shards.knowledge import Knowledge, drive, manual, pump

FINGERPRINTS = {"text": "bag-of-words", "joint": "bag-of-words", "chunker": "one-section"}


def knowledge_of(family: str, variant: int) -> Knowledge:
    """What a family's shard holds; variants differ in a number that their text names."""
    known: dict[str, Callable[[], Knowledge]] = {"drive": drive, "pump": pump}
    knowledge = known[family]()
    if not variant:
        return knowledge
    document, passages = manual(family, "variant", {"Variant": f"The variant plate of the {family} says {variant} mm."})
    document = document.model_copy(update={"version": f"v{variant}"})
    return replace(knowledge, documents=(*knowledge.documents, document), passages=(*knowledge.passages, *passages))


def write(folder: Path, family: str, variant: int = 0) -> tuple[str, ShardRef]:
    """A shard of the family below `folder`; another variant has another id."""
    original = _written(family, variant)
    target = folder / original.id
    if not target.exists():
        shutil.copytree(original.path, target)
    return family, ShardRef(original.id, target)


@functools.cache
def _written(family: str, variant: int) -> ShardRef:
    """Written once for all tests, which copy it."""
    folder = tempfile.mkdtemp(prefix="lineside-shards-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_shard(Path(folder), **knowledge_of(family, variant).arguments())  # type: ignore[arg-type]
