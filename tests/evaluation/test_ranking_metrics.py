"""Measures of rankings: by hand, and against trec_eval itself."""

from __future__ import annotations

import math

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from lineside.evaluation.ranking_metrics import RankingScores, mean_scores, score_ranking

DOCUMENTS = [f"d{n}" for n in range(130)]


@st.composite
def judged_rankings(draw: st.DrawFn) -> tuple[list[str], dict[str, int]]:
    ranking = draw(st.permutations(DOCUMENTS))[: draw(st.integers(0, len(DOCUMENTS)))]
    judged = draw(st.lists(st.sampled_from([*DOCUMENTS, "absent"]), unique=True, min_size=1, max_size=40))
    grades = {document: draw(st.integers(-1, 4)) for document in judged}
    grades[judged[0]] = max(grades[judged[0]], 1)
    return ranking, grades


@given(judged_rankings())
def test_scores_are_those_of_trec_eval(judged: tuple[list[str], dict[str, int]]) -> None:
    ranking, grades = judged
    measures = {"ndcg_cut.10", "recall.10,100", "recip_rank"}
    run = {"q": {document: float(-place) for place, document in enumerate(ranking)}}
    evaluated = pytrec_eval.RelevanceEvaluator({"q": grades}, measures).evaluate(run)
    expected = evaluated.get("q", dict.fromkeys(("ndcg_cut_10", "recall_10", "recall_100", "recip_rank"), 0.0))
    found = score_ranking(ranking, grades)
    assert found.ndcg_at_10 == pytest.approx(expected["ndcg_cut_10"], abs=1e-6)
    assert found.recall_at_10 == pytest.approx(expected["recall_10"], abs=1e-6)
    assert found.recall_at_100 == pytest.approx(expected["recall_100"], abs=1e-6)
    assert found.mrr == pytest.approx(expected["recip_rank"], abs=1e-6)


def test_gain_is_linear_in_the_grade() -> None:
    found = score_ranking(["b", "a"], {"a": 3, "b": 1})
    assert found.ndcg_at_10 == pytest.approx((1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3)))


def test_a_relevant_document_that_is_not_found_lowers_recall() -> None:
    assert score_ranking(["a", "x"], {"a": 1, "b": 1}) == RankingScores(
        ndcg_at_10=pytest.approx(1 / (1 + 1 / math.log2(3))), recall_at_10=0.5, recall_at_100=0.5, mrr=1.0
    )


def test_a_ranking_without_relevant_documents_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="relevant"):
        score_ranking(["a"], {"a": 0})


def test_the_mean_weighs_every_question_alike() -> None:
    one, none = RankingScores(1, 1, 1, 1), RankingScores(0, 0, 0, 0)
    assert mean_scores([one, none, none, none]) == RankingScores(0.25, 0.25, 0.25, 0.25)
    assert mean_scores([]) == none
