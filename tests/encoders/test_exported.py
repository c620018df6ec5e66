"""Exported encoders: the vectors of the model that they were made from, and nothing that was tampered with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lineside.encoders import QuestionEncoder, Runtime, TextEncoder, load_joint_encoder, load_text_encoder
from lineside.encoders.exported import (
    ExportedJointEncoder,
    ExportedTextEncoder,
    check_files,
    is_exported,
    load_joint,
    load_text,
    read_manifest,
)
from lineside.encoders.model_folder import has_text_tower, joint_fingerprint, text_fingerprint
from lineside.encoders.pretrained.export import SAMPLES, export_encoders
from lineside.encoders.tokens import load_token_counter
from lineside.errors import ConfigurationError, IntegrityError
from tests.encoders.conftest import OPENVINO, TORCH_FP32, cosines, photographs
from tests.encoders.models import save_clip, save_tiny_siglip, save_tiny_vit, tiny_clip_config

QUESTIONS = ["Why is this motor overheating?", "E-452", "", "Which seal fits pump P-103? " * 30, "What is shown here?"]
INT8 = Runtime(dtype="int8")
FP32 = Runtime(dtype="float32")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny CLIP, and its export."""
    folder = tmp_path_factory.mktemp("exports")
    model = save_clip(folder / "clip", tiny_clip_config())
    export_encoders(folder / "exported", joint=model)
    return model, folder / "exported"


def test_the_interface_finds_exported_encoders_by_their_folder(encoders_folder: Path) -> None:
    assert isinstance(load_text_encoder(encoders_folder), ExportedTextEncoder)
    assert isinstance(load_joint_encoder(encoders_folder), ExportedJointEncoder)


def test_fingerprints_are_those_of_the_models_so_that_a_release_fits_both(
    encoders_folder: Path, models_dir: Path
) -> None:
    assert load_text(encoders_folder).fingerprint == text_fingerprint(models_dir / "minilm")
    assert load_joint(encoders_folder).fingerprint == joint_fingerprint(models_dir / "joint-demo")
    assert text_fingerprint(encoders_folder) == text_fingerprint(models_dir / "minilm")
    assert joint_fingerprint(encoders_folder) == joint_fingerprint(models_dir / "joint-demo")
    assert has_text_tower(encoders_folder)


@pytest.mark.parametrize(("runtime", "least"), [(FP32, 0.99999), (OPENVINO, 0.999), (INT8, 0.99)])
def test_texts_have_the_vectors_of_the_model(
    encoders_folder: Path, exact_text_encoder: TextEncoder, runtime: Runtime, least: float
) -> None:
    exported = load_text(encoders_folder, runtime=runtime)
    assert cosines(exported.encode(QUESTIONS), exact_text_encoder.encode(QUESTIONS)).min() > least


def test_images_and_joint_texts_have_the_vectors_of_the_model(encoders_folder: Path, models_dir: Path) -> None:
    model = load_joint_encoder(models_dir / "joint-demo", runtime=TORCH_FP32)
    exported = load_joint(encoders_folder, runtime=OPENVINO)
    images = photographs(7)
    assert cosines(exported.encode_images(images), model.encode_images(images)).min() > 0.999
    assert cosines(exported.encode_texts(QUESTIONS), model.encode_texts(QUESTIONS)).min() > 0.999
    assert (exported.dimension, exported.image_side) == (model.dimension, model.image_side)


def test_tokens_are_cut_and_counted_as_by_the_model(encoders_folder: Path, text_encoder: TextEncoder) -> None:
    exported = load_text(encoders_folder)
    for (_, ids, mask), (_, expected, expected_mask) in zip(
        exported.token_batches(SAMPLES), text_encoder.token_batches(SAMPLES), strict=True
    ):
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_array_equal(mask, expected_mask)
    assert exported.count_tokens(SAMPLES) == text_encoder.count_tokens(SAMPLES)
    assert load_token_counter(encoders_folder)(SAMPLES) == text_encoder.count_tokens(SAMPLES)


