"""Both vectors of a question, text and joint, in one pass where the two encoders share their trunk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lineside.encoders.batches import unit_rows
from lineside.encoders.graphs import Compiled
from lineside.encoders.joint import JointEncoder
from lineside.encoders.text import TextEncoder


class QuestionEncoder:
    """Encodes questions for dense text search and for the joint space.

    A joint encoder whose text tower is the sentence encoder itself with a head of its own (one tower locked: LiT, Zhai
    et al. 2022) needs no second pass: its pooling layer and projection are applied to the token states that exist
    already, in the sentence encoder's precision. `shares_trunk` tells whether that is so.
    """

    def __init__(self, text: TextEncoder, joint: JointEncoder | None = None) -> None:
        self.text = text
        self.joint = joint if joint is not None and joint.encodes_text else None
        self._compile_both = None if self.joint is None else text.both_heads(self.joint)

    @property
    def shares_trunk(self) -> bool:
        return self._compile_both is not None

    @cached_property
    def _run_both(self) -> Compiled:
        if self._compile_both is None:
            raise ValueError("the encoders have no trunk in common")
        return self._compile_both()

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
