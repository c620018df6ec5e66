"""One question against the rows of a release: ranked and folded evidence, scored sentences, signals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lineside.schema import Evidence, LabelVote
from lineside.search.answerability import AnswerabilityFeatures, answerability
from lineside.search.collapse import collapse
from lineside.search.contract import Reranker, ScoredSentence, SearchQuery, SearchResult, Signals, Vector
from lineside.search.dense_field import DenseScan
from lineside.search.effort import EffortUsed
from lineside.search.filters import Scope
from lineside.search.image_ranking import rank_images
from lineside.search.known_questions import NOTHING_KNOWN
from lineside.search.passage_ranking import Evidenced, Ranking, rank_passages, reranked
from lineside.search.question import asks_about_event, question_terms
from lineside.search.release_rows import ReleaseRows
from lineside.search.sentence_scores import held_together, question_weights, score_sentences
from lineside.search.settings import SearchSettings

Votes = list[tuple[LabelVote, list[int]]]

_BEST = 8
_AGREEING = 5
"""Best passages that are looked at for how far the best stands out, and for how far they are about one thing."""

_NO_SIGNALS = Signals(dense=0.0, coverage=0.0, unknown_terms=(), missing_identifiers=(), answerability=0.0)


@dataclass(frozen=True, slots=True)
class Scans:
    """A question's cosines: sentence space, joint space (question and frame, question alone, frame alone)."""

    text: DenseScan | None
    joint: DenseScan | None
    joint_text: DenseScan | None
    image: DenseScan | None

    def efforts(self) -> tuple[EffortUsed, ...]:
        """What the searches of approximate indexes spent so far."""
        distinct = {id(s): s for s in (self.text, self.joint, self.joint_text, self.image) if s is not None}
        return tuple(used for scan in distinct.values() for used in scan.used)


@dataclass(frozen=True, slots=True)
class _Best:
    """The best distinct passages, the same number whatever the caller wants: what tells of the whole result.

    Rows, their cosines to the question (m,) (0 without a vector), and those of the best one to the others (m - 1,).
    """

    rows: tuple[int, ...] = ()
    cosines: Vector = field(default_factory=lambda: np.empty(0, np.float32))
    agreement: Vector = field(default_factory=lambda: np.empty(0, np.float32))


