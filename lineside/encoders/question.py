"""Both vectors of a question, text and joint, in one pass where the two encoders share their trunk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lineside.encoders.joint import JointEncoder
from lineside.encoders.runtime import Compiled, compile_module, unit_rows
from lineside.encoders.text import EXAMPLE_TOKENS, TextEncoder, mean_pool


class QuestionEncoder:
    """Encodes questions for dense text search and for the joint space.

    A joint encoder whose text tower is the sentence encoder itself with a head of its own (one tower locked: LiT, Zhai
    et al. 2022) needs no second pass: its pooling layer and projection are applied to the token states that exist
    already, in the sentence encoder's precision. `shares_trunk` tells whether that is so; it is found by comparing
    weights.
    """

    def __init__(self, text: TextEncoder, joint: JointEncoder | None = None) -> None:
        self.text = text
        self.joint = joint if joint is not None and joint.encodes_text else None
        self.shares_trunk = self.joint is not None and _same_trunk(text, self.joint)

    @cached_property
    def _run_both(self) -> Compiled:
        if self.joint is None:
            raise ValueError("there is no joint text tower")
        return compile_module(_TwoHeads(self.text.model, self.joint.model), EXAMPLE_TOKENS, self.text.runtime)

    def encode(self, questions: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """`n` questions → text rows `(n, d_text)` and joint rows `(n, d_joint)`, or None without a joint text tower."""
        if self.joint is None:
            return self.text.encode(questions), None
        if not self.shares_trunk:
            return self.text.encode(questions), self.joint.encode_texts(questions)
        text_rows = np.empty((len(questions), self.text.dimension), np.float32)
        joint_rows = np.empty((len(questions), self.joint.dimension), np.float32)
        for places, ids, mask in self.text.token_batches(questions):
            text_part, joint_part = self._run_both(ids, mask)
            text_rows[places] = unit_rows(text_part)
            joint_rows[places] = unit_rows(joint_part)
        return text_rows, joint_rows


class _TwoHeads(torch.nn.Module):
    def __init__(self, text_model: Any, joint_model: Any) -> None:
        super().__init__()
        self.trunk = text_model
        self.pooler = joint_model.text_model.pooler
        self.projection = joint_model.text_projection

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.trunk(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return mean_pool(states, attention_mask), self.projection(self.pooler(states))


def _same_trunk(text: TextEncoder, joint: JointEncoder) -> bool:
    model = joint.model
    if model.config.model_type != "vision-text-dual-encoder" or _place(joint) != _place(text):
        return False
    own = {k: v for k, v in text.model.state_dict().items() if not k.startswith("pooler.")}
    other = {k: v for k, v in model.text_model.state_dict().items() if not k.startswith("pooler.")}
    return (
        getattr(model.text_model, "pooler", None) is not None
        and own.keys() == other.keys()
        and all(torch.equal(own[name], other[name]) for name in own)
    )


def _place(encoder: TextEncoder | JointEncoder) -> tuple[str, str]:
    return encoder.runtime.engine, encoder.runtime.device
