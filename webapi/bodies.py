"""From an HTTP body to a request: JSON or multipart, size-limited while it is read, every mistake told in words."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from lineside.encoders.images import ImageLimits, decode_base64, inspect_image
from lineside.errors import InvalidRequest, RequestError, TooLarge
from lineside.schema import RetrieveRequest
from webapi.settings import HttpSettings

Model = TypeVar("Model", bound=BaseModel)
Wanted = TypeVar("Wanted", bound=RetrieveRequest)

# Fields of a multipart body that hold JSON; the others are plain text.
_JSON_FIELDS = frozenset({"filters", "telemetry", "labels"})
_MAX_ERRORS_SHOWN = 5


class UnsupportedMediaType(RequestError):
    """The body's content type is not one that is read."""

    code = "unsupported_media_type"
    status = 415


async def read_request(request: Request, model: type[Wanted], settings: HttpSettings) -> tuple[Wanted, bytes | None]:
    """The validated request and its image's bytes, whose header was checked; no pixel is decoded here.

    Raises:
        RequestError: too large, malformed, or not of the model.
    """
    body = await read_body(request, settings.max_body_bytes)
    kind = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        fields, image = await read_multipart(request, body, settings.image)
        parsed = validate(model, fields)
    elif kind == "application/json" or kind.endswith("+json") or not kind:
        parsed, image = validate_json(model, body), None
    else:
        raise UnsupportedMediaType(
            f"content type {kind} is not read here: send application/json or multipart/form-data"
        )
    if image is None and parsed.image is not None:
        image = decode_base64(parsed.image, settings.image)
    if image is not None:
        inspect_image(image, settings.image)
    return parsed, image


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body; reading stops at the limit, whatever Content-Length says.

    Raises:
        TooLarge: more than `max_bytes`.
        InvalidRequest: the client went away in the middle.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise TooLarge(f"the body has {int(declared):,} bytes, over the limit of {max_bytes:,}")
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise TooLarge(f"the body is over the limit of {max_bytes:,} bytes")
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise InvalidRequest("the connection closed before the body was complete") from error
    return b"".join(chunks)


def validate_json(model: type[Model], body: bytes) -> Model:
    """Raises InvalidRequest with every mistake named by its field."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(in_words(error)) from None


def validate(model: type[Model], fields: dict[str, Any]) -> Model:
    """Raises InvalidRequest with every mistake named by its field."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(in_words(error)) from None


def in_words(error: ValidationError) -> str:
    """The mistakes of a validation in one line, without echoing long input."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False)[:_MAX_ERRORS_SHOWN]:
        where = ".".join(str(part) for part in problem["loc"])
        problems.append(f"{where}: {problem['msg']}" if where else problem["msg"])
    more = error.error_count() - len(problems)
    return "; ".join(problems) + (f"; and {more} more" if more > 0 else "")


async def read_multipart(request: Request, body: bytes, limits: ImageLimits) -> tuple[dict[str, Any], bytes | None]:
    """The fields of a multipart body, and the file `image` where there is one; raises InvalidRequest."""

    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    fields: dict[str, Any] = {}
    image: bytes | None = None
    try:
        form = await Request(request.scope, replay).form(
            max_files=1, max_fields=40, max_part_size=limits.max_bytes * 3 // 2
        )
    except HTTPException as error:
        raise InvalidRequest(f"multipart body: {error.detail}") from None
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name != "image":
                    raise InvalidRequest(f"{name}: only the field image takes a file")
                image = await value.read(limits.max_bytes + 1)
            elif name in fields:
                raise InvalidRequest(f"{name}: given more than once")
            else:
                fields[name] = _field(name, value)
    finally:
        await form.close()
    if image is not None and "image" in fields:
        raise InvalidRequest("image: given both as a file and as text")
    return fields, image


def _field(name: str, value: str) -> Any:
    if name not in _JSON_FIELDS:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: not valid JSON; in a multipart body this field holds JSON text") from None
