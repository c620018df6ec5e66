"""What generation takes and gives, whichever engine runs the model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(BaseModel):
    """How tokens are chosen. Greedy by default: answers should copy the evidence, not vary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(96, ge=1, le=4096)
    temperature: float = Field(0.0, ge=0.0, le=2.0)
    repetition_penalty: float = Field(
        1.0, ge=1.0, le=2.0, description="above 1 discourages loops, and copying with them"
    )
    stop: tuple[str, ...] = Field((), max_length=8)


class Generator(Protocol):
    """A language model that streams."""

    def stream(
        self, messages: tuple[Message, ...], sampling: Sampling, *, request_id: str, deadline_ms: float
    ) -> AsyncGenerator[str]:
        """Pieces of the reply as they are made. Closing the iterator cancels the work in the engine.

        Raises:
            GenerationError: the engine failed or refused the prompt.
        """
        ...

    async def check(self) -> None:
        """Returns when the engine answers.

        Raises:
            GenerationError: the engine is dead.
        """
        ...

    def close(self) -> None:
        """Ends the engine and frees its memory."""
        ...
