"""Sentence encoder: texts to L2-normalised vectors by mean pooling (Reimers and Gurevych 2019, Sentence-BERT)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from lineside.encoders.runtime import Runtime, fingerprint, model_directory, unit_rows


class TextEncoder:
    """A transformer whose token states are averaged over the text's tokens.

    Attributes:
        dimension: length of a vector.
        max_tokens: longer texts are cut to this many tokens, special tokens included.
        fingerprint: changes whenever the vectors may change.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        fingerprint: str,
        max_tokens: int = 256,
        runtime: Runtime = Runtime(),
    ) -> None:
        self.model = model.to(device=runtime.device, dtype=runtime.torch_dtype).eval()
        self.tokenizer = tokenizer
        self.runtime = runtime
        self.fingerprint = fingerprint
        self.max_tokens = min(max_tokens, model.config.max_position_embeddings)
        self.dimension: int = model.config.hidden_size

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`n` texts → `(n, dimension) float32`, every row of length 1, in the order of the texts."""
        rows = np.empty((len(texts), self.dimension), np.float32)
        for places, hidden, mask in self.hidden_states(texts):
            rows[places] = unit_rows(mean_pool(hidden, mask))
        return rows

    def hidden_states(self, texts: Sequence[str]) -> list[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Token states in batches of similar length: `(places in texts, (b, t, dimension) states, (b, t) mask)`."""
        if not texts:
            return []
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        # Similar lengths together: padding is computed like text, so a batch costs its longest row.
        order = sorted(range(len(texts)), key=lambda place: len(encoded[place]))
        batches = []
        for first in range(0, len(order), self.runtime.max_batch):
            places = order[first : first + self.runtime.max_batch]
            padded = self.tokenizer.pad({"input_ids": [encoded[place] for place in places]}, return_tensors="pt")
            inputs = {name: padded[name].to(self.runtime.device) for name in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                hidden = self.model(**inputs).last_hidden_state
            batches.append((places, hidden, inputs["attention_mask"]))
        return batches

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens left out, not cut."""
        if not texts:
            return []
        ids = self.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [len(tokens) for tokens in ids]


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`(b, t, d)` states and `(b, t)` mask → `(b, d) float32` means over the unmasked tokens."""
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def load_text_encoder(path: str | Path, *, max_tokens: int = 256, runtime: Runtime = Runtime()) -> TextEncoder:
    """Loads a BERT-like sentence encoder from a Hugging Face folder; nothing is fetched and no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = model_directory(path)
    model = AutoModel.from_pretrained(folder, dtype=runtime.torch_dtype, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return TextEncoder(
        model,
        tokenizer,
        fingerprint=fingerprint(folder, role=f"text:mean:{max_tokens}"),
        max_tokens=max_tokens,
        runtime=runtime,
    )
