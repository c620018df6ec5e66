"""Canary queries: asked of a shard when it is published, and again on the gateway before it serves.

They travel sealed beside the shard's files. A query is the beginning of a passage with the passage's own vector, so
that no encoder is needed: what is tried is everything between the bytes and the ranking, on that gateway's processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lineside.errors import IntegrityError
from lineside.search.contract import SearchQuery
from lineside.search.release_index import ReleaseIndex
from lineside.search.settings import SearchSettings
from lineside.shards import Shard

CANARIES: Final = "canaries.json"
_QUERY_CHARS = 200
_OVERLAP_MIN = 0.5  # processors and versions may swap near-equal ranks, not half of a result


class CanaryQuery(BaseModel):
    """A row to ask with, and the ids that were found, best first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    expected: tuple[str, ...] = Field(max_length=64)


class Canaries(BaseModel):
    """All canary queries of a shard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: tuple[CanaryQuery, ...] = Field(max_length=256)


def make_canaries(shard: Shard, count: int) -> bytes:
    """Canaries for up to `count` passages, spread evenly over the shard, as JSON."""
    passages = shard.manifest.counts["passages"]
    rows = np.unique(np.linspace(0, passages - 1, min(count, passages)).astype(int)) if passages else np.empty(0, int)
    ids = [str(shard.row(int(row))["id"]) for row in rows]
    found = _ask(shard, ids)
    queries = tuple(CanaryQuery(row=row, expected=expected) for row, expected in zip(ids, found, strict=True))
    return Canaries(queries=queries).model_dump_json().encode()


def run_canaries(shard: Shard, data: bytes) -> None:
    """Asks again.

    Raises:
        IntegrityError: a query finds less than half of what it found when the shard was published.
    """
    try:
        canaries = Canaries.model_validate_json(data)
    except ValidationError as error:
        raise IntegrityError(f"the canary queries of {shard.family} are malformed") from error
    found = _ask(shard, [query.row for query in canaries.queries])
    for query, ids in zip(canaries.queries, found, strict=True):
        kept = len(set(query.expected) & set(ids))
        if kept < _OVERLAP_MIN * len(query.expected):
            raise IntegrityError(
                f"canary query {query.row} of {shard.family} finds {kept} of the {len(query.expected)} passages that "
                "it found when the shard was published"
            )


def _ask(shard: Shard, ids: Sequence[str]) -> list[tuple[str, ...]]:
    if not ids:
        return []
    rows = np.array([shard.row_of(row_id) for row_id in ids], np.int64)
    vectors = shard.text.reconstruct(rows) if shard.text.dimension else None
    queries = [
        SearchQuery(
            text=str(shard.row(int(row))["text"])[:_QUERY_CHARS],
            text_vector=None if vectors is None else vectors[number],
            family=shard.family,
        )
        for number, row in enumerate(rows)
    ]
    index = ReleaseIndex([shard], 0, SearchSettings())
    return [tuple(evidence.id for evidence in result.evidence) for result in index.search_batch(queries)]
