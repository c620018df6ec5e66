"""Joint encoders of every supported architecture load from a folder and put images and texts into one space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPConfig

from lineside.encoders import JointEncoder, Runtime, load_joint_encoder
from lineside.encoders.pretrained import PretrainedJointEncoder
from lineside.errors import ConfigurationError
from tests.encoders.conftest import OPENVINO, TORCH_FP32, cosines, photographs
from tests.encoders.models import save_clip, save_dual_encoder, save_tiny_siglip, save_tiny_vit, tiny_clip_config

TEXTS = ["a hot bearing", "x", "an oil leak below the gearbox " * 8, "a pressure gauge at 45 bar"]


@pytest.fixture(scope="module", params=["clip", "siglip", "dual"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Path:
    target = tmp_path_factory.mktemp("models") / request.param
    if request.param == "clip":
        return save_clip(target, tiny_clip_config())
    return save_tiny_siglip(target) if request.param == "siglip" else save_dual_encoder(target, minilm)


@pytest.fixture(scope="module")
def exact(folder: Path) -> JointEncoder:
    """The reference; it starts at once, where the production engine compiles for seconds."""
    return load_joint_encoder(folder, runtime=TORCH_FP32)


def test_images_and_texts_are_unit_rows_of_one_space(exact: JointEncoder) -> None:
    images, texts = exact.encode_images(photographs(3)), exact.encode_texts(TEXTS)
    assert images.shape == (3, exact.dimension)
    assert texts.shape == (4, exact.dimension)
    for rows in (images, texts):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_the_production_engine_agrees_with_the_reference(folder: Path, exact: JointEncoder) -> None:
    encoder = load_joint_encoder(folder, runtime=OPENVINO)
    images = photographs(5)
    assert cosines(encoder.encode_images(images), exact.encode_images(images)).min() > 0.999
    assert cosines(encoder.encode_texts(TEXTS), exact.encode_texts(TEXTS)).min() > 0.999


def test_rows_are_in_order_and_the_same_alone_and_in_company(exact: JointEncoder) -> None:
    exact.runtime = exact.runtime.model_copy(update={"max_batch": 2})
    images = photographs(5)
    alone = np.concatenate([exact.encode_images([image]) for image in images])
    np.testing.assert_allclose(exact.encode_images(images), alone, atol=2e-5)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    alone = np.concatenate([exact.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(exact.encode_texts(TEXTS), alone, atol=2e-5)


def test_nothing_in_gives_no_rows(exact: JointEncoder) -> None:
    assert exact.encode_images([]).shape == exact.encode_texts([]).shape == (0, exact.dimension)


def test_a_text_of_any_length_is_cut_to_what_the_tower_takes(exact: JointEncoder) -> None:
    assert exact.encode_texts(["bearing " * 2_000]).shape == (1, exact.dimension)


@pytest.mark.parametrize("size", [(1, 1), (1, 16_384), (16_384, 1), (7, 3_000)])
def test_strips_are_encoded_without_being_blown_up(
    exact: JointEncoder, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    resize, areas = Image.Image.resize, []

    def measured(image: Image.Image, size: tuple[int, int], *arguments: Any, **options: Any) -> Image.Image:
        areas.append(size[0] * size[1])
        return resize(image, size, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", measured)
    assert exact.encode_images([Image.new("RGB", size, "red")]).shape == (1, exact.dimension)
    assert 0 < max(areas) <= 4 * 32 * 32


def test_the_fingerprint_tells_models_apart_and_is_no_text_encoders(folder: Path, tmp_path: Path) -> None:
    other = save_tiny_vit(tmp_path / "other")
    known = load_joint_encoder(folder, runtime=OPENVINO).fingerprint
    assert known == load_joint_encoder(folder, runtime=TORCH_FP32).fingerprint
    assert known != load_joint_encoder(other).fingerprint


def test_a_backbone_without_text_tower_encodes_images_and_says_what_it_cannot_do(tmp_path: Path) -> None:
    encoder = load_joint_encoder(save_tiny_vit(tmp_path / "vit"), runtime=TORCH_FP32)
    assert not encoder.encodes_text
    rows = encoder.encode_images(photographs(3))
    assert rows.shape == (3, 32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigurationError, match="compares images with images only"):
        encoder.encode_texts(["a leak"])


def test_a_missing_model_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make setup"):
        load_joint_encoder(tmp_path / "nothing")


@pytest.mark.slow
def test_clip_vit_b_32_loads_through_the_same_path(tmp_path: Path) -> None:
    folder = save_clip(tmp_path / "clip-vit-base-patch32", CLIPConfig())
    encoder = load_joint_encoder(folder, runtime=OPENVINO)
    assert isinstance(encoder, PretrainedJointEncoder)
    assert encoder.model.config.vision_config.patch_size == 32
    assert (encoder.dimension, encoder.image_side, encoder.max_text_tokens) == (512, 224, 77)
    assert 150e6 < sum(weights.numel() for weights in encoder.model.parameters()) < 152e6
    images, texts = photographs(3), TEXTS
    reference = load_joint_encoder(folder, runtime=TORCH_FP32)
    assert cosines(encoder.encode_images(images), reference.encode_images(images)).min() > 0.999
    assert cosines(encoder.encode_texts(texts), reference.encode_texts(texts)).min() > 0.999
    half = load_joint_encoder(folder, runtime=Runtime(engine="torch", dtype="bfloat16"))
    assert cosines(half.encode_images(images), reference.encode_images(images)).min() > 0.99
