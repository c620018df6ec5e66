"""Hybrid search over the shards of a release: dense text, dense joint and lexical, fused, with everything cited."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineside.documents import Document
from lineside.errors import NotFound
from lineside.schema import Filters
from lineside.search.contract import Reranker, SearchQuery, SearchResult, Vector
from lineside.search.dense_field import DenseScan
from lineside.search.filters import Scope
from lineside.search.label_votes import vote
from lineside.search.question_search import QuestionSearch, Scans, Votes
from lineside.search.release_rows import ReleaseRows
from lineside.search.settings import RerankSettings, SearchSettings
from lineside.shards.images import StoredImage
from lineside.shards.reader import Shard

Rows = NDArray[np.int64]

_SCOPES_CACHED_MAX = 1_024


class ReleaseIndex:
    """The searchable knowledge of one release. Immutable; reading is thread-safe.

    Rows are numbered through all shards, which are sorted by family and id, so that a family is one span of rows.
    """

    def __init__(self, shards: Sequence[Shard], release: int, settings: SearchSettings) -> None:
        self.release = release
        self.settings = settings
        self._rows = ReleaseRows(shards, release, settings)
        self._scopes: dict[tuple[str | None, str], Scope] = {}
        self._voters: dict[int, tuple[Rows, Rows]] = {}  # by id of a scope's images: those images, the voters of them
        self._reranker = _reranker(settings.rerank)

    @classmethod
    def open(cls, shards: Sequence[Path], release: int, settings: SearchSettings | None = None) -> ReleaseIndex:
        """Opens and verifies the shards.

        Raises:
            IntegrityError, ShardError: a shard that is damaged, malformed, or made with other encoders than the rest.
        """
        settings = settings or SearchSettings()
        return cls([Shard.open(path, settings.verify) for path in shards], release, settings)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Sorted by family and id."""
        return self._rows.shards

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self._rows.spans)

    @property
    def fingerprints(self) -> dict[str, str]:
        """What made the vectors; the encoders of questions must have the same fingerprints."""
        return dict(self._rows.shards[0].manifest.fingerprints)

    def __len__(self) -> int:
        return len(self._rows)

    def passages(self) -> Iterator[tuple[str, str]]:
        """(passage id, document id) of every passage of the release."""
        for shard in self._rows.shards:
            count = shard.manifest.counts["passages"]
            head = shard.rows.slice(0, count)
            yield from zip(head.column("id").to_pylist(), head.column("document_id").to_pylist(), strict=True)

    def document(self, document_id: str) -> Document:
        """Raises NotFound."""
        for shard in self._rows.shards:
            if document_id in shard.document_ids:
                return shard.document(document_id)
        raise NotFound(f"no document {document_id} in release {self.release}")

    def image(self, row_id: str) -> StoredImage:
        """The stored image of a figure or frame; raises NotFound."""
        for shard in self._rows.shards:
            if row_id in shard:
                return shard.image(row_id)
        raise NotFound(f"no image {row_id} in release {self.release}")

    def search(self, query: SearchQuery) -> SearchResult:
        return self.search_batch([query])[0]

    def search_batch(self, queries: Sequence[SearchQuery], waiting: int = 0) -> list[SearchResult]:
        """Results in the order of the queries. An unknown family has no rows, so its result is empty.

        `waiting`: how many more queries wait for this batch to end; with the batch's own they share each budget.
        """
        started = time.perf_counter()
        spans = [self._rows.span_all if q.family is None else self._rows.spans.get(q.family, (0, 0)) for q in queries]
        scopes = [self._scope(q.family, span, q.filters) for q, span in zip(queries, spans, strict=True)]
        budgets = [self._search_budget(q, s, len(queries) + waiting) for q, s in zip(queries, spans, strict=True)]
        image_scans = self._rows.joint.scan([q.image_vector for q in queries], spans, budgets)
        votes = [self._vote(q, s, scan) for q, s, scan in zip(queries, scopes, image_scans, strict=True)]
        text_vectors = [self._text_vector(q, v) for q, v in zip(queries, votes, strict=True)]
        text_scans = self._rows.text.scan(text_vectors, spans, budgets)
        # Without a frame the question alone is the joint signal: one product serves both.
        only_text = [None if q.image_vector is None else q.joint_text_vector for q in queries]
        joint_vectors = [_mean([q.joint_text_vector, q.image_vector]) for q in queries]
        joint_scans = self._rows.joint.scan(joint_vectors, spans, budgets)
        joint_text_scans = self._rows.joint.scan(only_text, spans, budgets)
        dense_ms = (time.perf_counter() - started) * 1000
        results = []
        for i, query in enumerate(queries):
            joint_text = joint_scans[i] if query.image_vector is None else joint_text_scans[i]
            scans = Scans(text_scans[i], joint_scans[i], joint_text, image_scans[i])
            results.append(
                QuestionSearch(self._rows, self.settings, self._reranker, query, scopes[i], votes[i], scans).result(
                    dense_ms
                )
            )
        return results

    def _search_budget(self, query: SearchQuery, span: tuple[int, int], sharing: int) -> float | None:
        """Milliseconds that one search of one approximate index may take; None where the query sets no budget.

        Passages and images are searched apart, and a frame adds the votes of its neighbours.
        """
        if query.budget_ms is None:
            return None
        joint = 2 * (query.joint_text_vector is not None) + 3 * (query.image_vector is not None)
        searches = 2 * self._rows.text.approximate_count(span) + joint * self._rows.joint.approximate_count(span)
        return query.budget_ms / max(sharing * searches, 1)

    def _scope(self, family: str | None, span: tuple[int, int], filters: Filters) -> Scope:
        key = (family, filters.model_dump_json() if filters != _NO_FILTERS else "")
        scope = self._scopes.get(key)
        if scope is None:
            if len(self._scopes) >= _SCOPES_CACHED_MAX:
                self._scopes.clear()
            scope = self._scopes[key] = self._rows.filters.scope(span, filters)
        return scope

    def _vote(self, query: SearchQuery, scope: Scope, scan: DenseScan | None) -> Votes:
        if scan is None:
            return []
        allowed = Filters(access=query.filters.access)
        frames = self._scope(query.family, scope.span, allowed).images
        voters = self._voters.get(id(frames))
        if voters is None or voters[0] is not frames:
            if len(self._voters) >= _SCOPES_CACHED_MAX:
                self._voters.clear()
            voters = self._voters[id(frames)] = (frames, frames[self._rows.votes_from[frames]])
        rows, scores = scan.top(voters[1], self.settings.images.vote_frames)
        return vote(
            rows,
            scores,
            lambda r: self._rows.labels[r] or "",
            lambda r: self._rows.template(r).text,
            self.settings.images,
        )

    def _text_vector(self, query: SearchQuery, votes: Votes) -> Vector | None:
        settings = self.settings.images
        counted = [
            (v.share / len(rows), row) for v, rows in votes if v.share >= settings.vote_share_min for row in rows
        ]
        if not counted:
            return query.text_vector
        shares = np.array([share for share, _ in counted], np.float32)
        captions = shares @ self._rows.text.vectors(np.array([row for _, row in counted], np.int64))
        own = np.zeros_like(captions) if query.text_vector is None else query.text_vector
        extended: Vector = own + np.float32(settings.label_dense_weight) * captions
        return extended / np.float32(max(float(np.linalg.norm(extended)), 1e-9))


_NO_FILTERS = Filters()


def _reranker(settings: RerankSettings) -> Reranker | None:
    if settings.model is None:
        return None
    from lineside.search.rerank import CrossEncoder  # torch and transformers load only where they are wanted

    return CrossEncoder(settings.model, settings.max_tokens)


def _mean(vectors: Sequence[Vector | None]) -> Vector | None:
    """The normalised sum of the vectors that are there."""
    present = [v for v in vectors if v is not None]
    if not present:
        return None
    if len(present) == 1:
        return present[0]
    total: Vector = np.sum(present, axis=0, dtype=np.float32)
    norm = np.float32(np.linalg.norm(total))
    return total / norm if norm > 0 else total
