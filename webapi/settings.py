"""Limits of the HTTP interface."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lineside.encoders.images import ImageLimits


class HttpSettings(BaseModel):
    """What a client may send and how many requests run at the same time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_body_bytes: int = Field(16 * 2**20, ge=1_024, le=256 * 2**20, description="whole request body")
    image: ImageLimits = ImageLimits()
    max_in_flight: int = Field(
        256, ge=1, le=100_000, description="requests worked on at the same time, per ingress replica"
    )
    reserved_for_alerts: int = Field(16, ge=0, description="of these, kept free for priority alert")
    batch_share: float = Field(0.5, gt=0, le=1, description="share of max_in_flight that priority batch may take")
    retry_after_s: float = Field(1.0, gt=0, le=600, description="what a refused client is told to wait")

    @model_validator(mode="after")
    def _bounds(self) -> HttpSettings:
        if self.reserved_for_alerts >= self.max_in_flight:
            raise ValueError("reserved_for_alerts must be below max_in_flight")
        # base64 is a third longer than the bytes; the rest of the body needs room beside it.
        if self.image.max_bytes * 4 // 3 + 4_096 > self.max_body_bytes:
            raise ValueError(
                "max_body_bytes must leave room for an image of image.max_bytes in base64 (a third longer)"
            )
        return self
