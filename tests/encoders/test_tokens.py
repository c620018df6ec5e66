"""Tokens are counted alike with and without torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineside.encoders import TextEncoder, load_text_encoder
from lineside.encoders.tokens import load_token_counter
from lineside.errors import ConfigurationError
from tests.encoders.conftest import TORCH_FP32

TEXTS = ["", "E-452", "The seal drips.", "Überdruck – 95 °C", "a b " * 400, "\ufffd\u200b 漏れ"]


@pytest.fixture(scope="module")
def encoder(minilm: Path) -> TextEncoder:
    return load_text_encoder(minilm, runtime=TORCH_FP32)


def test_counts_are_those_of_the_encoder(encoder: TextEncoder, minilm: Path) -> None:
    assert load_token_counter(minilm)(TEXTS) == encoder.count_tokens(TEXTS)
    assert load_token_counter(minilm)([]) == []


def test_a_model_without_a_fast_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json"):
        load_token_counter(tmp_path)
