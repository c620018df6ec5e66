"""A question's two vectors: one pass through a shared trunk gives what two encoders give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lineside.encoders import QuestionEncoder, TextEncoder, load_joint_encoder
from tests.encoders.conftest import OPENVINO, TORCH_FP32, cosines
from tests.encoders.models import save_clip, save_dual_encoder, save_tiny_vit, tiny_clip_config

QUESTIONS = ["Why is this motor overheating?", "E-452", "", "Which seal fits pump P-103? " * 30, "What is shown here?"]


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Path:
    return save_dual_encoder(tmp_path_factory.mktemp("models") / "dual", minilm)


def test_a_shared_trunk_is_recognised_and_gives_what_separate_encoders_give(
    exact_text_encoder: TextEncoder, dual: Path
) -> None:
    joint = load_joint_encoder(dual, runtime=TORCH_FP32)
    encoder = QuestionEncoder(exact_text_encoder, joint)
    assert encoder.shares_trunk
    text_rows, joint_rows = encoder.encode(QUESTIONS)
    assert joint_rows is not None
    np.testing.assert_allclose(text_rows, exact_text_encoder.encode(QUESTIONS), atol=2e-5)
    np.testing.assert_allclose(joint_rows, joint.encode_texts(QUESTIONS), atol=2e-5)


@pytest.mark.slow
def test_so_it_does_in_production_precision(text_encoder: TextEncoder, dual: Path) -> None:
    joint = load_joint_encoder(dual, runtime=OPENVINO)
    encoder = QuestionEncoder(text_encoder, joint)
    assert encoder.shares_trunk
    text_rows, joint_rows = encoder.encode(QUESTIONS)
    assert joint_rows is not None
    assert cosines(text_rows, text_encoder.encode(QUESTIONS)).min() > 0.999
    assert cosines(joint_rows, joint.encode_texts(QUESTIONS)).min() > 0.999


def test_a_text_tower_that_differs_in_one_weight_shares_nothing(
    exact_text_encoder: TextEncoder, minilm: Path, tmp_path: Path
) -> None:
    joint = load_joint_encoder(save_dual_encoder(tmp_path / "d", minilm, disturbed=True), runtime=TORCH_FP32)
    encoder = QuestionEncoder(exact_text_encoder, joint)
    assert not encoder.shares_trunk
    _, joint_rows = encoder.encode(QUESTIONS)
    assert joint_rows is not None
    np.testing.assert_allclose(joint_rows, joint.encode_texts(QUESTIONS), atol=2e-5)


def test_encoders_of_different_precision_share_nothing(text_encoder: TextEncoder, dual: Path) -> None:
    assert not QuestionEncoder(text_encoder, load_joint_encoder(dual, runtime=TORCH_FP32)).shares_trunk


def test_batch_sizes_and_threads_may_differ_in_a_shared_trunk(exact_text_encoder: TextEncoder, dual: Path) -> None:
    other = exact_text_encoder.runtime.model_copy(update={"max_batch": 3, "threads": 2})
    assert QuestionEncoder(exact_text_encoder, load_joint_encoder(dual, runtime=other)).shares_trunk


def test_another_architecture_shares_nothing_and_gives_both_vectors(
    exact_text_encoder: TextEncoder, tmp_path: Path
) -> None:
    joint = load_joint_encoder(save_clip(tmp_path / "clip", tiny_clip_config()), runtime=TORCH_FP32)
    encoder = QuestionEncoder(exact_text_encoder, joint)
    assert not encoder.shares_trunk
    text_rows, joint_rows = encoder.encode(QUESTIONS)
    assert joint_rows is not None
    assert (text_rows.shape, joint_rows.shape) == ((5, 384), (5, 24))


def test_without_a_text_tower_there_is_no_joint_vector(exact_text_encoder: TextEncoder, tmp_path: Path) -> None:
    joint = load_joint_encoder(save_tiny_vit(tmp_path / "vit"), runtime=TORCH_FP32)
    for encoder in (QuestionEncoder(exact_text_encoder), QuestionEncoder(exact_text_encoder, joint)):
        assert not encoder.shares_trunk
        text_rows, joint_rows = encoder.encode(QUESTIONS)
        assert joint_rows is None
        assert text_rows.shape == (5, 384)


def test_no_questions_give_no_rows(exact_text_encoder: TextEncoder, dual: Path) -> None:
    text_rows, joint_rows = QuestionEncoder(exact_text_encoder, load_joint_encoder(dual, runtime=TORCH_FP32)).encode([])
    assert joint_rows is not None
    assert (len(text_rows), len(joint_rows)) == (0, 0)
