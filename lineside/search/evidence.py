"""Rows of a release as `Evidence`: values are read from Arrow once a row and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from lineside.schema import Evidence
from lineside.shards.reader import Shard

_CACHED_ROWS_MAX = 65_536


class EvidenceRows:
    """Evidence of the rows of a release, without number and scores. Reading is thread-safe."""

    def __init__(self, shards: Sequence[Shard], starts: Sequence[int]) -> None:
        self._shards = shards
        self._starts = starts
        self._cache: dict[int, Evidence] = {}

    def template(self, row: int, shard: int) -> Evidence:
        """The release's row in the given shard, as number 1 with score 0."""
        cached = self._cache.get(row)
        if cached is None:
            if len(self._cache) >= _CACHED_ROWS_MAX:
                self._cache.clear()
            opened = self._shards[shard]
            cached = Evidence(**_fields(opened.row(row - self._starts[shard]), opened.family))
            self._cache[row] = cached
        return cached

    def evidence(
        self, row: int, shard: int, n: int, score: float, scores: dict[str, float], duplicates: tuple[str, ...]
    ) -> Evidence:
        """The row with its place in a ranking; only the template is validated, the rest is search's own."""
        ranked = {"n": n, "score": score, "scores": scores, "duplicates": duplicates}
        return self.template(row, shard).model_copy(update=ranked)


def _fields(row: dict[str, Any], family: str) -> dict[str, Any]:
    fields = {
        "n": 1,
        "score": 0.0,
        "id": row["id"],
        "kind": row["kind"],
        "family": family,
        "text": row["text"],
        "document_id": row["document_id"],
        "title": row["title"],
        "version": row["version"],
        "document_kind": row["document_kind"],
        "source": row["source"],
        "page": row["page"],
        "section_id": row["section_id"],
        "section_path": tuple(row["section_path"]),
        "start": row["start"],
        "end": row["end"],
        "label": row["label"],
        "camera_id": row["camera_id"],
        "time": row["time"],
        "url": None,
        "image_url": None,
    }
    if row["document_id"] is not None:
        fields["url"] = citation_url(row)
    if row["image"] is not None:
        fields["image_url"] = f"/v1/images/{quote(row['id'], safe='')}"
    return fields


def citation_url(row: dict[str, Any]) -> str | None:
    """Where the page or section is shown with the passage marked; the whole document where there is neither.

    The version says which text the characters count in, whatever release is current when somebody looks.
    """
    document = f"/v1/documents/{quote(row['document_id'], safe='')}"
    span = f"?start={row['start']}&end={row['end']}&version={quote(row['version'], safe='')}"
    if row["page"] is not None:
        return f"{document}/pages/{row['page']}{span}"
    if row["section_id"] is not None:
        return f"{document}/sections/{quote(row['section_id'], safe='')}{span}"
    return f"{document}{span}"
