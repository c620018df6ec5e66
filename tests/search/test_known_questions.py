"""Questions that were looked up before: which way they lean, and what they change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.search import ReleaseIndex, SearchQuery, SearchSettings
from lineside.search.known_questions import NOTHING_KNOWN, WIDTH, KnownLean, KnownQuestions
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


def lean(known: KnownQuestions, question: str, family: str | None = None) -> KnownLean:
    return known.lean(embed(question), family)


@pytest.mark.parametrize(
    ("question", "answered"),
    [("How heavy is the bearing?", False), ("How much grease for the bearing?", True), ("Who made the kit?", False)],
)
def test_a_question_leans_as_the_nearest_known_one(known: KnownQuestions, question: str, answered: bool) -> None:
    found = lean(known, question)
    assert found.nearest is not None
    assert found.nearest.answered is answered
    assert found.lean > 0.5 if answered else found.lean < -0.5


def test_a_known_question_is_found_by_its_own_words(known: KnownQuestions) -> None:
    found = lean(known, "Who made the seal kit?", "pump")
    assert found.nearest is not None
    assert found.nearest.text == "Who made the seal kit?"
    assert found.nearest.cosine == pytest.approx(1, abs=1e-3)


def test_a_family_is_judged_by_its_own_questions(known: KnownQuestions) -> None:
    assert lean(known, "How heavy is the bearing?", "pump").lean == pytest.approx(0, abs=0.2)
    assert lean(known, "How heavy is the bearing?", "coiler").nearest is None


def test_without_vector_or_questions_nothing_leans(known: KnownQuestions, opened: list[Shard]) -> None:
    assert known.lean(None, None) == NOTHING_KNOWN
    nothing = KnownQuestions([])
    assert (len(nothing), lean(nothing, "How heavy?")) == (0, NOTHING_KNOWN)


def test_a_family_without_known_questions_is_judged_as_before(opened: list[Shard], tmp_path: Path) -> None:
    pumps = Shard.open(write_shard(tmp_path, **pump().arguments()).path)
    drives = next(shard for shard in opened if shard.family == "drive")
    index = ReleaseIndex([drives, pumps], 7, SearchSettings())
    about_pumps, about_drives = (
        index.search(SearchQuery(q, text_vector=embed(q))).signals
        for q in ("Cavitation sounds like gravel, raise the suction pressure?", "How heavy is the bearing?")
    )
    assert about_pumps.features is not None
    assert (about_pumps.known, about_pumps.features.known_lean) == (None, None)
    assert about_drives.known is not None


def test_of_many_questions_only_the_nearest_count(tmp_path: Path) -> None:
    words = "bearing seal pump oil torque weight valve belt roll gap spring colour price depth".split()
    rng = np.random.default_rng(3)
    many = {"_".join(rng.choice(words, 4, replace=False)): bool(rng.integers(2)) for _ in range(1_500)}
    shard = Shard.open(write_shard(tmp_path, **replace(pump(), known=known_questions("pump", **many)).arguments()).path)
    vectors, signs = shard.known.vectors.astype(np.float32), np.where(shard.known.answered, 1, -1)
    assert len(signs) > 1_000
    for question in ("seal torque weight?", "colour of the spring", "What does a belt cost?"):
        weights = np.exp((vectors @ embed(question) - 1) / WIDTH)
        found = lean(KnownQuestions([shard]), question)
        assert found.lean == pytest.approx(float(weights @ signs / weights.sum()), abs=0.02)


@given(st.integers(0, 2**32 - 1))
def test_the_lean_stays_between_minus_one_and_one(known: KnownQuestions, seed: int) -> None:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    found = known.lean(vector / np.float32(np.linalg.norm(vector)), None)
    assert -1 <= found.lean <= 1


def test_the_search_says_what_is_known(opened: list[Shard], tmp_path: Path) -> None:
    bare = [write_shard(tmp_path, **replace(k, known=()).arguments()) for k in (drive(), pump())]
    query = SearchQuery("How heavy is the bearing?", text_vector=embed("How heavy is the bearing?"))
    asked = ReleaseIndex(opened, 7, SearchSettings()).search(query)
    without = ReleaseIndex.open([shard.path for shard in bare], 7).search(query)
    assert asked.signals.known is not None
    assert not asked.signals.known.answered
    assert without.signals.known is None
    assert asked.signals.answerability < without.signals.answerability
