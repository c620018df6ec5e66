"""Hybrid search over the shards of a release: dense text, dense joint and lexical, fused, with everything cited."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lineside.documents import Document
from lineside.errors import NotFound, ShardError
from lineside.schema import Evidence, Filters, LabelVote
from lineside.search.answerability import AnswerabilityFeatures, answerability
from lineside.search.collapse import collapse
from lineside.search.contract import ScoredSentence, SearchQuery, SearchResult, Signals, Vector
from lineside.search.dense_field import DenseField, DenseScan, FieldPart
from lineside.search.effort import EffortUsed
from lineside.search.evidence import EvidenceRows
from lineside.search.filters import FilterColumns, Scope
from lineside.search.image_ranking import rank_images
from lineside.search.label_votes import vote
from lineside.search.lexical_index import LexicalIndex
from lineside.search.passage_ranking import Evidenced, Ranking, rank_passages, reranked
from lineside.search.question import asks_about_event, question_terms
from lineside.search.sentence_field import SentenceField
from lineside.search.sentence_scores import ShardSentences, question_weights, score_sentences
from lineside.search.settings import RerankSettings, SearchSettings
from lineside.shards.images import StoredImage
from lineside.shards.reader import Shard

if TYPE_CHECKING:
    from lineside.search.rerank import Reranker

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Votes = list[tuple[LabelVote, list[int]]]

_SCOPES_CACHED_MAX = 1_024


class ReleaseIndex:
    """The searchable knowledge of one release. Immutable; reading is thread-safe.

    Rows are numbered through all shards, which are sorted by family and id, so that a family is one span of rows.
    """

    def __init__(self, shards: Sequence[Shard], release: int, settings: SearchSettings) -> None:
        if not shards:
            raise ShardError(f"release {release} has no shards")
        self.release = release
        self.settings = settings
        self._shards = sorted(shards, key=lambda s: (s.family, s.id))
        self._check_spaces()
        self._starts = [0]
        for shard in self._shards:
            self._starts.append(self._starts[-1] + len(shard))
        self._spans: dict[str, tuple[int, int]] = {}
        for shard, start in zip(self._shards, self._starts, strict=False):
            first = self._spans.get(shard.family, (start, start))[0]
            self._spans[shard.family] = (first, start + len(shard))
        self._span_all = (0, self._starts[-1])

        self._lexical = LexicalIndex([s.lexical for s in self._shards], settings.lexical)
        self._text = DenseField(
            [FieldPart(s.text, np.arange(len(s), dtype=np.int32)) for s in self._shards],
            max(s.manifest.dimensions["text"] for s in self._shards),
            settings.effort,
        )
        self._joint = DenseField(
            [FieldPart(s.joint, s.joint_rows) for s in self._shards],
            max(s.manifest.dimensions["joint"] for s in self._shards),
            settings.effort,
        )
        rows = pa.concat_tables([s.rows for s in self._shards])
        self._filters = FilterColumns(rows)
        self._hashes = np.frombuffer(b"".join(rows.column("text_hash").to_pylist()), np.int64)
        self._ids: list[str] = rows.column("id").to_pylist()
        labels: list[str | None] = rows.column("label").to_pylist()
        self._labels = labels
        self._votes_from = np.array([bool(x) for x in labels], bool) & self._filters.is_frame & self._joint.has_vector
        self._evidence = EvidenceRows(self._shards, self._starts)
        self._sentence_field = SentenceField(self._shards)
        self._sentences = [ShardSentences(s, m) for s, m in zip(self._shards, self._lexical.to_release, strict=True)]
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
        return tuple(self._shards)

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self._spans)

    @property
    def fingerprints(self) -> dict[str, str]:
        """What made the vectors; the encoders of questions must have the same fingerprints."""
        return dict(self._shards[0].manifest.fingerprints)

    def __len__(self) -> int:
        return self._starts[-1]

    def passages(self) -> Iterator[tuple[str, str]]:
        """(passage id, document id) of every passage of the release."""
        for shard in self._shards:
            count = shard.manifest.counts["passages"]
            head = shard.rows.slice(0, count)
            yield from zip(head.column("id").to_pylist(), head.column("document_id").to_pylist(), strict=True)

    def document(self, document_id: str) -> Document:
        """Raises NotFound."""
        for shard in self._shards:
            if document_id in shard.document_ids:
                return shard.document(document_id)
        raise NotFound(f"no document {document_id} in release {self.release}")

    def image(self, row_id: str) -> StoredImage:
        """The stored image of a figure or frame; raises NotFound."""
        for shard in self._shards:
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
        spans = [self._span_all if q.family is None else self._spans.get(q.family, (0, 0)) for q in queries]
        scopes = [self._scope(q.family, span, q.filters) for q, span in zip(queries, spans, strict=True)]
        budgets = [self._search_budget(q, s, len(queries) + waiting) for q, s in zip(queries, spans, strict=True)]
        image_scans = self._joint.scan([q.image_vector for q in queries], spans, budgets)
        votes = [self._vote(q, s, scan) for q, s, scan in zip(queries, scopes, image_scans, strict=True)]
        text_vectors = [self._text_vector(q, v) for q, v in zip(queries, votes, strict=True)]
        text_scans = self._text.scan(text_vectors, spans, budgets)
        # Without a frame the question alone is the joint signal: one product serves both.
        only_text = [None if q.image_vector is None else q.joint_text_vector for q in queries]
        joint_vectors = [_mean([q.joint_text_vector, q.image_vector]) for q in queries]
        joint_scans = self._joint.scan(joint_vectors, spans, budgets)
        joint_text_scans = self._joint.scan(only_text, spans, budgets)
        dense_ms = (time.perf_counter() - started) * 1000
        results = []
        for i, query in enumerate(queries):
            joint_text = joint_scans[i] if query.image_vector is None else joint_text_scans[i]
            scans = _Scans(text_scans[i], joint_scans[i], joint_text, image_scans[i])
            results.append(_Search(self, query, scopes[i], votes[i], scans).result(dense_ms))
        return results

    def _search_budget(self, query: SearchQuery, span: tuple[int, int], sharing: int) -> float | None:
        """Milliseconds that one search of one approximate index may take; None where the query sets no budget.

        Passages and images are searched apart, and a frame adds the votes of its neighbours.
        """
        if query.budget_ms is None:
            return None
        joint = 2 * (query.joint_text_vector is not None) + 3 * (query.image_vector is not None)
        searches = 2 * self._text.approximate_count(span) + joint * self._joint.approximate_count(span)
        return query.budget_ms / max(sharing * searches, 1)

    def _scope(self, family: str | None, span: tuple[int, int], filters: Filters) -> Scope:
        key = (family, filters.model_dump_json() if filters != _NO_FILTERS else "")
        scope = self._scopes.get(key)
        if scope is None:
            if len(self._scopes) >= _SCOPES_CACHED_MAX:
                self._scopes.clear()
            scope = self._scopes[key] = self._filters.scope(span, filters)
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
            voters = self._voters[id(frames)] = (frames, frames[self._votes_from[frames]])
        rows, scores = scan.top(voters[1], self.settings.images.vote_frames)
        return vote(
            rows, scores, lambda r: self._labels[r] or "", lambda r: self._template(r).text, self.settings.images
        )

    def _text_vector(self, query: SearchQuery, votes: Votes) -> Vector | None:
        settings = self.settings.images
        counted = [
            (v.share / len(rows), row) for v, rows in votes if v.share >= settings.vote_share_min for row in rows
        ]
        if not counted:
            return query.text_vector
        shares = np.array([share for share, _ in counted], np.float32)
        captions = shares @ self._text.vectors(np.array([row for _, row in counted], np.int64))
        own = np.zeros_like(captions) if query.text_vector is None else query.text_vector
        extended: Vector = own + np.float32(settings.label_dense_weight) * captions
        return extended / np.float32(max(float(np.linalg.norm(extended)), 1e-9))

    def _shard_of(self, row: int) -> int:
        return bisect_right(self._starts, row) - 1

    def _template(self, row: int) -> Evidence:
        return self._evidence.template(row, self._shard_of(row))

    def _check_spaces(self) -> None:
        """All shards must come from the same encoders, or their vectors cannot be compared."""
        for space in ("text", "joint"):
            found = {s.manifest.dimensions[space] for s in self._shards if s.manifest.dimensions[space]}
            made_by = {s.manifest.fingerprints.get(space) for s in self._shards if s.manifest.dimensions[space]}
            if len(found) > 1 or len(made_by) > 1:
                raise ShardError(f"release {self.release}: shards have {space} vectors of different encoders")


_NO_FILTERS = Filters()
_NO_SIGNALS = Signals(dense=0.0, coverage=0.0, unknown_terms=(), missing_identifiers=(), answerability=0.0)


def _reranker(settings: RerankSettings) -> Reranker | None:
    if settings.model is None:
        return None
    from lineside.search.rerank import CrossEncoder  # torch and transformers load only where they are wanted

    return CrossEncoder(settings.model, settings.max_tokens)


@dataclass(frozen=True, slots=True)
class _Scans:
    """A question's cosines: sentence space, joint space (question and frame, question alone, frame alone)."""

    text: DenseScan | None
    joint: DenseScan | None
    joint_text: DenseScan | None
    image: DenseScan | None

    def efforts(self) -> tuple[EffortUsed, ...]:
        """What the searches of approximate indexes spent so far."""
        distinct = {id(s): s for s in (self.text, self.joint, self.joint_text, self.image) if s is not None}
        return tuple(used for scan in distinct.values() for used in scan.used)


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


