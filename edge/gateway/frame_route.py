"""`POST /v1/frames`: a camera's frame for the rolling window."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from edge.gateway.frames import FrameIntake, FrameKept
from lineside.errors import InvalidRequest
from webapi.bodies import read_body, read_multipart, validate

_FORM_BYTES = 65_536  # fields and boundaries beside the image


class FrameFields(BaseModel):
    """What is said about a frame: in the query, or as fields of a multipart body."""

    model_config = ConfigDict(extra="forbid")

    camera: str = Field(min_length=1, max_length=200)
    time: datetime | None = Field(None, description="when it was taken; UTC without a zone; now when left out")
    labels: tuple[str, ...] = Field((), max_length=8, description="what it is known to show")


def frame_router(intake: FrameIntake) -> APIRouter:
    """The route. The body is the image itself (`image/*`), or multipart with the file `image`."""
    router = APIRouter(tags=["frames"])

    @router.post("/v1/frames", status_code=201)
    async def frame(request: Request) -> FrameKept:
        """Keeps a frame; the reply comes when it is durable. `?camera=...`, `&time=...`, `&labels=...` (repeatable)."""
        fields: dict[str, object] = {key: value for key, value in request.query_params.items() if key != "labels"}
        if labels := request.query_params.getlist("labels"):
            fields["labels"] = labels
        body = await read_body(request, intake.limits.max_bytes + _FORM_BYTES)
        image: bytes | None = body
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            more, image = await read_multipart(request, body, intake.limits)
            if twice := sorted(fields.keys() & more.keys()):
                raise InvalidRequest(f"{twice[0]}: given in the query and in the body")
            fields |= more
        described = validate(FrameFields, fields)
        if not image:
            raise InvalidRequest("image: send it as the body (image/jpeg ...), or as the file `image` of a form")
        return await intake.frame(described.camera, described.time, image, described.labels)

    return router
