from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.errors import ConfigurationError
from lineside.search import ReleaseIndex, SearchQuery, SearchSettings
from lineside.search.passage_ranking import Ranking, reranked
from lineside.search.settings import RerankSettings
from tests.shards.knowledge import embed


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights: the real architecture and path, no knowledge."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    path = tmp_path_factory.mktemp("cross-encoder")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] the a seal kit pump bearing grease code".split()
    (path / "vocab.txt").write_text("\n".join(words))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(path)
    BertTokenizer(str(path / "vocab.txt")).save_pretrained(path)
    return path


def test_a_cross_encoder_reorders_the_same_passages(shards: list[Path], cross_encoder: Path) -> None:
    settings = SearchSettings(rerank=RerankSettings(model=str(cross_encoder), weight=1.0))
    question = SearchQuery("seal kit", embed("seal kit"))
    plain = ReleaseIndex.open(shards, 1).search(question)
    read = ReleaseIndex.open(shards, 1, settings).search(question)
    assert {e.id for e in plain.evidence} == {e.id for e in read.evidence}
    scores = [e.score for e in read.evidence if e.kind == "passage"]
    assert scores == sorted(scores, reverse=True)


def test_a_model_that_is_not_there_is_a_configuration_error(shards: list[Path], tmp_path: Path) -> None:
    settings = SearchSettings(rerank=RerankSettings(model=str(tmp_path / "nothing")))
    with pytest.raises(ConfigurationError, match="nothing"):
        ReleaseIndex.open(shards, 1, settings)


@given(
    st.lists(st.floats(-2, 5, width=32), min_size=1, max_size=20),
    st.lists(st.floats(0, 1, width=32), max_size=20),
    st.floats(0, 1),
)
def test_the_head_stays_above_the_rest(fused: list[float], scores: list[float], weight: float) -> None:
    ranking = Ranking(np.arange(len(fused)), np.sort(np.array(fused, np.float32))[::-1], {})
    h = min(len(scores), len(fused))
    found = reranked(ranking, np.array(scores[:h], np.float32), weight)
    assert set(found.rows[:h].tolist()) == set(range(h))
    assert found.rows[h:].tolist() == list(range(h, len(fused)))
    assert all(np.diff(found.fused) <= 1e-5)
