"""Joint image-text encoder: images and texts in one space (CLIP, Radford et al. 2021; SigLIP, Zhai et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedModel

from lineside.encoders.model_folder import joint_fingerprint, model_directory
from lineside.encoders.runtime import (
    Compiled,
    compile_module,
    length_batches,
    quiet,
    torch_dtype,
    unit_rows,
)
from lineside.encoders.settings import Runtime
from lineside.errors import ConfigurationError

Item = TypeVar("Item")


class JointEncoder:
    """Any transformers model with `get_image_features`: CLIP, OpenCLIP converted, SigLIP, vision-text dual encoders.

    A vision-only backbone (MobileViT, ViT, ConvNeXt ...) works for image-to-image search; its `encodes_text` is False.

    Attributes:
        dimension: length of a vector, the same for images and texts.
        fingerprint: changes whenever the vectors may change.
        encodes_text: whether texts can be encoded too.
        image_side: pixels on the shorter side that the image processor wants.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Any | None,
        image_processor: Any,
        *,
        fingerprint: str,
        runtime: Runtime = Runtime(),
    ) -> None:
        self.model: Any = model.eval()
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.runtime = runtime
        self.fingerprint = fingerprint
        self.encodes_text = tokenizer is not None and hasattr(model, "get_text_features")
        size = image_processor.size
        sides = [size[key] for key in ("shortest_edge", "height", "width") if key in size]
        self.image_side: int = min(sides) if sides else 224
        self._crops_centre = "shortest_edge" in size
        with torch.inference_mode():
            probe = _ImageTower(self.model)(self._pixels([Image.new("RGB", (32, 32))]).to(torch_dtype(runtime)))
        self.dimension: int = probe.shape[1]

    @property
    def max_text_tokens(self) -> int:
        """Longer texts are cut to this many tokens (77 for CLIP, 64 for SigLIP)."""
        return min(256, int(self.model.config.text_config.max_position_embeddings))

    @cached_property
    def _run_images(self) -> Compiled:
        example = self._pixels([Image.new("RGB", (32, 32)), Image.new("RGB", (32, 32), "white")])
        return compile_module(_ImageTower(self.model), (example,), self.runtime)

    @cached_property
    def _run_texts(self) -> Compiled:
        ids, mask = self._tokens(["a hot bearing", "a leak"])
        return compile_module(_TextTower(self.model), (torch.from_numpy(ids), torch.from_numpy(mask)), self.runtime)

    def encode_texts(self, texts: Sequence[str], *, pad_multiple: int = 0) -> NDArray[np.float32]:
        """`n` texts → `(n, dimension) float32`, every row of length 1.

        With `pad_multiple` a vector has the same bits in whatever batch its text stands (`length_batches`).

        Raises:
            ConfigurationError: the model has no text tower.
        """
        if not self.encodes_text:
            raise ConfigurationError("this joint encoder has no text tower: it compares images with images only")
        rows = np.empty((len(texts), self.dimension), np.float32)
        if not texts:
            return rows
        ids, mask = self._tokens(texts)
        lengths = mask.sum(axis=1).tolist()
        for places, width in length_batches(lengths, self.runtime.max_batch, pad_multiple, self.max_text_tokens):
            # Columns beyond the batch's width are padding of longer texts; a width beyond all texts adds some.
            cut = min(width, ids.shape[1])
            more = ((0, 0), (0, width - cut))
            part = np.pad(ids[places, :cut], more, constant_values=self.tokenizer.pad_token_id or 0)  # type: ignore[union-attr]
            rows[places] = unit_rows(self._run_texts(part, np.pad(mask[places, :cut], more))[0])
        return rows

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """`n` RGB images of any size → `(n, dimension) float32`, every row of length 1."""
        rows = [
            unit_rows(self._run_images(self._pixels(part).numpy())[0])
            for part in _parts(images, self.runtime.max_batch)
        ]
        return np.concatenate(rows) if rows else np.empty((0, self.dimension), np.float32)

    def _pixels(self, images: Sequence[Image.Image]) -> torch.Tensor:
        if self._crops_centre:
            images = [_without_ends(image) for image in images]
        pixels: torch.Tensor = self.image_processor(list(images), return_tensors="pt")["pixel_values"]
        return pixels

    def _tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        # SigLIP was trained with every text padded to full length, and with no mask; CLIP and BERT towers mask.
        siglip = self.model.config.model_type.startswith("siglip")
        inputs = self.tokenizer(  # type: ignore[misc]
            list(texts),
            padding="max_length" if siglip else True,
            truncation=True,
            max_length=self.max_text_tokens,
            return_tensors="np",
        )
        ids = inputs["input_ids"].astype(np.int64)
        mask = np.ones_like(ids) if siglip or "attention_mask" not in inputs else inputs["attention_mask"]
        return ids, mask.astype(np.int64)


class _ImageTower(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        embed = self.model.get_image_features if hasattr(self.model, "get_image_features") else self.model
        return _matrix(embed(pixel_values=pixel_values))


class _TextTower(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return _matrix(self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask))


def _matrix(out: Any) -> torch.Tensor:
    """The `(n, d)` features in a model's output: a tensor, or the pooled output of an output object."""
    if isinstance(out, torch.Tensor):
        return out.flatten(1)
    rows = getattr(out, "pooler_output", None)
    return rows.flatten(1) if rows is not None else out.last_hidden_state.mean(dim=1)


def _without_ends(image: Image.Image) -> Image.Image:
    """The middle of a strip. A processor that scales the shorter side up and keeps the central square would blow a
    strip of 1 × 16 384 pixels up to gigabytes first."""
    width, height = image.size
    longest = 4 * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, min(width, left + longest), min(height, top + longest)))


def _parts(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def load_joint_encoder(path: str | Path, *, runtime: Runtime = Runtime()) -> JointEncoder:
    """Loads a joint encoder from a Hugging Face folder; nothing is fetched and no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = model_directory(path)
    quiet()
    model = AutoModel.from_pretrained(folder, dtype=torch_dtype(runtime), local_files_only=True)
    return JointEncoder(
        model,
        AutoTokenizer.from_pretrained(folder, local_files_only=True) if hasattr(model, "get_text_features") else None,
        AutoImageProcessor.from_pretrained(folder, local_files_only=True),
        fingerprint=joint_fingerprint(folder),
        runtime=runtime,
    )
