"""Optional cross-encoder: reads question and passage together and corrects the order of the best candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lineside.errors import ConfigurationError

Floats = NDArray[np.float32]


class CrossEncoder:
    """A sequence classification model with one output (a relevance logit) or two (irrelevant, relevant)."""

    def __init__(self, model: str, max_tokens: int) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model)
            self._model = AutoModelForSequenceClassification.from_pretrained(model).eval()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cross-encoder {model} cannot be loaded: {error}") from error
        if self._model.config.num_labels not in (1, 2):
            raise ConfigurationError(f"cross-encoder {model} has {self._model.config.num_labels} outputs, not 1 or 2")
        self._max_tokens = max_tokens

    @torch.inference_mode()
    def score(self, question: str, passages: Sequence[str]) -> Floats:
        """Relevance (m,) float32: the sigmoid of the logit, or the softmax share of the second output."""
        if not passages:
            return np.empty(0, np.float32)
        batch = self._tokenizer(
            [question] * len(passages),
            list(passages),
            padding=True,
            truncation="only_second",
            max_length=self._max_tokens,
            return_tensors="pt",
        )
        logits = self._model(**batch).logits.float()
        scores = torch.sigmoid(logits[:, 0]) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)[:, 1]
        found: Floats = scores.numpy().astype(np.float32)
        return found