class QuestionSearch:
    """One question against a release: rankings, evidence, sentences, signals."""

    def __init__(
        self,
        release: ReleaseRows,
        settings: SearchSettings,
        reranker: Reranker | None,
        query: SearchQuery,
        scope: Scope,
        votes: Votes,
        scans: Scans,
    ) -> None:
        self.release, self.settings, self.reranker = release, settings, reranker
        self.query, self.scope, self.votes, self.scans = query, scope, votes, scans
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
            release.lexical,
            scope.span,
            self.settings.lexical,
            images.pointing_weight,
            for_answer=query.for_answer,
        )
        self.lexical = release.lexical.scores(self.terms.weights.items(), scope.span)
        self.best = _Best()

    def result(self, dense_ms: float) -> SearchResult:
        begun = time.perf_counter()
        passages = self._passages()
        pictures = self._images(first=len(passages) + 1)
        ranked = time.perf_counter()
        sentences = self._score_sentences(passages) if self.query.for_answer else []
        signals = self._signals(passages, sentences) if self.query.for_answer else _NO_SIGNALS
        return SearchResult(
            release=self.release.number,
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
        release = self.release
        question = Evidenced(
            self.scans.text,
            self.scans.joint,
            self.terms,
            self.lexical,
            self.scope.span[0],
            self._favoured(),
            None if asks_about_event(self.query.text) else release.filters.is_incident,
        )
        wanted = max(2 * self.query.k + 8, self.settings.rerank.candidates + 1 if self.reranker else 0)
        ranking = rank_passages(
            self.scope.passages,
            question,
            release.text,
            release.sentence_field,
            release.lexical,
            self.settings,
            wanted,
        )
        if self.reranker is not None:
            texts = [release.template(int(row)).text for row in ranking.rows[: self.settings.rerank.candidates]]
            ranking = reranked(ranking, self.reranker.score(self.query.text, texts), self.settings.rerank.weight)
        head = ranking.rows[: 2 * self.query.k + 8]
        settings, vectors = self.settings.collapse, release.text.vectors(head)
        limit = max(self.query.k, _BEST)
        kept = collapse(head, vectors, release.hashes[head], limit, settings.cosine, self._same_words)
        if not kept:  # words alone were searched, and no passage has one
            return []
        places = [place for place, _ in kept[:_BEST]]
        cosines = ranking.scores["dense"][places] if "dense" in ranking.scores else np.zeros(len(places), np.float32)
        self.best = _Best(tuple(head[places].tolist()), cosines, vectors[places[1:_AGREEING]] @ vectors[places[0]])
        return self._evidence(ranking, kept[: self.query.k], first=1)

    def _in_words(self, vote: LabelVote, rows: Sequence[int]) -> list[tuple[str, float]]:
        """A label's words, and the captions of its frames, which share the weight: what most of them say counts."""
        label = vote.label.replace("-", " ").replace("_", " ")
        return [(label, 1.0), *((self.release.template(row).text, 1 / len(rows)) for row in rows)]

    def _favoured(self) -> tuple[tuple[int, int, float], ...]:
        """Spans of the families that the image's labels belong to, with what their passages' scores gain."""
        release, weight = self.release, self.settings.images.family_weight
        return tuple(
            (*release.spans[release.shards[release.shard_of(rows[0])].family], weight * vote.share)
            for vote, rows in self.counted
        )

    def _images(self, first: int) -> list[tuple[int, Evidence]]:
        allowed = self.scope.images
        if not len(allowed) or not self.query.k_images:
            return []
        release, settings = self.release, self.settings.images
        ranking = rank_images(
            allowed,
            self.scans.image,
            self.scans.joint_text,
            self.scans.text,
            self.lexical[allowed - self.scope.span[0]],
            sum(weight * float(release.lexical.idf[t]) for t, weight in self.terms.weights.items()),
            self.settings.candidates,
            3 * self.query.k_images + 4,
            settings,
        )
        head = ranking.rows
        kept = collapse(
            head,
            release.joint.vectors(head),
            np.arange(len(head), dtype=np.int64),  # equal captions do not make images equal
            self.query.k_images,
            settings.duplicate_cosine,
            lambda one, other: release.labels[one] == release.labels[other],
        )
        return self._evidence(ranking, kept, first)

    def _evidence(self, ranking: Ranking, kept: list[tuple[int, list[int]]], first: int) -> list[tuple[int, Evidence]]:
        release = self.release
        rows = ranking.rows[: kept[-1][0] + 1].tolist() if kept else []
        fused = ranking.fused.tolist()
        scores = {name: values.tolist() for name, values in ranking.scores.items()}
        found = []
        for n, (place, folded) in enumerate(kept, start=first):
            row = rows[place]
            duplicates = tuple(release.ids[ranking.rows[f]] for f in folded)
            signals = {name: values[place] for name, values in scores.items()}
            shard = release.shard_of(row)
            found.append((row, release.evidence.evidence(row, shard, n, fused[place], signals, duplicates)))
        return found

    def _same_words(self, one: int, other: int) -> bool:
        """Whether two rows share most terms and do not differ in a number or identifier."""
        lexical = self.release.lexical
        a, b = lexical.row_terms(one), lexical.row_terms(other)
        common = len(np.intersect1d(a, b, assume_unique=True))
        union = len(a) + len(b) - common
        if common < self.settings.collapse.term_overlap * union:
            return False
        return not any(c.isdigit() for t in np.setxor1d(a, b, assume_unique=True) for c in lexical.terms[t])

    def _score_sentences(self, passages: list[tuple[int, Evidence]]) -> list[ScoredSentence]:
        release, settings = self.release, self.settings.sentences
        weights = question_weights(self.terms.idf, self.terms.unknown_mass, release.lexical.terms, settings)
        vector = self.scans.text.vector if self.scans.text is not None else None
        chosen = []
        for row, evidence in passages[: settings.passages]:
            shard = release.shard_of(row)
            chosen.append((release.sentences[shard], row - release.starts[shard], evidence.n))
        return score_sentences(chosen, vector, weights, settings)

    def _signals(self, passages: list[tuple[int, Evidence]], sentences: list[ScoredSentence]) -> Signals:
        lexical, terms = self.release.lexical, self.terms
        rows = [row for row, _ in passages]
        coverage = lexical.coverage(rows, terms.idf) / terms.idf_total if terms.idf_total else 0.0
        scores = [e.scores["dense"] for _, e in passages if "dense" in e.scores]
        retrieved = set(np.concatenate([lexical.row_terms(r) for r in rows]).tolist()) if terms.identifiers else set()
        unretrieved = [lexical.terms[t].removeprefix("#") for t in terms.identifiers if t not in retrieved]
        missing = (*terms.missing_identifiers, *unretrieved) if rows else terms.missing_identifiers
        asked_before = self.release.known_questions
        covered = any(asked_before.cover(e.family) for _, e in passages[:1])
        known = asked_before.lean(self.query.text_vector, self.query.family) if covered else NOTHING_KNOWN
        features = AnswerabilityFeatures(
            dense=max(scores, default=0.0),
            coverage=coverage,
            sentence=max((s.score for s in sentences), default=0.0),
            missing_identifiers=len(missing),
            stands_out=_stands_out(self.best.cosines),
            agreement=float(self.best.agreement.mean()) if len(self.best.agreement) else 1.0,
            unmet_thing=self._unmet_thing(),
            unmet_neighbours=self._unmet_neighbours(),
            known_lean=None if known.nearest is None else known.lean,
        )
        return Signals(
            dense=features.dense,
            coverage=coverage,
            unknown_terms=terms.unknown,
            missing_identifiers=missing,
            answerability=answerability(features) if passages else 0.0,
            features=features,
            known=known.nearest,
        )

    def _unmet_thing(self) -> bool:
        """Whether part of the thing asked for is in none of the best passages."""
        if not self.terms.asked:
            return False
        held = set(np.concatenate([self.release.lexical.row_terms(row) for row in self.best.rows]).tolist())
        return not self.terms.asked <= held

    def _unmet_neighbours(self) -> float:
        """Share of the question's pairs of neighbouring words that no sentence of the best passages holds."""
        release, mass = self.release, self.terms.neighbour_mass
        if not mass:
            return 0.0
        places = [(release.shard_of(row), row) for row in self.best.rows[: self.settings.sentences.passages]]
        spans = [(release.sentences[shard], row - release.starts[shard]) for shard, row in places]
        together = held_together(spans, [(a, b) for a, b, _ in self.terms.neighbours])
        met = sum(weight for (_, _, weight), held in zip(self.terms.neighbours, together, strict=True) if held)
        return 1 - met / mass


def _stands_out(cosines: Vector) -> float:
    """How far the greatest is above the mean of the others; 0 where there are none."""
    top = int(cosines.argmax()) if len(cosines) else 0
    return float(cosines[top] - np.delete(cosines, top).mean()) if len(cosines) > 1 else 0.0
