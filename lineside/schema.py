"""The contract with clients: requests, evidence, answers. The same on the cluster and on a gateway."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

EvidenceKind = Literal["passage", "figure", "frame"]
RequestedMode = Literal["auto", "generate", "extract"]
Mode = Literal["generated", "extractive", "cached", "evidence"]
Status = Literal["complete", "partial", "abstained"]
Priority = Literal["alert", "interactive", "batch"]

MAX_QUESTION_CHARS = 2_000
MAX_CONTEXT_CHARS = 16_000
MAX_K = 50
MAX_SERIES = 32
MAX_SERIES_POINTS = 10_000

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Reply(BaseModel):
    """What the service says. Unknown fields are passed over, so that an older client reads a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Filters(_Contract):
    """Restricts what may be retrieved. Within a field any value matches; all given fields must match."""

    document_ids: tuple[ShortText, ...] = Field((), max_length=100)
    document_kinds: tuple[Literal["manual", "sop", "incident"], ...] = ()
    kinds: tuple[EvidenceKind, ...] = ()
    languages: tuple[ShortText, ...] = Field((), max_length=20)
    access: tuple[ShortText, ...] = Field((), max_length=20, description="access labels the caller may read")
    time_from: datetime | None = Field(None, description="frames and incidents at or after this time")
    time_to: datetime | None = Field(None, description="frames and incidents before this time")

    @model_validator(mode="after")
    def _time_order(self) -> Filters:
        if self.time_from and self.time_to and _utc(self.time_from) >= _utc(self.time_to):
            raise ValueError("time_from must be before time_to")
        return self


def _utc(time: datetime) -> datetime:
    """A time without a zone is taken for UTC, as filters take it: Python cannot compare it with one that has a zone."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class TelemetrySeries(_Contract):
    """One measured quantity over time; the last value is the latest."""

    name: ShortText
    unit: str = Field("", max_length=20)
    values: tuple[float, ...] = Field(min_length=1, max_length=MAX_SERIES_POINTS)
    times: tuple[datetime, ...] = Field((), max_length=MAX_SERIES_POINTS)
    low: float | None = Field(None, description="lower limit of the permitted range")
    high: float | None = Field(None, description="upper limit of the permitted range")

    @model_validator(mode="after")
    def _same_length(self) -> TelemetrySeries:
        if self.times and len(self.times) != len(self.values):
            raise ValueError("times must be empty or as many as values")
        return self


class RetrieveRequest(_Contract):
    """A question, with or without a frame, for which evidence is wanted."""

    question: str = Field(max_length=MAX_QUESTION_CHARS, examples=["Why is this motor overheating?"])
    image: str | None = Field(None, description="a frame: base64 or a data: URL; PNG, JPEG, WebP, BMP, TIFF or GIF")
    context: str = Field("", max_length=MAX_CONTEXT_CHARS, description="sensor log or operator's note")
    telemetry: tuple[TelemetrySeries, ...] = Field((), max_length=MAX_SERIES)
    family: ShortText | None = Field(None, description="equipment family to search; all when absent")
    filters: Filters = Filters()
    k: int = Field(8, ge=1, le=MAX_K, description="passages wanted")
    deadline_ms: int | None = Field(None, ge=1, description="time the answer may take; the server caps it")
    priority: Priority = "interactive"
    forwarded_by: tuple[ShortText, ...] = Field(
        (),
        max_length=4,
        description="gateways that passed the question on; who finds any here answers alone, so that none goes round",
    )

    @field_validator("question")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the question is empty: write what you want to know")
        return value.strip()


class AnswerRequest(RetrieveRequest):
    """A question, with or without a frame, for which a cited answer is wanted."""

    mode: RequestedMode = Field(
        "auto", description="auto: generate when time allows; generate: language model; extract: verbatim sentences"
    )
    stream: bool = Field(False, description="server-sent events: evidence, token, answer, error")


class Evidence(_Reply):
    """One retrieved passage, figure or frame, with its scores and where it comes from."""

    n: int = Field(ge=1, description="the number that citations use: [n]")
    id: str
    kind: EvidenceKind
    family: str
    score: float = Field(description="fused score, higher is better; comparable within one response")
    scores: dict[str, float] = Field(default_factory=dict, description="per signal, before fusion")
    text: str = Field(description="verbatim text of the passage; caption of a figure or frame")
    document_id: str | None = None
    title: str = ""
    version: str = ""
    document_kind: str | None = None
    source: str = ""
    page: int | None = None
    section_id: str | None = None
    section_path: tuple[str, ...] = ()
    start: int | None = Field(None, description="span in the document's text, in characters")
    end: int | None = None
    label: str | None = None
    camera_id: str | None = None
    time: datetime | None = None
    url: str | None = Field(None, description="the cited page or section, passage marked")
    image_url: str | None = Field(None, description="the figure or the frame's thumbnail")
    duplicates: tuple[str, ...] = Field((), description="ids of near-identical evidence folded into this one")


class LabelVote(_Reply):
    """What the most similar labelled frames say the image shows."""

    label: str
    caption: str
    share: float = Field(ge=0, le=1, description="share of the similarity-weighted votes")
    similarity: float = Field(description="cosine to the nearest frame of this label")


class Citation(_Reply):
    """A verbatim quote that supports a sentence."""

    n: int = Field(ge=1, description="number of the evidence")
    evidence_id: str
    quote: str = Field(description="verbatim from the evidence's text")
    support: float = Field(ge=0, le=1, description="how far the quote supports the sentence; 1 for a quotation")
    url: str | None = None


class AnswerSentence(_Reply):
    """A sentence of the answer and what it rests on; at least one citation."""

    text: str
    citations: tuple[Citation, ...] = Field(min_length=1)


class Degradation(_Reply):
    """Something that was left out or done in a cheaper way, and why."""

    stage: str
    reason: str


class Retrieval(_Reply):
    """The reply to `POST /v1/retrieve`."""

    request_id: str
    release: int
    mode: Mode = "evidence"
    status: Status = "complete"
    evidence: tuple[Evidence, ...]
    labels: tuple[LabelVote, ...] = ()
    stages_ms: dict[str, float]
    degraded: tuple[Degradation, ...] = ()
    served_by: str | None = Field(None, description="the gateway that answered; absent in the cluster's own answers")
    knowledge_age_s: float | None = Field(
        None,
        ge=0,
        description="seconds since this gateway's knowledge was last known to be the newest; absent there too",
    )


class Answer(_Reply):
    """The reply to `POST /v1/answer`."""

    request_id: str
    release: int
    mode: Mode
    status: Status = Field(
        description="partial: cut short, or by a gateway that would have asked the cluster; abstained: no answer known"
    )
    text: str = Field(description="the sentences with their citations as [n]; empty when only evidence is returned")
    sentences: tuple[AnswerSentence, ...] = ()
    evidence: tuple[Evidence, ...]
    labels: tuple[LabelVote, ...] = ()
    stages_ms: dict[str, float]
    degraded: tuple[Degradation, ...] = ()
    deadline_ms: int
    elapsed_ms: float
    served_by: str | None = Field(None, description="the gateway that answered; absent in the cluster's own answers")
    knowledge_age_s: float | None = Field(
        None,
        ge=0,
        description="seconds since this gateway's knowledge was last known to be the newest; absent there too",
    )


class ErrorBody(_Reply):
    """The body of every 4xx and 5xx reply."""

    request_id: str
    code: str
    message: str
