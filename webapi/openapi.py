"""The OpenAPI description of bodies that are read by hand: JSON and multipart, with examples."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from lineside.schema import AnswerRequest, ErrorBody, RetrieveRequest

_EXAMPLES: dict[str, Any] = {
    "text": {
        "summary": "A question in words",
        "value": {"question": "What does alarm HYD-A14 mean and what do I do?", "family": "hydraulics"},
    },
    "image": {
        "summary": "A frame, with what the sensors say and a deadline",
        "value": {
            "question": "Why is this motor overheating?",
            "image": "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ...",
            "telemetry": [{"name": "bearing temperature", "unit": "°C", "values": [71, 78, 88, 97], "high": 95}],
            "deadline_ms": 2000,
        },
    },
    "extractive": {
        "summary": "Verbatim sentences only, within milliseconds",
        "value": {"question": "Tightening torque of the bearing cap screws?", "mode": "extract", "deadline_ms": 100},
    },
}

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in {
        400: "The request is not usable; the message says what to change",
        404: "Not in the current release",
        413: "Over a size limit",
        415: "A content type or image format that is not read",
        422: "A field is missing, malformed or out of bounds",
        503: "Overloaded or not ready; see Retry-After",
        504: "Not done within the deadline",
    }.items()
}

_REF = "#/components/schemas/{model}"


def body_of(model: type[BaseModel], *, multipart: bool = True) -> dict[str, Any]:
    """`openapi_extra` for a route that reads `model`."""
    ref = {"$ref": _REF.format(model=model.__name__)}
    content: dict[str, Any] = {"application/json": {"schema": ref}}
    if issubclass(model, RetrieveRequest):
        kept = _EXAMPLES if model is AnswerRequest else {name: _EXAMPLES[name] for name in ("text", "image")}
        content["application/json"]["examples"] = kept
    if multipart:
        upload = {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}}
        content["multipart/form-data"] = {"schema": {"allOf": [ref, upload]}}
    return {"requestBody": {"required": True, "content": content}}


def document_schema(api: FastAPI) -> None:
    """Adds the schemas of the request bodies, which FastAPI does not see."""

    def schema() -> dict[str, Any]:
        if api.openapi_schema is None:
            from webapi.compatible import CompatibleRequest

            document = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (AnswerRequest, RetrieveRequest, CompatibleRequest):
                described = model.model_json_schema(ref_template=_REF)
                schemas.update(described.pop("$defs", {}))
                schemas[model.__name__] = described
            api.openapi_schema = document
        return api.openapi_schema

    api.openapi = schema  # type: ignore[method-assign]