@given(st.lists(st.text(max_size=60), max_size=4))
def test_any_text_is_cut_into_the_models_tokens(
    encoders_folder: Path, text_encoder: TextEncoder, texts: list[str]
) -> None:
    assert load_text_once(encoders_folder).count_tokens(texts) == text_encoder.count_tokens(texts)


def load_text_once(folder: Path, cache: dict[Path, ExportedTextEncoder] = {}) -> ExportedTextEncoder:  # noqa: B006
    return cache.setdefault(folder, cache.get(folder) or load_text(folder))


def test_a_question_takes_one_pass_through_one_graph(encoders_folder: Path) -> None:
    text, joint = load_text(encoders_folder, runtime=OPENVINO), load_joint(encoders_folder, runtime=OPENVINO)
    questions = QuestionEncoder(text, joint)
    assert questions.shares_trunk
    text_rows, joint_rows = questions.encode(QUESTIONS)
    assert joint_rows is not None
    np.testing.assert_array_equal(text_rows, text.encode(QUESTIONS))
    np.testing.assert_allclose(joint_rows, joint.encode_texts(QUESTIONS), atol=1e-6)


def test_encoders_of_two_folders_share_nothing(encoders_folder: Path, tiny: tuple[Path, Path]) -> None:
    questions = QuestionEncoder(load_text(encoders_folder), load_joint(tiny[1]))
    assert not questions.shares_trunk
    text_rows, joint_rows = questions.encode(QUESTIONS)
    assert joint_rows is not None
    assert (text_rows.shape, joint_rows.shape) == ((5, 384), (5, 24))


def test_an_exported_and_a_pretrained_encoder_go_together(encoders_folder: Path, text_encoder: TextEncoder) -> None:
    assert not QuestionEncoder(text_encoder, load_joint(encoders_folder)).shares_trunk


@pytest.mark.parametrize(
    ("save", "text_tower"),
    [(lambda folder: save_clip(folder, tiny_clip_config()), True), (save_tiny_siglip, True), (save_tiny_vit, False)],
    ids=["clip", "siglip", "vit"],
)
def test_every_architecture_survives_its_export(save: Callable[[Path], Path], text_tower: bool, tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    export_encoders(tmp_path / "exported", joint=folder)
    model = load_joint_encoder(folder, runtime=TORCH_FP32)
    exported = load_joint_encoder(tmp_path / "exported", runtime=FP32)
    strip = Image.new("RGB", (3, 900), "orange")
    images = [*photographs(4), strip]
    np.testing.assert_allclose(exported.encode_images(images), model.encode_images(images), atol=2e-3)
    assert exported.encodes_text == model.encodes_text == text_tower == has_text_tower(tmp_path / "exported")
    if text_tower:
        np.testing.assert_allclose(exported.encode_texts(QUESTIONS), model.encode_texts(QUESTIONS), atol=2e-3)
    else:
        with pytest.raises(ConfigurationError, match="compares images with images only"):
            exported.encode_texts(QUESTIONS)


def test_a_vector_has_the_same_bits_in_any_company(encoders_folder: Path) -> None:
    encoder = load_text_once(encoders_folder)
    together = encoder.encode(QUESTIONS, pad_multiple=8)
    alone = np.concatenate([encoder.encode([question], pad_multiple=8) for question in QUESTIONS])
    np.testing.assert_array_equal(together, alone)


def test_what_the_folder_does_not_hold_is_said(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    assert is_exported(tiny[1])
    assert not is_exported(tiny[0])
    with pytest.raises(ConfigurationError, match="no text encoder"):
        load_text_encoder(tiny[1])
    with pytest.raises(ConfigurationError, match="no exported encoders"):
        load_joint(tmp_path)
    with pytest.raises(ConfigurationError, match="nothing to export"):
        export_encoders(tmp_path / "out")


def test_an_engine_that_it_was_not_exported_for_is_refused(tiny: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigurationError, match="run on openvino"):
        load_joint_encoder(tiny[1], runtime=TORCH_FP32)


def test_other_lengths_of_text_than_exported_are_refused(encoders_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="256 tokens, not 64"):
        load_text_encoder(encoders_folder, max_tokens=64)


# ---- Damaged and hostile folders --------------------------------------------------------------------------------


@pytest.fixture
def copied(tiny: tuple[Path, Path], tmp_path: Path) -> Path:
    return shutil.copytree(tiny[1], tmp_path / "copy")


FILES = ["image.xml", "image.bin", "joint-text.xml", "joint-text.bin", "joint-tokenizer.json"]


def use(folder: Path) -> None:
    encoder = load_joint(folder)
    encoder.encode_images(photographs(1))
    encoder.encode_texts(["a leak"])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "absent", "folder"])
