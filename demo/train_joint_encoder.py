"""Trains the demo plant's joint image-text encoder on rendered frames and their captions.

A small MobileNet (Howard et al. 2017; of the towers tried it learns most from few images on a CPU) learns against the
locked MiniLM trunk with a contrastive loss whose positives are all pairs of one label (Khosla et al. 2020, "Supervised
contrastive learning"; CLIP's symmetric form, Radford et al. 2021). Unrelated images and texts serve as negatives. Of
the text side only the pooler and the projection learn: first alone, so that the vision tower has fixed points to go to.

`python -m demo.train_joint_encoder MINILM_DIR [--threads 2]`
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    MobileNetV1Config,
    MobileNetV1Model,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from demo.assemble_joint_encoder import SMALL_WEIGHTS, SOURCE, split_off
from demo.captions import compose_training_text
from demo.render_frames import LABELS, TRAIN, render_frames
from demo.unrelated import TEXTS, TRAINING_KINDS, unrelated_image

SIDE = 112
DIMENSION = 512
UNRELATED = -1  # label of what belongs to no frame


@dataclass(frozen=True)
class Recipe:
    """Everything the result depends on, beside the code."""

    frames_per_label: int = 140
    unrelated_images: int = 400
    texts_per_label: int = 300
    epochs: int = 14
    batch: int = 32
    unrelated_in_batch: int = 4
    texts_in_batch: int = 6  # of each label
    text_steps: int = 600  # of the text head alone
    learning_rate: float = 3e-3
    text_learning_rate: float = 5e-4
    weight_decay: float = 0.05
    scale: float = 14.0  # of cosines in the loss; the inverse temperature
    seed: int = 20250106


@dataclass(frozen=True)
class TextBank:
    """The locked trunk's first-token states `(n, 384)` of all training texts, and their labels `(n,)`."""

    states: Tensor
    labels: Tensor


def build_model(minilm_dir: Path) -> VisionTextDualEncoderModel:
    """The untrained encoder: random vision tower, MiniLM as its text tower, 512 dimensions."""
    text = AutoModel.from_pretrained(minilm_dir, dtype=torch.float32)
    # `hidden_size` is what the dual encoder reads as the width of the vision tower's pooled output.
    vision_config = MobileNetV1Config(depth_multiplier=0.5, image_size=SIDE, tf_padding=False, hidden_size=512)
    vision = MobileNetV1Model(vision_config)
    for module in vision.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = (
                0.05  # the port's 0.9997 is TensorFlow's way of counting: it would keep the last batch only
            )
    config = VisionTextDualEncoderConfig.from_vision_text_configs(vision_config, text.config, projection_dim=DIMENSION)
    return VisionTextDualEncoderModel(config=config, vision_model=vision, text_model=text)


def preprocess(image: Image.Image) -> NDArray[np.uint8]:
    """(3, SIDE, SIDE) uint8, as the image processor resizes; scaling to [-1, 1] follows in `_pixels`."""
    resized = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8).transpose(2, 0, 1)


def load_images(recipe: Recipe, processes: int) -> tuple[Tensor, Tensor]:
    """All training images `(n, 3, SIDE, SIDE) uint8` and labels `(n,)`; unrelated ones come last, as `UNRELATED`."""
    # A quarter of the frames are harsher than the ordinary range, so that the encoder does not depend on it.
    jobs = [
        (label, TRAIN.start + offset, 1.25 if offset % 4 == 0 else 1.0)
        for label in LABELS
        for offset in range(recipe.frames_per_label)
    ]
    frames = [preprocess(frame) for frame in render_frames(jobs, processes)]
    labels = [LABELS.index(label) for label, _, _ in jobs]
    rng = np.random.default_rng(recipe.seed)
    for index in range(recipe.unrelated_images):
        frames.append(preprocess(unrelated_image(TRAINING_KINDS[index % len(TRAINING_KINDS)], rng)))
        labels.append(UNRELATED)
    return torch.from_numpy(np.stack(frames)), torch.tensor(labels)


