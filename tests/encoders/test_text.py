"""The sentence encoder: unit rows in order, the same alone and in company, close to the reference."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lineside.encoders import Runtime, TextEncoder, load_text_encoder
from lineside.encoders.model_folder import text_fingerprint
from lineside.encoders.pretrained import PretrainedTextEncoder
from lineside.errors import ConfigurationError
from tests.encoders.conftest import OPENVINO, cosines

TEXTS = [
    "Why is this motor overheating?",
    "E-452",
    "",
    "The bearing alarm is raised at 95 °C. Reduce the load and check the grease. " * 6,
    "Grease the bearing every 2000 h with 40 g of lithium grease.",
    "轴承温度过高 ⚠",
    "Seal kit HX-200/A",
]


def test_the_production_engine_agrees_with_the_reference(
    text_encoder: TextEncoder, exact_text_encoder: TextEncoder
) -> None:
    assert cosines(text_encoder.encode(TEXTS), exact_text_encoder.encode(TEXTS)).min() > 0.999


def test_int8_questions_find_what_was_indexed_in_bfloat16(minilm: Path, text_encoder: TextEncoder) -> None:
    quick = load_text_encoder(minilm, runtime=OPENVINO.model_copy(update={"dtype": "int8"}))
    questions = [text for text in TEXTS if text]  # an empty one is refused before it is encoded
    assert cosines(quick.encode(questions), text_encoder.encode(questions)).min() > 0.997
    assert quick.fingerprint == text_encoder.fingerprint


def test_rows_are_float32_of_length_one(text_encoder: TextEncoder) -> None:
    rows = text_encoder.encode(TEXTS)
    assert rows.dtype == np.float32
    assert rows.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("max_batch", [1, 2, 3, 32])
def test_a_text_has_the_same_vector_alone_and_in_any_company(
    exact_text_encoder: PretrainedTextEncoder, max_batch: int
) -> None:
    encoder = PretrainedTextEncoder(
        exact_text_encoder.model,
        exact_text_encoder.tokenizer,
        fingerprint="",
        runtime=exact_text_encoder.runtime.model_copy(update={"max_batch": max_batch}),
    )
    alone = np.concatenate([exact_text_encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), alone, atol=2e-5)


@settings(max_examples=10)
@given(st.permutations(range(len(TEXTS))))
def test_rows_are_in_the_order_of_the_texts(text_encoder: TextEncoder, order: list[int]) -> None:
    straight, mixed = text_encoder.encode(TEXTS), text_encoder.encode([TEXTS[i] for i in order])
    assert cosines(straight[order], mixed).min() > 0.999


def test_no_texts_give_no_rows(text_encoder: TextEncoder) -> None:
    assert text_encoder.encode([]).shape == (0, 384)
    assert text_encoder.count_tokens([]) == []


def test_long_texts_are_cut_and_counted_whole(text_encoder: TextEncoder) -> None:
    long = "valve " * 2_000
    assert text_encoder.count_tokens([long, "valve", ""]) == [2_000, 1, 0]
    ((_, ids, mask),) = text_encoder.token_batches([long])
    assert ids.shape == mask.shape == (1, 256)
    assert cosines(text_encoder.encode([long]), text_encoder.encode(["valve " * 254])).min() > 0.999


def test_similar_meanings_are_closer_than_others(text_encoder: TextEncoder) -> None:
    asked, close, far = text_encoder.encode(
        ["The motor is too hot", "overheating of the electric drive", "how to fold a paper crane"]
    )
    assert asked @ close > asked @ far + 0.3


def test_the_fingerprint_follows_what_decides_the_vectors(minilm: Path, tmp_path: Path) -> None:
    known = load_text_encoder(minilm, runtime=OPENVINO).fingerprint
    assert load_text_encoder(minilm, runtime=Runtime(engine="torch", threads=2)).fingerprint == known
    assert load_text_encoder(minilm, max_tokens=128).fingerprint != known
    copy = shutil.copytree(minilm, tmp_path / "copy")
    (copy / "README.md").write_text("another card")
    assert load_text_encoder(copy).fingerprint == known
    with (copy / "vocab.txt").open("a") as vocabulary:
        vocabulary.write("[another]\n")
    assert load_text_encoder(copy).fingerprint != known


def test_the_fingerprint_follows_weights_that_are_replaced_by_as_many_bytes(minilm: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes((minilm / "config.json").read_bytes())
    weights = copy / "model.safetensors"
    weights.write_bytes(b"a" * 1000)
    known = text_fingerprint(copy)
    assert text_fingerprint(copy) == known
    weights.write_bytes(b"b" * 1000)
    assert text_fingerprint(copy) != known


def test_a_missing_model_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"make setup.*set the path"):
        load_text_encoder(tmp_path / "nothing")


@pytest.mark.parametrize(
    "fields",
    [
        {"engine": "openvino", "device": "cuda"},
        {"engine": "openvino", "dtype": "float16"},
        {"engine": "torch", "dtype": "int8"},
        {"engine": "torch", "streams": 2},
        {"threads": 0},
        {"max_batch": 0},
        {"engine": "tensorrt"},
        {"batch": 8},
    ],
)
def test_a_runtime_that_cannot_work_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Runtime.model_validate(fields)