def test_a_damaged_file_is_an_integrity_error(copied: Path, name: str, damage: str) -> None:
    path = copied / name
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "longer":
        path.write_bytes(data + b"\n")
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(IntegrityError, match=name):
        use(copied)
    with pytest.raises(IntegrityError, match=name):
        check_files(copied, read_manifest(copied))


def forge(folder: Path, name: str, data: bytes) -> None:
    """Puts a file there that the list agrees with, as whoever may write both can."""
    import hashlib

    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "encoders.json").read_text())
    manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "encoders.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "data",
    [b"<", b"\0" * 100, b"<net name='x' version='11'><layers/><edges/></net>", b"<?xml version='1.0'?><net/>"],
    ids=["broken", "zeros", "empty net", "no net"],
)
def test_a_forged_graph_is_an_error_and_not_a_crash(copied: Path, data: bytes) -> None:
    forge(copied, "image.xml", data)
    with pytest.raises(IntegrityError, match="image"):
        use(copied)


def test_a_graph_with_too_few_weights_is_an_error(copied: Path) -> None:
    forge(copied, "image.bin", (copied / "image.bin").read_bytes()[:64])
    with pytest.raises(IntegrityError, match=r"image\.xml is not a graph"):
        use(copied)


def test_another_graph_than_the_listed_one_is_refused(copied: Path) -> None:
    for suffix in ("xml", "bin"):
        forge(copied, f"image.{suffix}", (copied / f"joint-text.{suffix}").read_bytes())
    with pytest.raises(IntegrityError, match="takes"):
        use(copied)


def test_a_forged_tokenizer_is_an_error(copied: Path) -> None:
    forge(copied, "joint-tokenizer.json", b'{"model": 3}')
    with pytest.raises(IntegrityError, match="not a tokenizer"):
        use(copied)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format_version",), 2),
        (("weights",), "pickle"),
        (("files", "../../etc/passwd"), {"size": 1, "sha256": "0" * 64}),
        (("files", "image.bin", "size"), 10**12),
        (("files", "image.bin", "sha256"), "x"),
        (("joint", "dimension"), 0),
        (("joint", "fingerprint"), "../x"),
        (("joint", "pixels", "crop"), [10**6, 10**6]),
        (("joint", "pixels", "deviation"), [0, 1, 1]),
        (("joint", "pixels", "resample"), 9),
        (("joint", "text", "max_tokens"), 10**9),
        (("joint", "text", "shares_trunk"), True),
        (("unknown",), 1),
    ],
)
def test_a_malformed_list_of_files_is_an_integrity_error(copied: Path, path: tuple[str, ...], value: object) -> None:
    manifest = json.loads((copied / "encoders.json").read_text())
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (copied / "encoders.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match=r"encoders\.json"):
        load_joint(copied)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b" " * 70_000])
def test_a_list_of_files_that_is_none_is_an_integrity_error(copied: Path, data: bytes) -> None:
    (copied / "encoders.json").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"encoders\.json"):
        load_joint(copied)


def test_a_failed_export_leaves_the_older_one_as_it_was(
    tiny: tuple[Path, Path], copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lineside.encoders.pretrained import export

    monkeypatch.setattr(export, "_COSINE_MIN", 1.1)
    with pytest.raises(Exception, match="agrees with its model"):
        export_encoders(copied, joint=tiny[0])
    check_files(copied, read_manifest(copied))
    assert [path.name for path in copied.parent.iterdir()] == ["copy"]