@torch.inference_mode()
def encode_texts(minilm_dir: Path, recipe: Recipe, trunk: nn.Module) -> TextBank:
    """Training texts of all labels and unrelated ones, through the locked trunk once."""
    tokenizer = AutoTokenizer.from_pretrained(minilm_dir)
    rng = np.random.default_rng(recipe.seed + 1)
    texts: list[str] = []
    labels: list[int] = []
    for index, label in enumerate(LABELS):
        texts += [compose_training_text(label, rng) for _ in range(recipe.texts_per_label)]
        labels += [index] * recipe.texts_per_label
    texts += TEXTS
    labels += [UNRELATED] * len(TEXTS)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # like lengths together: little padding
    states = torch.empty(len(texts), trunk.config.hidden_size)
    for first in range(0, len(order), 64):
        part = order[first : first + 64]
        inputs = tokenizer([texts[i] for i in part], padding=True, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16):
            states[part] = trunk(**inputs).last_hidden_state[:, 0].float()
    return TextBank(states.clone(), torch.tensor(labels))


def contrastive_loss(rows: Tensor, row_labels: Tensor, columns: Tensor, column_labels: Tensor, scale: float) -> Tensor:
    """Cross-entropy of each row against all columns of its label; rows without a positive do not count.

    `rows` (n, d) and `columns` (m, d) are unit vectors. A row that is itself a column is not its own positive.
    """
    logits = scale * rows @ columns.T
    positive = (row_labels[:, None] == column_labels[None, :]) & (row_labels[:, None] != UNRELATED)
    if rows is columns:
        itself = torch.eye(len(rows), dtype=torch.bool)
        positive &= ~itself
        logits = logits.masked_fill(itself, -1e4)
    log_share = logits.log_softmax(dim=1)
    count = positive.sum(dim=1)
    loss = -(log_share * positive).sum(dim=1) / count.clamp(min=1)
    return loss[count > 0].mean()


def _pixels(images: Tensor, generator: torch.Generator) -> Tensor:
    """Normalised pixels with light augmentation: shift, brightness, contrast, greyness, noise. Never mirrored:
    a mirrored gauge would read differently."""
    x = images.float() / 127.5 - 1
    n = len(x)
    dy, dx = (torch.randint(-5, 6, (2,), generator=generator)).tolist()
    x = torch.roll(x, (dy, dx), dims=(2, 3))
    contrast = torch.empty(n, 1, 1, 1).uniform_(0.75, 1.3, generator=generator)
    brightness = torch.empty(n, 1, 1, 1).uniform_(-0.2, 0.2, generator=generator)
    x = x * contrast + brightness
    grey = (torch.rand(n, 1, 1, 1, generator=generator) < 0.08).float()
    x = x + (x.mean(dim=1, keepdim=True) - x) * grey
    noise = torch.randn(x.shape, generator=generator) * torch.rand(n, 1, 1, 1, generator=generator) * 0.08
    return (x + noise).clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def train(minilm_dir: Path, recipe: Recipe, processes: int) -> VisionTextDualEncoderModel:
    """The trained encoder."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    began = time.perf_counter()
    images, labels = load_images(recipe, processes)
    print(f"{len(images)} images rendered in {time.perf_counter() - began:.0f} s", flush=True)
    model = build_model(minilm_dir)
    model.requires_grad_(False)
    began = time.perf_counter()
    bank = encode_texts(minilm_dir, recipe, model.text_model.eval())
    print(f"{len(bank.labels)} texts encoded in {time.perf_counter() - began:.0f} s", flush=True)

    text_head = nn.ModuleList([model.text_model.pooler, model.text_projection]).requires_grad_(True)
    text_groups = [torch.nonzero(bank.labels == index)[:, 0] for index in (*range(len(LABELS)), UNRELATED)]
    _train_text_head(model, text_head, bank, text_groups, recipe, generator)
    # The label head helps the vision tower to its first features and is dropped afterwards.
    label_head = nn.Linear(model.vision_embed_dim, len(LABELS))
    vision = nn.ModuleList([model.vision_model, model.visual_projection, label_head]).requires_grad_(True)
    vision.train().to(memory_format=torch.channels_last)
    rates = [recipe.learning_rate, recipe.text_learning_rate]
    optimiser = torch.optim.AdamW(
        [
            {"params": list(part.parameters()), "lr": rate}
            for part, rate in zip((vision, text_head), rates, strict=True)
        ],
        weight_decay=recipe.weight_decay,
    )
    frames = torch.nonzero(labels != UNRELATED)[:, 0]
    others = torch.nonzero(labels == UNRELATED)[:, 0]
    steps = len(frames) // recipe.batch * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps, pct_start=0.12)
    step, began = 0, time.perf_counter()
    for epoch in range(recipe.epochs):
        order = frames[torch.randperm(len(frames), generator=generator)]
        total = 0.0
        for first in range(0, len(order) - recipe.batch + 1, recipe.batch):
            extra = others[torch.randint(len(others), (recipe.unrelated_in_batch,), generator=generator)]
            chosen = torch.cat([order[first : first + recipe.batch], extra])
            picked = _draw(text_groups, recipe.texts_in_batch, generator)
            pixels = _pixels(images[chosen], generator)
            loss = _step_loss(model, label_head, pixels, labels[chosen], bank, picked, recipe)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(vision.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
            step += 1
        elapsed = time.perf_counter() - began
        print(
            f"epoch {epoch + 1}/{recipe.epochs}: loss {total * recipe.epochs / steps:.3f}, {elapsed:.0f} s", flush=True
        )
    return model.eval()


def _draw(groups: list[Tensor], count: int, generator: torch.Generator) -> Tensor:
    """`count` random members of every group."""
    return torch.cat([group[torch.randint(len(group), (count,), generator=generator)] for group in groups])


def _train_text_head(
    model: VisionTextDualEncoderModel,
    head: nn.Module,
    bank: TextBank,
    groups: list[Tensor],
    recipe: Recipe,
    generator: torch.Generator,
) -> None:
    """Brings texts of one label together and texts of different labels apart; seconds, as the trunk has run already."""
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=recipe.weight_decay)
    for _ in range(recipe.text_steps):
        picked = _draw(groups, recipe.texts_in_batch, generator)
        labels = bank.labels[picked]
        text = _text_rows(model, bank, picked)
        loss = contrastive_loss(text, labels, text, labels, recipe.scale)
        loss = loss + 2.0 * _stand_apart(text[:0], labels[:0], text, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"text head alone: loss {loss.item():.3f}", flush=True)


def _text_rows(model: VisionTextDualEncoderModel, bank: TextBank, picked: Tensor) -> Tensor:
    """Unit vectors of texts; noise and dropout on the trunk's states stand in for wordings never written down."""
    states = bank.states[picked]
    states = F.dropout(states + 0.15 * torch.randn_like(states) * states.std(), 0.1)
    return F.normalize(model.text_projection(model.text_model.pooler(states[:, None])), dim=1)


