"""Joint image-text encoder: images and texts in one space (CLIP, Radford et al. 2021; SigLIP, Zhai et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedModel

from lineside.encoders.runtime import Runtime, fingerprint, model_directory, unit_rows
from lineside.errors import ConfigurationError


class JointEncoder:
    """Any transformers model with `get_image_features`: CLIP, OpenCLIP converted, SigLIP, vision-text dual encoders.

    A vision-only backbone (MobileViT, ViT, ConvNeXt ...) works for image-to-image search; its `encodes_text` is False.

    Attributes:
        dimension: length of a vector, the same for images and texts.
        fingerprint: changes whenever the vectors may change.
        encodes_text: whether texts can be encoded too.
        image_side: pixels on the shorter side that the processor wants.
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
        self.model: Any = model.to(device=runtime.device, dtype=runtime.torch_dtype).eval()
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.runtime = runtime
        self.fingerprint = fingerprint
        self.encodes_text = tokenizer is not None and hasattr(model, "get_text_features")
        size = image_processor.size
        sides = [size[key] for key in ("shortest_edge", "height", "width") if key in size]
        self.image_side: int = min(sides) if sides else 224
        self.dimension: int = self.encode_images([Image.new("RGB", (self.image_side, self.image_side))]).shape[1]

    @property
    def max_text_tokens(self) -> int:
        """Longer texts are cut to this many tokens (77 for CLIP, 64 for SigLIP)."""
        config = self.model.config.text_config
        return min(256, int(config.max_position_embeddings))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`n` texts → `(n, dimension) float32`, every row of length 1.

        Raises:
            ConfigurationError: the model has no text tower.
        """
        if not self.encodes_text or self.tokenizer is None:
            raise ConfigurationError("this joint encoder has no text tower: it compares images with images only")
        # SigLIP was trained with every text padded to full length; shorter padding changes its vectors.
        padding = "max_length" if self.model.config.model_type.startswith("siglip") else True
        batches = []
        for batch in _batches(texts, self.runtime.max_batch):
            inputs = self.tokenizer(
                list(batch), padding=padding, truncation=True, max_length=self.max_text_tokens, return_tensors="pt"
            )
            names = [name for name in ("input_ids", "attention_mask") if name in inputs]
            with torch.inference_mode():
                out = self.model.get_text_features(**{name: inputs[name].to(self.runtime.device) for name in names})
            batches.append(unit_rows(_matrix(out)))
        return np.concatenate(batches) if batches else np.empty((0, self.dimension), np.float32)

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """`n` RGB images of any size → `(n, dimension) float32`, every row of length 1."""
        batches = []
        for batch in _batches(images, self.runtime.max_batch):
            pixels = self.image_processor(list(batch), return_tensors="pt")["pixel_values"]
            pixels = pixels.to(device=self.runtime.device, dtype=self.runtime.torch_dtype)
            with torch.inference_mode():
                if hasattr(self.model, "get_image_features"):
                    out = self.model.get_image_features(pixel_values=pixels)
                else:
                    out = self.model(pixel_values=pixels)
            batches.append(unit_rows(_matrix(out)))
        return np.concatenate(batches) if batches else np.empty((0, self.dimension), np.float32)


def _batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def _matrix(out: Any) -> torch.Tensor:
    """The `(n, d)` features in a model's output: a tensor, or the pooled output of an output object."""
    rows: torch.Tensor = out if isinstance(out, torch.Tensor) else out.pooler_output
    if rows is None:  # ViT without a pooling layer
        rows = out.last_hidden_state.mean(dim=1)
    return rows.flatten(1)


def load_joint_encoder(path: str | Path, *, runtime: Runtime = Runtime()) -> JointEncoder:
    """Loads a joint encoder from a Hugging Face folder; nothing is fetched and no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = model_directory(path)
    model = AutoModel.from_pretrained(folder, dtype=runtime.torch_dtype, local_files_only=True)
    has_text = hasattr(model, "get_text_features")
    return JointEncoder(
        model,
        AutoTokenizer.from_pretrained(folder, local_files_only=True) if has_text else None,
        AutoImageProcessor.from_pretrained(folder, local_files_only=True),
        fingerprint=fingerprint(folder, role="joint"),
        runtime=runtime,
    )
