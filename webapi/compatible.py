"""The article-style contract: `POST /answer {image_base64, question, optional_context} -> {answer, retrieved}`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from lineside.encoders.images import ImageLimits, decode_base64, inspect_image
from lineside.schema import MAX_CONTEXT_CHARS, MAX_QUESTION_CHARS, Answer, AnswerRequest, Degradation, Mode, Status
from webapi.bodies import validate


class CompatibleRequest(BaseModel):
    """Unknown fields are ignored: old clients send some."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS, examples=["Why is this motor overheating?"])
    image_base64: str | None = None
    optional_context: str | None = Field(None, max_length=MAX_CONTEXT_CHARS)


class Retrieved(BaseModel):
    """One piece of evidence."""

    id: str
    score: float
    text: str
    source: str
    page: int | None = None
    section: str = ""
    url: str | None = None


class CompatibleAnswer(BaseModel):
    """The answer with `[n]` pointing at `retrieved[n - 1]`."""

    answer: str
    retrieved: tuple[Retrieved, ...]
    request_id: str
    release: int
    mode: Mode
    status: Status
    stages_ms: dict[str, float]
    degraded: tuple[Degradation, ...]


def as_request(old: CompatibleRequest, limits: ImageLimits) -> tuple[AnswerRequest, bytes | None]:
    """The request and its image's bytes, whose header was checked.

    Raises:
        RequestError: a blank question or an unusable image.
    """
    image = decode_base64(old.image_base64, limits) if old.image_base64 else None
    if image is not None:
        inspect_image(image, limits)
    return validate(AnswerRequest, {"question": old.question, "context": old.optional_context or ""}), image


def compatible_answer(answer: Answer) -> CompatibleAnswer:
    """The answer in the old shape."""
    return CompatibleAnswer(
        answer=answer.text,
        retrieved=tuple(
            Retrieved(
                id=evidence.id,
                score=evidence.score,
                text=evidence.text,
                source=evidence.source,
                page=evidence.page,
                section=" > ".join(evidence.section_path),
                url=evidence.url or evidence.image_url,
            )
            for evidence in answer.evidence
        ),
        request_id=answer.request_id,
        release=answer.release,
        mode=answer.mode,
        status=answer.status,
        stages_ms=answer.stages_ms,
        degraded=answer.degraded,
    )