def _step_loss(
    model: VisionTextDualEncoderModel,
    label_head: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    bank: TextBank,
    picked: Tensor,
    recipe: Recipe,
) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        pooled = model.vision_model(pixel_values=pixels).pooler_output
    pooled = pooled.float()
    image = F.normalize(model.visual_projection(pooled), dim=1)
    text, text_labels = _text_rows(model, bank, picked), bank.labels[picked]
    loss = contrastive_loss(image, labels, text, text_labels, recipe.scale)
    loss = loss + contrastive_loss(text, text_labels, image, labels, recipe.scale)
    loss = loss + 0.5 * contrastive_loss(image, labels, image, labels, recipe.scale)
    loss = loss + 0.5 * contrastive_loss(text, text_labels, text, text_labels, recipe.scale)
    loss = loss + F.cross_entropy(label_head(pooled), labels, ignore_index=UNRELATED)
    return loss + 2.0 * _stand_apart(image, labels, text, text_labels)


def _stand_apart(image: Tensor, labels: Tensor, text: Tensor, text_labels: Tensor) -> Tensor:
    """Squared excess over a cosine of 0.2 between what is unrelated and what belongs to the plant."""
    plant = torch.cat([image[labels != UNRELATED], text[text_labels != UNRELATED]])
    strange = torch.cat([image[labels == UNRELATED], text[text_labels == UNRELATED]])
    return (F.relu(strange @ plant.T - 0.2) ** 2).amax(dim=1).mean()


def save(model: VisionTextDualEncoderModel, folder: Path) -> None:
    """Writes the small weights and the configuration files of `model` to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    split_off(dict(model.state_dict()), folder / SMALL_WEIGHTS)
    config = model.config.to_dict()
    config["architectures"] = ["VisionTextDualEncoderModel"]
    for part in (config, config["text_config"], config["vision_config"]):
        for key in ("_name_or_path", "loss_type"):
            part.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": int(Image.Resampling.BILINEAR),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minilm_dir", type=Path, help="all-MiniLM-L6-v2: model.safetensors and its tokenizer")
    parser.add_argument("--out", type=Path, default=SOURCE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    began = time.perf_counter()
    save(train(options.minilm_dir, Recipe(epochs=options.epochs), options.threads), options.out)
    print(f"trained in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
