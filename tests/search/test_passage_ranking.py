"""Ranking of passages: which of them extend the question."""

from __future__ import annotations

import numpy as np

from lineside.search.passage_ranking import _by_sentences
from lineside.search.settings import FeedbackSettings


class Sentences:
    """Best cosines by row, as a `SentenceField` has them."""

    def __init__(self, best: list[float]) -> None:
        self._best = np.array(best, np.float32)

    def best(self, rows: np.ndarray, vector: np.ndarray, absent: np.ndarray) -> np.ndarray:
        return self._best[rows]


ROWS = np.arange(4)
FUSED = np.array([2.0, 1.9, 1.0, 0.0], np.float32)
DENSE = np.array([0.5, 0.5, 0.5, 0.5], np.float32)


def judged(best: list[float], passages: int = 3) -> np.ndarray:
    settings = FeedbackSettings(sentence=0.5, sentence_passages=passages)
    return _by_sentences(ROWS, FUSED, DENSE, 1.0, np.ones(2, np.float32), Sentences(best), settings)


def test_a_passage_with_a_nearer_sentence_comes_before_one_that_is_near_as_a_whole() -> None:
    assert np.argmax(judged([0.5, 0.9, 0.5, 0.5])) == 1


def test_sentences_that_are_all_alike_change_nothing() -> None:
    np.testing.assert_allclose(judged([0.8, 0.8, 0.8, 0.1]), FUSED, atol=1e-6)


def test_passages_beyond_the_head_are_not_looked_at() -> None:
    assert judged([0.5, 0.5, 0.5, 0.99])[3] == FUSED[3]
