"""Settings of the answering pipeline: bounds and budgets."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lineside.answering.deadline import Deadline
from lineside.generation import Sampling
from lineside.schema import RetrieveRequest


class AnsweringSettings(BaseModel):
    """Budgets are milliseconds of a request's deadline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default_deadline_ms: int = Field(8_000, ge=50, le=120_000, description="for requests that name none")
    max_deadline_ms: int = Field(30_000, ge=50, le=120_000, description="a longer deadline is shortened to this")
    reserve_ms: float = Field(
        15.0, ge=0, le=1_000, description="kept back to compose the reply after the last stage was cut off"
    )
    image_share: float = Field(
        0.5, gt=0, lt=1, description="share of the time left that encoding the image may take before it is left out"
    )
    search_share: float = Field(
        0.15, gt=0, lt=1, description="share of the time left that searching approximate vector indexes may take"
    )
    search_max_ms: float = Field(
        10.0, gt=0, le=1_000, description="... and the most: beyond it more effort brings hardly any recall"
    )
    recall_shown_below: float = Field(
        0.95, ge=0, le=1, description="a search expected to find less than this share of the nearest rows says so"
    )
    first_sentence_ms: float = Field(
        800.0, ge=1, description="first guess of the time to a first checked sentence; measured from then on"
    )
    max_sentences: int = Field(4, ge=1, le=20, description="sentences of a generated answer")
    max_unsupported: int = Field(3, ge=1, le=20, description="unsupported sentences in a row that end generation")
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _default_within_maximum(self) -> AnsweringSettings:
        if self.default_deadline_ms > self.max_deadline_ms:
            raise ValueError("default_deadline_ms must not be above max_deadline_ms")
        return self

    def deadline(self, request: RetrieveRequest) -> Deadline:
        """The request's deadline from now, within the maximum."""
        return Deadline.in_ms(min(request.deadline_ms or self.default_deadline_ms, self.max_deadline_ms))


class Pace:
    """How long generation has taken lately, so that it is not begun where it cannot finish in time.

    An exponentially weighted mean and mean deviation of the time to the first checked sentence, as TCP estimates
    round-trip times (Jacobson 1988); `needed_ms` is the mean plus two deviations. What is not begun is not measured:
    an estimate above the first guess therefore fades with every request that it holds back, so that a slow spell (an
    engine that restarted) does not end generation for ever.
    """

    def __init__(self, first_guess_ms: float) -> None:
        self._first_guess = first_guess_ms
        self._mean = first_guess_ms
        self._deviation = first_guess_ms / 4

    @property
    def needed_ms(self) -> float:
        return self._mean + 2 * self._deviation

    def observe(self, milliseconds: float) -> None:
        """Takes a new measurement into account."""
        error = milliseconds - self._mean
        self._mean += error / 8
        self._deviation += (abs(error) - self._deviation) / 4

    def fade(self) -> None:
        """A request was held back: the estimate moves a little towards the first guess, if it is above it."""
        self._mean -= max(0.0, self._mean - self._first_guess) / 16
        self._deviation -= max(0.0, self._deviation - self._first_guess / 4) / 16
