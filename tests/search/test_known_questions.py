"""Questions that were looked up before: which way they lean, and what they change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.search import ReleaseIndex, SearchQuery
from lineside.search.known_questions import KnownQuestions
from lineside.shards import Shard, write_shard
from tests.shards.knowledge import DIMENSION, drive, embed, known_questions, pump


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> list[Shard]:
    root = tmp_path_factory.mktemp("known")
    pumps = replace(pump(), known=known_questions("pump", What_is_the_seal_kit=True, Who_made_the_seal_kit=False))
    return [Shard.open(write_shard(root, **knowledge.arguments()).path) for knowledge in (drive(), pumps)]


@pytest.fixture(scope="module")
def known(opened: list[Shard]) -> KnownQuestions:
    return KnownQuestions(opened)


@pytest.mark.parametrize(
    ("question", "answered"),
    [("How heavy is the bearing?", False), ("How much grease for the bearing?", True), ("Who made the kit?", False)],
)
def test_a_question_leans_as_the_nearest_known_one(known: KnownQuestions, question: str, answered: bool) -> None:
    found = known.lean(embed(question), None)
    assert found.nearest is not None
    assert found.nearest.answered is answered
    assert found.lean > 0.5 if answered else found.lean < -0.5


def test_a_known_question_is_found_by_its_own_words(known: KnownQuestions) -> None:
    found = known.lean(embed("Who made the seal kit?"), "pump")
    assert found.nearest is not None
    assert found.nearest.text == "Who made the seal kit?"
    assert found.nearest.cosine == pytest.approx(1, abs=1e-3)


def test_a_family_is_judged_by_its_own_questions(known: KnownQuestions) -> None:
    assert known.lean(embed("How heavy is the bearing?"), "pump").lean == pytest.approx(0, abs=0.2)
    assert known.lean(embed("How heavy is the bearing?"), "coiler").nearest is None


def test_without_vector_or_questions_nothing_leans(known: KnownQuestions, opened: list[Shard]) -> None:
    assert known.lean(None, None).lean == 0
    nothing = KnownQuestions([])
    assert (len(nothing), nothing.lean(embed("How heavy?"), None).nearest) == (0, None)


@given(st.integers(0, 2**32 - 1))
def test_the_lean_stays_between_minus_one_and_one(known: KnownQuestions, seed: int) -> None:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    found = known.lean(vector / np.float32(np.linalg.norm(vector)), None)
    assert -1 <= found.lean <= 1


def test_the_search_says_what_is_known(opened: list[Shard], tmp_path: Path) -> None:
    index = ReleaseIndex(opened, 7, ReleaseIndex.open([s.path for s in _written(tmp_path)], 7).settings)
    question = "How heavy is the bearing?"
    asked = index.search(SearchQuery(question, text_vector=embed(question)))
    without = ReleaseIndex.open([s.path for s in _written(tmp_path)], 7).search(
        SearchQuery(question, text_vector=embed(question))
    )
    assert asked.signals.known is not None
    assert not asked.signals.known.answered
    assert without.signals.known is None
    assert asked.signals.answerability < without.signals.answerability


def _written(folder: Path) -> list[object]:
    return [write_shard(folder, **replace(knowledge, known=()).arguments()) for knowledge in (drive(), pump())]
