"""Builds a release from a source folder in this process: the small way, for a demo, a test or a laptop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from index_builder.embed import embed
from index_builder.read import Knowledge, read_knowledge
from ingest.chunk import chunker_fingerprint
from lineside.encoders import JointEncoder, TextEncoder
from lineside.errors import DataError
from lineside.releases import Catalogue, Release
from lineside.shards import ShardSettings, write_shard


class BuildSettings(BaseModel):
    """How sources are cut and indexed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passage_tokens: int = Field(160, ge=32, le=512, description="longest passage in the encoder's tokens")
    family_rules: dict[str, str] = Field({}, description="glob of the path → family; over folders, under front matter")
    shard: ShardSettings = ShardSettings()


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build made and what it had to leave out."""

    release: Release
    documents: int
    passages: int
    figures: int
    frames: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float


def build_release(
    source: Path,
    catalogue: Catalogue,
    text: TextEncoder,
    joint: JointEncoder | None,
    *,
    settings: BuildSettings = BuildSettings(),
    note: str = "",
    progress: Callable[[str], None] = lambda line: None,
) -> BuildReport:
    """Reads `source`, writes one shard a family and publishes them as the current release.

    Raises:
        DataError: the source is not a folder, or holds nothing that can be indexed.
        ConfigurationError: no vector index reaches the recall bar within the budget.
    """
    started = time.monotonic()
    if not source.is_dir():
        raise DataError(f"{source} is not a folder")
    knowledge = read_knowledge(
        source,
        count_tokens=text.count_tokens,
        max_tokens=settings.passage_tokens,
        family_rules=settings.family_rules,
    )
    if not knowledge.families:
        raise DataError(f"{source} holds no documents and no frames: {'; '.join(knowledge.errors) or 'it is empty'}")
    figures = [figure for document in knowledge.documents for figure in document.figures]
    progress(
        f"{len(knowledge.documents)} documents, {len(knowledge.passages)} passages, {len(figures)} figures, "
        f"{len(knowledge.frames)} frames, {len(knowledge.errors)} files in error"
    )
    fingerprints = {
        "text": text.fingerprint,
        "joint": joint.fingerprint if joint else "",
        "chunker": chunker_fingerprint(settings.passage_tokens),
    }
    shards = []
    for number, family in enumerate(knowledge.families, 1):
        at = time.monotonic()
        part = _of_family(knowledge, family)
        family_figures = [figure for document in part.documents for figure in document.figures]
        vectors = embed(part.passages, family_figures, part.frames, text, joint)
        ref = write_shard(
            catalogue.shards_root,
            family=family,
            documents=part.documents,
            passages=part.passages,
            figures=family_figures,
            frames=part.frames,
            vectors=vectors,
            fingerprints=fingerprints,
            settings=settings.shard,
        )
        shards.append((family, ref))
        progress(
            f"[{number}/{len(knowledge.families)}] {family}: {len(part.passages)} passages, {len(family_figures)} "
            f"figures, {len(part.frames)} frames → shard {ref.id[:12]} in {time.monotonic() - at:.1f} s"
        )
    release = catalogue.publish(shards, fingerprints=fingerprints, note=note)
    return BuildReport(
        release=release,
        documents=len(knowledge.documents),
        passages=len(knowledge.passages),
        figures=len(figures),
        frames=len(knowledge.frames),
        errors=tuple(knowledge.errors),
        warnings=tuple(knowledge.warnings),
        seconds=time.monotonic() - started,
    )


def _of_family(knowledge: Knowledge, family: str) -> Knowledge:
    return Knowledge(
        documents=[d for d in knowledge.documents if d.family == family],
        passages=[p for p in knowledge.passages if p.family == family],
        frames=[f for f in knowledge.frames if f.family == family],
    )
