"""Hybrid search over the shards of a release: dense text, dense joint and lexical, fused, with everything cited."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
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
from lineside.search.dense_field import DenseField, DenseScan, FieldPart, best
from lineside.search.evidence import EvidenceRows
from lineside.search.filters import FilterColumns, Scope
from lineside.search.fusion import Signal, fuse
from lineside.search.label_votes import vote
from lineside.search.lexical_index import LexicalIndex
from lineside.search.question import QuestionTerms, question_terms
from lineside.search.sentence_scores import ShardSentences, question_weights, score_sentences
from lineside.search.settings import RerankSettings, SearchSettings
from lineside.shards.images import StoredImage
from lineside.shards.reader import Shard

if TYPE_CHECKING:
    from lineside.search.rerank import Reranker

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Votes = list[tuple[LabelVote, int]]

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
        self._sentences = [ShardSentences(s, m) for s, m in zip(self._shards, self._lexical.to_release, strict=True)]
        self._scopes: dict[tuple[str | None, str], Scope] = {}
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
    def families(self) -> tuple[str, ...]:
        return tuple(self._spans)

    @property
    def fingerprints(self) -> dict[str, str]:
        """What made the vectors; the encoders of questions must have the same fingerprints."""
        return dict(self._shards[0].manifest.fingerprints)

    def __len__(self) -> int:
        return self._starts[-1]

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

    def search_batch(self, queries: Sequence[SearchQuery]) -> list[SearchResult]:
        """Results in the order of the queries. An unknown family has no rows, so its result is empty."""
        started = time.perf_counter()
        spans = [self._span_all if q.family is None else self._spans.get(q.family, (0, 0)) for q in queries]
        scopes = [self._scope(q.family, span, q.filters) for q, span in zip(queries, spans, strict=True)]
        image_scans = self._joint.scan([q.image_vector for q in queries], spans)
        votes = [self._vote(q, s, scan) for q, s, scan in zip(queries, scopes, image_scans, strict=True)]
        texts = [self._text_vector(q, v) for q, v in zip(queries, votes, strict=True)]
        joints = [_mean([q.joint_text_vector, q.image_vector]) for q in queries]
        text_scans = self._text.scan(texts, spans)
        joint_scans = self._joint.scan(joints, spans)
        joint_text_scans = self._joint.scan([q.joint_text_vector for q in queries], spans)
        dense_ms = (time.perf_counter() - started) * 1000
        results = []
        for i, query in enumerate(queries):
            begun = time.perf_counter()
            one = _Search(self, query, scopes[i], votes[i], text_scans[i], joint_scans[i])
            images = (image_scans[i], joint_text_scans[i])
            result = one.result(images, dense_ms, begun)
            results.append(result)
        return results

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
        rows, scores = scan.top(frames[self._votes_from[frames]], self.settings.images.vote_frames)
        return vote(
            rows, scores, lambda r: self._labels[r] or "", lambda r: self._template(r).text, self.settings.images
        )

    def _text_vector(self, query: SearchQuery, votes: Votes) -> Vector | None:
        settings = self.settings.images
        counted = [(v.share, row) for v, row in votes if v.share >= settings.vote_share_min]
        if not counted:
            return query.text_vector
        shares = np.array([share for share, _ in counted], np.float32)
        captions = shares @ self._text.vectors(np.array([row for _, row in counted], np.int64))
        own = np.zeros_like(captions) if query.text_vector is None else query.text_vector
        return _mean([own + np.float32(settings.label_dense_weight) * captions])

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
    total = np.sum(present, axis=0, dtype=np.float32)
    norm = float(np.linalg.norm(total))
    return total / norm if norm > 0 else total


class _Search:
    """One question against a release: candidates, fusion, evidence, sentences, signals."""

    def __init__(
        self,
        index: ReleaseIndex,
        query: SearchQuery,
        scope: Scope,
        votes: Votes,
        text: DenseScan | None,
        joint: DenseScan | None,
    ) -> None:
        self.index, self.query, self.scope, self.votes, self.text, self.joint = index, query, scope, votes, text, joint
        self.settings = index.settings
        images = self.settings.images
        captions = [
            (vote.caption, images.label_lexical_weight * vote.share)
            for vote, _ in votes
            if vote.share >= images.vote_share_min
        ]
        self.terms: QuestionTerms = question_terms(
            query.text, query.context, captions, index._lexical, scope.span, self.settings.lexical
        )
        self.lexical = index._lexical.scores(self.terms.weights, scope.span)

    def result(self, images: tuple[DenseScan | None, DenseScan | None], dense_ms: float, begun: float) -> SearchResult:
        passages = self._passages()
        pictures = self._images(*images, first=len(passages) + 1)
        ranked_ms = (time.perf_counter() - begun) * 1000
        sentences = self._score_sentences(passages)
        evidence = tuple(e for _, e in passages) + pictures
        signals = self._signals(passages, sentences)
        return SearchResult(
            release=self.index.release,
            evidence=evidence,
            sentences=tuple(sentences),
            labels=tuple(v for v, _ in self.votes),
            signals=signals,
            stages_ms={
                "dense": dense_ms,
                "rank": ranked_ms,
                "sentences": (time.perf_counter() - begun) * 1000 - ranked_ms,
            },
        )

    def _lexical_at(self, rows: Rows) -> Floats:
        return self.lexical[rows - self.scope.span[0]]

    def _candidates(self, allowed: Rows) -> Rows:
        """Union of the best rows of every signal, ascending."""
        n = self.settings.candidates
        found = [scan.top(allowed, n)[0] for scan in (self.text, self.joint) if scan is not None]
        rows, scores = best(allowed, self._lexical_at(allowed), n)
        found.append(rows[scores > 0])
        return np.unique(np.concatenate(found))

    def _passages(self) -> list[tuple[int, Evidence]]:
        rows = self._candidates(self.scope.passages)
        if not len(rows):
            return []
        weights = self.settings.fusion
        lexical = self._lexical_at(rows)
        signals = [Signal(lexical, weights.lexical)]
        scores = {"lexical": lexical}
        if self.text is not None:
            scores["dense"] = self.text.at(rows)
            signals.append(Signal(scores["dense"], weights.dense))
        if self.joint is not None and weights.joint:
            scores["joint"] = self.joint.at(rows)
            signals.append(Signal(scores["joint"], weights.joint))
        fused = fuse(signals)
        if self.terms.identifiers:
            scores["identifier"] = self._identifier_share(rows)
            fused = fused + np.float32(weights.identifier) * scores["identifier"]
        order = np.argsort(-fused, kind="stable")
        if self.index._reranker is not None:
            order, fused = self._rerank(rows, order, fused)
        order = order[: 3 * self.query.k + 8]
        settings = self.settings.collapse
        kept = collapse(
            rows[order],
            self.index._text.vectors(rows[order]),
            self.index._hashes[rows[order]],
            self.query.k,
            settings.cosine,
            self._same_words,
        )
        found = []
        for n, (position, folded) in enumerate(kept, start=1):
            at = order[position]
            row = int(rows[at])
            evidence = self.index._evidence.evidence(
                row,
                self.index._shard_of(row),
                n,
                float(fused[at]),
                {name: float(values[at]) for name, values in scores.items()},
                tuple(self.index._ids[int(rows[order[f]])] for f in folded),
            )
            found.append((row, evidence))
        return found

    def _identifier_share(self, rows: Rows) -> Floats:
        """Share of the idf of the question's identifiers that each row contains."""
        found = np.zeros(len(rows), np.float32)
        lexical = self.index._lexical
        for term, idf in self.terms.identifiers.items():
            containing = lexical.rows[lexical.indptr[term] : lexical.indptr[term + 1]]
            found[np.isin(rows, containing)] += idf
        missing = len(self.terms.missing_identifiers) * lexical.unseen_idf
        return found / np.float32(sum(self.terms.identifiers.values()) + missing)

    def _same_words(self, one: int, other: int) -> bool:
        """Whether two rows share most terms and do not differ in a number or identifier."""
        lexical = self.index._lexical
        a, b = lexical.row_terms(one), lexical.row_terms(other)
        common = len(np.intersect1d(a, b, assume_unique=True))
        union = len(a) + len(b) - common
        if common < self.settings.collapse.term_overlap * union:
            return False
        return not any(c.isdigit() for t in np.setxor1d(a, b, assume_unique=True) for c in lexical.terms[t])

    def _rerank(self, rows: Rows, order: Rows, fused: Floats) -> tuple[Rows, Floats]:
        settings = self.settings.rerank
        head = order[: settings.candidates]
        reranker = self.index._reranker
        if reranker is None:
            return order, fused
        texts = [self.index._template(int(rows[i])).text for i in head]
        mixed = fused.copy()
        # The head stays above the rest: the cross-encoder has not read the rest.
        floor = float(fused[order[settings.candidates]]) if len(order) > settings.candidates else 0.0
        scores = reranker.score(self.query.text, texts)
        mixed[head] = floor + settings.weight * scores + (1 - settings.weight) * (fused[head] - floor)
        return np.argsort(-mixed, kind="stable"), mixed

    def _images(self, image: DenseScan | None, joint_text: DenseScan | None, first: int) -> tuple[Evidence, ...]:
        allowed = self.scope.images
        if not len(allowed) or not self.query.k_images:
            return ()
        settings = self.settings.images
        n = self.settings.candidates
        scans = {"image": image, "joint": joint_text, "dense": self.text}
        weights = {
            "image": settings.image_weight,
            "joint": settings.joint_text_weight,
            "dense": settings.caption_weight,
        }
        present = {name: scan for name, scan in scans.items() if scan is not None}
        lexical = self._lexical_at(allowed)
        found = [scan.top(allowed, n)[0] for scan in present.values()]
        rows, best_lexical = best(allowed, lexical, n)
        rows = np.unique(np.concatenate([*found, rows[best_lexical > 0]]))
        if not len(rows):
            return ()
        scores = {name: scan.at(rows) for name, scan in present.items()}
        scores["lexical"] = self._lexical_at(rows)
        share = scores["lexical"] / max(
            sum(w * self.index._lexical.idf[t] for t, w in self.terms.weights.items()), 1e-9
        )
        total = settings.caption_lexical_weight + sum(weights[name] for name in present)
        summed = np.sum([weights[name] * scores[name] for name in present], axis=0) if present else 0.0
        fused = ((summed + settings.caption_lexical_weight * share.clip(0, 1)) / total).astype(np.float32)
        order = np.argsort(-fused, kind="stable")[: 4 * self.query.k_images]
        order = order[fused[order] >= settings.score_floor]
        joint = self.index._joint
        kept = collapse(
            rows[order],
            joint.vectors(rows[order]),
            np.arange(len(order), dtype=np.int64),  # equal captions do not make images equal
            self.query.k_images,
            settings.duplicate_cosine,
            lambda one, other: self.index._labels[one] == self.index._labels[other],
        )
        return tuple(
            self.index._evidence.evidence(
                int(rows[order[position]]),
                self.index._shard_of(int(rows[order[position]])),
                n,
                float(fused[order[position]]),
                {name: float(values[order[position]]) for name, values in scores.items()},
                tuple(self.index._ids[int(rows[order[f]])] for f in folded),
            )
            for n, (position, folded) in enumerate(kept, start=first)
        )

    def _score_sentences(self, passages: list[tuple[int, Evidence]]) -> list[ScoredSentence]:
        settings = self.settings.sentences
        index = self.index
        unseen = len(self.terms.unknown) * index._lexical.unseen_idf
        weights = question_weights(self.terms.idf, unseen, index._lexical.terms, settings)
        vector = None if self.query.text_vector is None else self.query.text_vector
        chosen = []
        for row, evidence in passages[: settings.passages]:
            shard = index._shard_of(row)
            chosen.append((index._sentences[shard], row - index._starts[shard], evidence.n))
        return score_sentences(chosen, vector, weights, settings)

    def _signals(self, passages: list[tuple[int, Evidence]], sentences: list[ScoredSentence]) -> Signals:
        lexical = self.index._lexical
        contained: set[int] = set()
        coverage = 0.0
        for row, _ in passages:
            terms = set(lexical.row_terms(row).tolist())
            contained |= terms & self.terms.identifiers.keys()
            mass = sum(idf for term, idf in self.terms.idf.items() if term in terms)
            coverage = max(coverage, mass / self.terms.idf_total if self.terms.idf_total else 0.0)
        dense = 0.0
        if self.query.text_vector is not None and passages:
            rows = np.array([row for row, _ in passages], np.int64)
            dense = float((self.index._text.vectors(rows) @ self.query.text_vector).max())
        unretrieved = [lexical.terms[t].removeprefix("#") for t in self.terms.identifiers if t not in contained]
        missing = (*self.terms.missing_identifiers, *unretrieved)
        unknown_mass = len(self.terms.unknown) * lexical.unseen_idf
        features = AnswerabilityFeatures(
            dense=dense,
            coverage=coverage,
            sentence=max((s.score for s in sentences), default=0.0),
            unknown_share=unknown_mass / self.terms.idf_total if self.terms.idf_total else 0.0,
            missing_identifiers=len(missing),
        )
        return Signals(
            dense=dense,
            coverage=coverage,
            unknown_terms=self.terms.unknown,
            missing_identifiers=missing,
            answerability=answerability(features) if passages else 0.0,
        )