class _Search:
    """One question against a release: rankings, evidence, sentences, signals."""

    def __init__(self, index: ReleaseIndex, query: SearchQuery, scope: Scope, votes: Votes, scans: _Scans) -> None:
        self.index, self.query, self.scope, self.votes, self.scans = index, query, scope, votes, scans
        self.settings = index.settings
        images = self.settings.images
        self.counted = [(vote, rows) for vote, rows in votes if vote.share >= images.vote_share_min]
        captions = [
            (text, images.label_lexical_weight * vote.share * share)
            for vote, rows in self.counted
            for text, share in self._in_words(vote, rows)
        ]
        self.terms = question_terms(
            query.text,
            query.context,
            captions,
            index._lexical,
            scope.span,
            self.settings.lexical,
            images.pointing_weight,
        )
        self.lexical = index._lexical.scores(self.terms.weights.items(), scope.span)

    def result(self, dense_ms: float) -> SearchResult:
        begun = time.perf_counter()
        passages = self._passages()
        pictures = self._images(first=len(passages) + 1)
        ranked = time.perf_counter()
        sentences = self._score_sentences(passages) if self.query.for_answer else []
        signals = self._signals(passages, sentences) if self.query.for_answer else _NO_SIGNALS
        return SearchResult(
            release=self.index.release,
            evidence=(*(e for _, e in passages), *(e for _, e in pictures)),
            sentences=tuple(sentences),
            labels=tuple(v for v, _ in self.votes),
            signals=signals,
            stages_ms={
                "dense": dense_ms,
                "rank": (ranked - begun) * 1000,
                "sentences": (time.perf_counter() - ranked) * 1000,
            },
            efforts=self.scans.efforts(),
        )

    def _passages(self) -> list[tuple[int, Evidence]]:
        if not len(self.scope.passages):
            return []
        index = self.index
        question = Evidenced(
            self.scans.text,
            self.scans.joint,
            self.terms,
            self.lexical,
            self.scope.span[0],
            self._favoured(),
            None if asks_about_event(self.query.text) else index._filters.is_incident,
        )
        wanted = max(2 * self.query.k + 8, self.settings.rerank.candidates + 1 if index._reranker else 0)
        ranking = rank_passages(
            self.scope.passages,
            question,
            index._text,
            index._sentence_field,
            index._lexical,
            self.settings,
            wanted,
        )
        if index._reranker is not None:
            texts = [index._template(int(row)).text for row in ranking.rows[: self.settings.rerank.candidates]]
            ranking = reranked(ranking, index._reranker.score(self.query.text, texts), self.settings.rerank.weight)
        head = ranking.rows[: 2 * self.query.k + 8]
        settings = self.settings.collapse
        kept = collapse(
            head, index._text.vectors(head), index._hashes[head], self.query.k, settings.cosine, self._same_words
        )
        return self._evidence(ranking, kept, first=1)

    def _in_words(self, vote: LabelVote, rows: Sequence[int]) -> list[tuple[str, float]]:
        """A label's words, and the captions of its frames, which share the weight: what most of them say counts."""
        label = vote.label.replace("-", " ").replace("_", " ")
        return [(label, 1.0), *((self.index._template(row).text, 1 / len(rows)) for row in rows)]

    def _favoured(self) -> tuple[tuple[int, int, float], ...]:
        """Spans of the families that the image's labels belong to, with what their passages' scores gain."""
        index, weight = self.index, self.settings.images.family_weight
        return tuple(
            (*index._spans[index._shards[index._shard_of(rows[0])].family], weight * vote.share)
            for vote, rows in self.counted
        )

    def _images(self, first: int) -> list[tuple[int, Evidence]]:
        allowed = self.scope.images
        if not len(allowed) or not self.query.k_images:
            return []
        index, settings = self.index, self.settings.images
        ranking = rank_images(
            allowed,
            self.scans.image,
            self.scans.joint_text,
            self.scans.text,
            self.lexical[allowed - self.scope.span[0]],
            sum(weight * float(index._lexical.idf[t]) for t, weight in self.terms.weights.items()),
            self.settings.candidates,
            3 * self.query.k_images + 4,
            settings,
        )
        head = ranking.rows
        kept = collapse(
            head,
            index._joint.vectors(head),
            np.arange(len(head), dtype=np.int64),  # equal captions do not make images equal
            self.query.k_images,
            settings.duplicate_cosine,
            lambda one, other: index._labels[one] == index._labels[other],
        )
        return self._evidence(ranking, kept, first)

    def _evidence(self, ranking: Ranking, kept: list[tuple[int, list[int]]], first: int) -> list[tuple[int, Evidence]]:
        index = self.index
        rows = ranking.rows[: kept[-1][0] + 1].tolist() if kept else []
        fused = ranking.fused.tolist()
        scores = {name: values.tolist() for name, values in ranking.scores.items()}
        found = []
        for n, (place, folded) in enumerate(kept, start=first):
            row = rows[place]
            duplicates = tuple(index._ids[ranking.rows[f]] for f in folded)
            signals = {name: values[place] for name, values in scores.items()}
            shard = index._shard_of(row)
            found.append((row, index._evidence.evidence(row, shard, n, fused[place], signals, duplicates)))
        return found

    def _same_words(self, one: int, other: int) -> bool:
        """Whether two rows share most terms and do not differ in a number or identifier."""
        lexical = self.index._lexical
        a, b = lexical.row_terms(one), lexical.row_terms(other)
        common = len(np.intersect1d(a, b, assume_unique=True))
        union = len(a) + len(b) - common
        if common < self.settings.collapse.term_overlap * union:
            return False
        return not any(c.isdigit() for t in np.setxor1d(a, b, assume_unique=True) for c in lexical.terms[t])

    def _score_sentences(self, passages: list[tuple[int, Evidence]]) -> list[ScoredSentence]:
        index, settings = self.index, self.settings.sentences
        weights = question_weights(self.terms.idf, self.terms.unknown_mass, index._lexical.terms, settings)
        vector = self.scans.text.vector if self.scans.text is not None else None
        chosen = []
        for row, evidence in passages[: settings.passages]:
            shard = index._shard_of(row)
            chosen.append((index._sentences[shard], row - index._starts[shard], evidence.n))
        return score_sentences(chosen, vector, weights, settings)

    def _signals(self, passages: list[tuple[int, Evidence]], sentences: list[ScoredSentence]) -> Signals:
        lexical, terms = self.index._lexical, self.terms
        rows = [row for row, _ in passages]
        coverage = lexical.coverage(rows, terms.idf) / terms.idf_total if terms.idf_total else 0.0
        scores = [e.scores["dense"] for _, e in passages if "dense" in e.scores]
        retrieved = set(np.concatenate([lexical.row_terms(r) for r in rows]).tolist()) if terms.identifiers else set()
        unretrieved = [lexical.terms[t].removeprefix("#") for t in terms.identifiers if t not in retrieved]
        missing = (*terms.missing_identifiers, *unretrieved) if rows else terms.missing_identifiers
        features = AnswerabilityFeatures(
            dense=max(scores, default=0.0),
            coverage=coverage,
            sentence=max((s.score for s in sentences), default=0.0),
            unknown_share=len(terms.unknown) / max(len(terms.unknown) + len(terms.idf), 1),
            missing_identifiers=len(missing),
        )
        return Signals(
            dense=features.dense,
            coverage=coverage,
            unknown_terms=terms.unknown,
            missing_identifiers=missing,
            answerability=answerability(features) if passages else 0.0,
        )
