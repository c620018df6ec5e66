"""Operation counts agree with published ones."""

from __future__ import annotations

import pytest
from transformers import BertConfig, CLIPConfig

from benchmarks.flops import Tower, tower_of


def test_clip_vit_b32_image_takes_the_published_operations() -> None:
    """4.4 billion multiply-adds an image (Radford et al. 2021, table 20: 8.7 GFLOP counted as two)."""
    tower = tower_of(CLIPConfig().vision_config, projection=512)
    assert tower.tokens == 50
    assert tower.flop() == pytest.approx(8.7e9, rel=0.03)


def test_text_tower_grows_with_batch_and_more_than_linearly_with_tokens() -> None:
    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    short, long = tower_of(config, tokens=19), tower_of(config, tokens=190)
    assert short.flop(32) == 32 * short.flop()
    assert long.flop() > 10 * short.flop()


def test_linear_layers_of_a_text_tower_cost_two_operations_a_weight_and_token() -> None:
    tower = Tower(layers=6, hidden=384, feed_forward=1536, heads=12, tokens=1)
    weights = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    attention = 6 * 2 * 2 * 384
    assert tower.flop() == 2 * weights + attention


def test_text_tower_needs_its_tokens() -> None:
    with pytest.raises(ValueError, match="tokens"):
        tower_of(BertConfig())
