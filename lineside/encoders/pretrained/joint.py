"""A joint encoder from a Hugging Face folder, with torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedModel

from lineside.encoders.graphs import Compiled
from lineside.encoders.joint import JointEncoder
from lineside.encoders.model_folder import hugging_face_folder, joint_fingerprint
from lineside.encoders.pretrained.modules import compile_module, quiet, torch_dtype
from lineside.encoders.settings import Runtime

EXAMPLE_TEXTS = ("a hot bearing", "a leak")


class PretrainedJointEncoder(JointEncoder):
    """Any transformers model with `get_image_features`: CLIP, OpenCLIP converted, SigLIP, vision-text dual encoders;
    or a vision-only backbone."""

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
        encodes_text = tokenizer is not None and hasattr(model, "get_text_features")
        size = image_processor.size
        sides = [size[key] for key in ("shortest_edge", "height", "width") if key in size]
        with torch.inference_mode():
            pixels = torch.from_numpy(self._pixels([Image.new("RGB", (32, 32))]))
            probe = ImageTower(self.model)(pixels.to(torch_dtype(runtime)))
        super().__init__(
            dimension=probe.shape[1],
            fingerprint=fingerprint,
            image_side=min(sides) if sides else 224,
            cuts_ends="shortest_edge" in size,
            encodes_text=encodes_text,
            max_text_tokens=min(256, int(self.model.config.text_config.max_position_embeddings)) if encodes_text else 0,
            pad_token=getattr(tokenizer, "pad_token_id", None) or 0,
            runtime=runtime,
        )

    @cached_property
    def _run_images(self) -> Compiled:
        return compile_module(ImageTower(self.model), (self.example_pixels(),), self.runtime)

    @cached_property
    def _run_texts(self) -> Compiled:
        return compile_module(TextTower(self.model), self.example_tokens(), self.runtime)

    def example_pixels(self) -> torch.Tensor:
        """Two images, for tracing."""
        return torch.from_numpy(self._pixels([Image.new("RGB", (32, 32)), Image.new("RGB", (32, 32), "white")]))

    def example_tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Two texts of two lengths, for tracing."""
        ids, mask = self._tokens(EXAMPLE_TEXTS)
        return torch.from_numpy(ids), torch.from_numpy(mask)

    @property
    def pads_to_full_length(self) -> bool:
        """SigLIP was trained with every text padded to full length, and with no mask; CLIP and BERT towers mask."""
        return str(self.model.config.model_type).startswith("siglip")

    def _pixels(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return self.image_processor(list(images), return_tensors="pt")["pixel_values"].numpy()

    def _tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        inputs = self.tokenizer(  # type: ignore[misc]
            list(texts),
            padding="max_length" if self.pads_to_full_length else True,
            truncation=True,
            max_length=self.max_text_tokens,
            return_tensors="np",
        )
        ids = inputs["input_ids"].astype(np.int64)
        unmasked = self.pads_to_full_length or "attention_mask" not in inputs
        mask = np.ones_like(ids) if unmasked else inputs["attention_mask"]
        return ids, mask.astype(np.int64)


class ImageTower(torch.nn.Module):
    """Pixels → features."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        embed = self.model.get_image_features if hasattr(self.model, "get_image_features") else self.model
        return _matrix(embed(pixel_values=pixel_values))


class TextTower(torch.nn.Module):
    """Token ids and mask → features."""

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


def load_joint_encoder(path: str | Path, *, runtime: Runtime = Runtime()) -> PretrainedJointEncoder:
    """Loads a joint encoder from a Hugging Face folder; nothing is fetched and no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = hugging_face_folder(path)
    quiet()
    model = AutoModel.from_pretrained(folder, dtype=torch_dtype(runtime), local_files_only=True)
    return PretrainedJointEncoder(
        model,
        AutoTokenizer.from_pretrained(folder, local_files_only=True) if hasattr(model, "get_text_features") else None,
        AutoImageProcessor.from_pretrained(folder, local_files_only=True),
        fingerprint=joint_fingerprint(folder),
        runtime=runtime,
    )
