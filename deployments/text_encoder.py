"""TextEncoder: a question in, its text and joint vectors out; idle where it is placed inside the retriever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ray import serve

from deployments.process import start_process
from deployments.settings import BatchLimits, EncoderSettings, read_user_config
from lineside.answering.stages import QuestionVectors
from lineside.batching import MicroBatcher

if TYPE_CHECKING:
    from lineside.encoders import QuestionEncoder


def load_question_encoder(text: EncoderSettings, joint: EncoderSettings) -> QuestionEncoder:
    """Both encoders of questions, as one where they share their trunk."""
    from lineside.encoders import QuestionEncoder, load_joint_encoder, load_text_encoder  # loads torch

    return QuestionEncoder(
        load_text_encoder(text.model, runtime=text.runtime), load_joint_encoder(joint.model, runtime=joint.runtime)
    )


def encode_questions(encoder: QuestionEncoder, questions: Sequence[str]) -> list[QuestionVectors]:
    """Vectors of a batch of questions, one by one."""
    text, joint = encoder.encode(questions)
    return [QuestionVectors(row, None if joint is None else joint[place]) for place, row in enumerate(text)]


@serve.deployment
class TextEncoder:
    """One question encoder; its questions are batched on one thread."""

    def __init__(self, text: EncoderSettings, joint: EncoderSettings) -> None:
        start_process()
        self._encoder = load_question_encoder(text, joint)
        self._batcher: MicroBatcher[str, QuestionVectors] = MicroBatcher(
            lambda questions: encode_questions(self._encoder, questions), name="text"
        )

    def reconfigure(self, config: dict[str, Any]) -> None:
        self._batcher.max_batch = read_user_config(BatchLimits, config).max_batch

    async def encode(self, question: str) -> QuestionVectors:
        """Text and joint vector of one question."""
        return await self._batcher.submit(question)
