"""A sentence encoder from a Hugging Face folder, with torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from lineside.encoders.graphs import Compiled
from lineside.encoders.joint import JointEncoder
from lineside.encoders.model_folder import hugging_face_folder, text_fingerprint
from lineside.encoders.pretrained.joint import PretrainedJointEncoder
from lineside.encoders.pretrained.modules import compile_module, quiet, torch_dtype
from lineside.encoders.settings import DEFAULT_MAX_TOKENS, Runtime
from lineside.encoders.text import TextEncoder


class PretrainedTextEncoder(TextEncoder):
    """A BERT-like transformer of torch, run by the engine that `runtime` names."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        fingerprint: str,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        runtime: Runtime = Runtime(),
    ) -> None:
        super().__init__(
            dimension=model.config.hidden_size,
            max_tokens=min(max_tokens, model.config.max_position_embeddings),
            fingerprint=fingerprint,
            pad_token=tokenizer.pad_token_id or 0,
            runtime=runtime,
        )
        self.model = model
        self.tokenizer = tokenizer

    @cached_property
    def _run(self) -> Compiled:
        return compile_module(MeanPooled(self.model), EXAMPLE_TOKENS, self.runtime)

    def _cut_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        ids = self.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [len(tokens) for tokens in ids]

    def both_heads(self, joint: JointEncoder) -> Callable[[], Compiled] | None:
        if not isinstance(joint, PretrainedJointEncoder) or not self._is_trunk_of(joint):
            return None
        return lambda: compile_module(TwoHeads(self.model, joint.model), EXAMPLE_TOKENS, self.runtime)

    def _is_trunk_of(self, joint: PretrainedJointEncoder) -> bool:
        """Found by comparing weights."""
        model = joint.model
        if model.config.model_type != "vision-text-dual-encoder":
            return False
        if (joint.runtime.engine, joint.runtime.device) != (self.runtime.engine, self.runtime.device):
            return False
        own = {k: v for k, v in self.model.state_dict().items() if not k.startswith("pooler.")}
        other = {k: v for k, v in model.text_model.state_dict().items() if not k.startswith("pooler.")}
        return (
            getattr(model.text_model, "pooler", None) is not None
            and own.keys() == other.keys()
            and all(torch.equal(own[name], other[name]) for name in own)
        )


# Two rows of two lengths, so that nothing is taken for constant when a graph is traced.
EXAMPLE_TOKENS = (torch.tensor([[101, 2054, 102], [101, 102, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]))


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`(b, t, d)` states and `(b, t)` mask → `(b, d) float32` means over the unmasked tokens."""
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


class MeanPooled(torch.nn.Module):
    """Token ids and mask → means of the token states."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_pool(states, attention_mask)


class TwoHeads(torch.nn.Module):
    """Token ids and mask → means of the token states, and the joint encoder's features of the same states."""

    def __init__(self, text_model: Any, joint_model: Any) -> None:
        super().__init__()
        self.trunk = text_model
        self.pooler = joint_model.text_model.pooler
        self.projection = joint_model.text_projection

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.trunk(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_pool(states, attention_mask), self.projection(self.pooler(states))


def load_text_encoder(
    path: str | Path, *, max_tokens: int = DEFAULT_MAX_TOKENS, runtime: Runtime = Runtime()
) -> PretrainedTextEncoder:
    """Loads a BERT-like sentence encoder from a Hugging Face folder; nothing is fetched and no code of it is run.

    Raises:
        ConfigurationError: there is no model folder at `path`.
    """
    folder = hugging_face_folder(path)
    quiet()
    model = AutoModel.from_pretrained(folder, dtype=torch_dtype(runtime), local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return PretrainedTextEncoder(
        model,
        tokenizer,
        fingerprint=text_fingerprint(folder, max_tokens),
        max_tokens=max_tokens,
        runtime=runtime,
    )
