"""Measures of a ranking against graded relevance, defined as trec_eval defines them.

nDCG has linear gain: a document of grade g adds g / log2(rank + 1), and grades below 1 add nothing (trec_eval's
`ndcg_cut`, which BEIR reports; Järvelin and Kekäläinen 2002). Documents of grade 1 and more are relevant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class RankingScores(NamedTuple):
    """Scores of one ranking, or their means over questions, all in [0, 1]."""

    ndcg_at_10: float
    recall_at_10: float
    recall_at_100: float
    mrr: float


def score_ranking(ranking: Sequence[str], grades: Mapping[str, int]) -> RankingScores:
    """Scores of distinct documents, best first, against the grades of the judged ones.

    Raises:
        ValueError: no document is relevant, so that nothing can be found.
    """
    relevant = {document for document, grade in grades.items() if grade > 0}
    if not relevant:
        raise ValueError("a ranking cannot be scored where no document is relevant")
    places = [place for place, document in enumerate(ranking) if document in relevant]
    return RankingScores(
        ndcg_at_10=_ndcg(ranking, grades, 10),
        recall_at_10=sum(place < 10 for place in places) / len(relevant),
        recall_at_100=sum(place < 100 for place in places) / len(relevant),
        mrr=1 / (places[0] + 1) if places else 0.0,
    )


def mean_scores(scores: Sequence[RankingScores]) -> RankingScores:
    """The mean of every measure; zeros where there are no scores."""
    if not scores:
        return RankingScores(0.0, 0.0, 0.0, 0.0)
    return RankingScores(*np.mean(np.array(scores, np.float64), axis=0).tolist())


def _ndcg(ranking: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    discount = 1 / np.log2(np.arange(2, depth + 2))
    gains = np.array([max(grades.get(document, 0), 0) for document in ranking[:depth]], np.float64)
    ideal = np.array(sorted((max(grade, 0) for grade in grades.values()), reverse=True)[:depth], np.float64)
    return float(gains @ discount[: len(gains)]) / float(ideal @ discount[: len(ideal)])
