"""Sentence encoder: texts to L2-normalised vectors by mean pooling (Reimers and Gurevych 2019, Sentence-BERT)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from lineside.encoders.model_folder import DEFAULT_MAX_TOKENS, model_directory, text_fingerprint
from lineside.encoders.runtime import (
    Compiled,
    compile_module,
    length_batches,
    quiet,
    torch_dtype,
    unit_rows,
)
from lineside.encoders.settings import Runtime

TokenBatch = tuple[list[int], NDArray[np.int64], NDArray[np.int64]]


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
        max_tokens: int = DEFAULT_MAX_TOKENS,
        runtime: Runtime = Runtime(),
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.runtime = runtime
        self.fingerprint = fingerprint
        self.max_tokens = min(max_tokens, model.config.max_position_embeddings)
        self.dimension: int = model.config.hidden_size

    @cached_property
    def _run(self) -> Compiled:
        return compile_module(_MeanPooled(self.model), EXAMPLE_TOKENS, self.runtime)

    def encode(self, texts: Sequence[str], *, pad_multiple: int = 0) -> NDArray[np.float32]:
        """`n` texts → `(n, dimension) float32`, every row of length 1, in the order of the texts.

        With `pad_multiple` a vector has the same bits in whatever batch its text stands (`length_batches`).
        """
        rows = np.empty((len(texts), self.dimension), np.float32)
        for places, ids, mask in self.token_batches(texts, pad_multiple=pad_multiple):
            rows[places] = unit_rows(self._run(ids, mask)[0])
        return rows

    def token_batches(self, texts: Sequence[str], *, pad_multiple: int = 0) -> Iterator[TokenBatch]:
        """Batches of similar length: places in `texts`, token ids and mask, both `(b, t) int64`."""
        if not texts:
            return
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        lengths = [len(tokens) for tokens in encoded]
        for places, width in length_batches(lengths, self.runtime.max_batch, pad_multiple, self.max_tokens):
            ids = np.full((len(places), width), self.tokenizer.pad_token_id or 0, np.int64)
            mask = np.zeros_like(ids)
            for row, place in enumerate(places):
                tokens = encoded[place]
                ids[row, : len(tokens)] = tokens
                mask[row, : len(tokens)] = 1
            yield places, ids, mask

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens left out, not cut."""
        if not texts:
            return []
        ids = self.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [len(tokens) for tokens in ids]


# Two rows of two lengths, so that nothing is taken for constant when a graph is traced.
EXAMPLE_TOKENS = (torch.tensor([[101, 2054, 102], [101, 102, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]))


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`(b, t, d)` states and `(b, t)` mask → `(b, d) float32` means over the unmasked tokens."""
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


class _MeanPooled(torch.nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_pool(states, attention_mask)


def load_text_encoder(
    path: str | Path, *, max_tokens: int = DEFAULT_MAX_TOKENS, runtime: Runtime = Runtime()
) -> TextEncoder:
    """Loads a BERT-like sentence encoder from a Hugging Face folder; nothing is fetched and no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = model_directory(path)
    quiet()
    model = AutoModel.from_pretrained(folder, dtype=torch_dtype(runtime), local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return TextEncoder(
        model,
        tokenizer,
        fingerprint=text_fingerprint(folder, max_tokens),
        max_tokens=max_tokens,
        runtime=runtime,
    )
