"""Ranks passages: candidates of every signal, fused, corrected by feedback from the best of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineside.search.dense_field import DenseField, DenseScan, best
from lineside.search.fusion import Signal, deviation, fuse
from lineside.search.lexical_index import LexicalIndex
from lineside.search.question import QuestionTerms
from lineside.search.sentence_field import SentenceField
from lineside.search.settings import FeedbackSettings, SearchSettings

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows (m,) best first, their fused scores (m,) and the scores of each signal (m,) before fusion."""

    rows: Rows
    fused: Floats
    scores: dict[str, Floats]

    def reordered(self, order: Rows, fused: Floats) -> Ranking:
        """The ranking in another order of its positions, with scores (m,) given for the present order."""
        return Ranking(self.rows[order], fused[order], {name: s[order] for name, s in self.scores.items()})


@dataclass(frozen=True, slots=True)
class Evidenced:
    """What a question gives the ranking: its scans of the vector spaces, its terms and their lexical scores.

    `lexical` (n,) belongs to the rows from `first` on. `favoured`: rows `[first, last)` whose scores are raised, by how
    much: the families that a recognised image belongs to. `penalised` (N,): incident reports where none is asked for.
    """

    text: DenseScan | None
    joint: DenseScan | None
    terms: QuestionTerms
    lexical: Floats
    first: int
    favoured: tuple[tuple[int, int, float], ...] = ()
    penalised: Mask | None = None


def rank_passages(
    allowed: Rows,
    question: Evidenced,
    field: DenseField,
    sentences: SentenceField,
    index: LexicalIndex,
    settings: SearchSettings,
    wanted: int,
) -> Ranking:
    """Ranks the union of every signal's best rows among `allowed`; every candidate gets every score.

    Only the best `wanted` are returned.
    """
    n = settings.candidates
    depth = max(n, wanted // 2)  # who asks for more than the usual candidates gets more; the scale stays that of `n`
    lexical_allowed = question.lexical[allowed - question.first]
    lexical_rows, lexical_top = best(allowed, lexical_allowed, depth)
    found, references = [lexical_rows[lexical_top > 0]], {"lexical": lexical_top}
    scans = {"dense": question.text, "joint": question.joint if settings.fusion.joint else None}
    for name, scan in scans.items():
        if scan is not None:
            rows, references[name] = scan.top(allowed, depth)
            found.append(rows)
    references = {name: _top(top, n) for name, top in references.items()}
    rows = np.unique(np.concatenate(found))
    scores = {name: scan.at(rows) for name, scan in scans.items() if scan is not None}
    scores["lexical"] = question.lexical[rows - question.first]
    if question.terms.identifiers:
        scores["identifier"] = index.share(
            rows,
            question.terms.identifiers,
            question.terms.identifier_mass,
            settings.fusion.identifier_in_body,
            settings.fusion.identifier_places,
        )
    vectors = 1 - settings.fusion.identifier_over_dense * question.terms.identifier_share**2
    weights = {
        "dense": settings.fusion.dense * vectors,
        "lexical": settings.fusion.lexical,
        "joint": settings.fusion.joint * vectors,
    }
    bonus = np.zeros(len(rows), np.float32)
    if "identifier" in scores:
        bonus += np.float32(settings.fusion.identifier) * scores["identifier"]
    for first, last, raised in question.favoured:
        bonus[(rows >= first) & (rows < last)] += np.float32(raised)
    if question.penalised is not None:
        bonus[question.penalised[rows]] -= np.float32(settings.incidents.penalty)
    fused = fuse([Signal(scores[name], top, weights[name]) for name, top in references.items()]) + bonus
    if settings.feedback.passages and len(rows):
        judged = fused
        if question.text is not None and settings.feedback.sentence:
            total = sum(weights[name] for name in references)
            unit = weights["dense"] / (total * deviation(references["dense"])) if total else 0.0
            judged = _by_sentences(
                rows, fused, scores["dense"], unit, question.text.vector, sentences, settings.feedback
            )
        second = _feedback(rows, judged, question, field, index, settings.feedback)
        references = {name: _top(second.get(name, scores[name]), n) for name in references}
        signals = [Signal(second.get(name, scores[name]), top, weights[name]) for name, top in references.items()]
        fused = fuse(signals) + bonus
    order = np.argsort(-fused, kind="stable")[:wanted]
    return Ranking(rows, fused, scores).reordered(order, fused)


def _by_sentences(
    rows: Rows,
    fused: Floats,
    dense: Floats,
    unit: float,
    vector: Floats,
    sentences: SentenceField,
    settings: FeedbackSettings,
) -> Floats:
    """Scores (m,) whose head is judged by its best sentences too: a long passage is about more than its answer.

    `unit`: what a cosine of 1 adds to a fused score. The rest of the candidates keeps its scores.
    """
    head = np.argsort(-fused, kind="stable")[: settings.sentence_passages]
    gain = sentences.best(rows[head], vector, dense[head]) - dense[head]
    judged = fused.copy()
    judged[head] += np.float32(settings.sentence * unit) * (gain - gain.mean())
    return judged


def _feedback(
    rows: Rows,
    fused: Floats,
    question: Evidenced,
    field: DenseField,
    index: LexicalIndex,
    settings: FeedbackSettings,
) -> dict[str, Floats]:
    """Dense and lexical scores (m,) of the candidates for the question extended by the best of them.

    Dense: Rocchio's mean of vectors; lexical: RM3's mixture of terms. Terms come from whole passages, so that both
    correct each other's misses. `fused` chooses the best.
    """
    head = np.argsort(-fused, kind="stable")[: settings.passages]
    weights = np.exp(settings.sharpness * (fused[head] - fused[head[0]]))
    weights /= weights.sum()
    found: dict[str, Floats] = {}
    if question.text is not None and settings.dense_weight:
        vectors = field.vectors(rows)
        extended = question.text.vector + np.float32(settings.dense_weight) * (weights @ vectors[head])
        found["dense"] = vectors @ (extended / np.linalg.norm(extended))
    if question.terms.weights and settings.term_weight and settings.terms:
        terms, share = index.expansion(rows[head], weights, settings.terms)
        share *= np.float32(settings.term_weight * sum(question.terms.weights.values()))
        span = (question.first, question.first + len(question.lexical))
        added = index.scores(zip(terms.tolist(), share.tolist(), strict=True), span)
        found["lexical"] = (question.lexical + added)[rows - question.first]
    return found


def _top(scores: Floats, n: int) -> Floats:
    return scores if len(scores) <= n else np.partition(scores, len(scores) - n)[-n:]


def reranked(ranking: Ranking, scores: Floats, weight: float) -> Ranking:
    """The ranking with its head reordered by a cross-encoder's scores (h,) in [0, 1] for the first h rows.

    Both scores are scaled to [0, 1] over the head and mixed; the head stays above the rest, which was not read again.
    """
    h = len(scores)
    if not h:
        return ranking
    head = ranking.fused[:h]
    spread = max(float(head[0] - head[-1]), 1e-9)
    below = float(ranking.fused[h]) if h < len(ranking.fused) else float(head[-1])
    mixed = ranking.fused.copy()
    mixed[:h] = below + spread * (weight * scores + (1 - weight) * (head - head[-1]) / spread)
    order = np.concatenate([np.argsort(-mixed[:h], kind="stable"), np.arange(h, len(mixed))])
    return ranking.reordered(order, mixed)
