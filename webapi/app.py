"""The routes: answers, evidence, the pages behind citations, health."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from lineside.answering.deadline import Deadline
from lineside.errors import LinesideError, NotFound, Unavailable
from lineside.schema import Answer, AnswerRequest, ErrorBody, Retrieval, RetrieveRequest
from webapi import sse
from webapi.admission import Admission
from webapi.bodies import read_body, read_request, validate_json
from webapi.compatible import CompatibleAnswer, CompatibleRequest, as_request, compatible_answer
from webapi.openapi import ERRORS, body_of, document_schema
from webapi.reindex import Reindexing, reindex_router
from webapi.service import FORWARDED_BY, Elsewhere, Service, Status
from webapi.settings import HttpSettings
from webapi.views import DocumentView, TextView, as_html, document_view, page_view, section_view

log = structlog.get_logger("lineside.http")

_REQUEST_ID = re.compile(r"[\w.:-]{1,64}")
# A cited page of a release never changes under its URL's span; the document may, with the next release.
_SHORT_CACHE = "private, max-age=60"
_NOTHING_RUNS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def create_api(
    service: Service,
    settings: HttpSettings = HttpSettings(),
    *,
    reindexing: Reindexing | None = None,
    elsewhere: Elsewhere | None = None,
) -> FastAPI:
    """A FastAPI application over `service`.

    `reindexing` runs the re-index job where that is configured; `elsewhere` opens citations of answers that another
    service gave to a question that was asked here.
    """
    api = FastAPI(
        title="Lineside",
        version="1",
        summary="Cited answers beside the production line",
        docs_url="/docs",
        redoc_url=None,
        responses=ERRORS,
    )
    admission = Admission(settings)
    document_schema(api)
    api.include_router(reindex_router(reindexing))

    @api.post("/v1/answer", tags=["answers"], openapi_extra=body_of(AnswerRequest), responses={200: {"model": Answer}})
    async def answer(request: Request) -> Response:
        """A cited answer. JSON or multipart in; JSON or, with `stream`, server-sent events out."""
        request_id = _request_id(request)
        asked, image = await read_request(request, AnswerRequest, settings)
        deadline = service.answerer.deadline(asked)
        if asked.stream or sse.MEDIA_TYPE in request.headers.get("accept", ""):
            events = _events(service, admission, asked, image, request_id, deadline)
            return StreamingResponse(
                events, media_type=sse.MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Request-ID": request_id}
            )
        with admission.admit(asked.priority):
            found = await service.answerer.answer(asked, image, request_id=request_id, deadline=deadline)
        _log_answer(found)
        return _json(found.model_dump_json(), request_id)

    @api.post(
        "/v1/retrieve", tags=["answers"], openapi_extra=body_of(RetrieveRequest), responses={200: {"model": Retrieval}}
    )
    async def retrieve(request: Request) -> Response:
        """Evidence only."""
        request_id = _request_id(request)
        asked, image = await read_request(request, RetrieveRequest, settings)
        deadline = service.answerer.deadline(asked)
        with admission.admit(asked.priority):
            found = await service.answerer.retrieve(asked, image, request_id=request_id, deadline=deadline)
        return _json(found.model_dump_json(), request_id)

    @api.post(
        "/answer",
        tags=["compatible"],
        openapi_extra=body_of(CompatibleRequest, multipart=False),
        responses={200: {"model": CompatibleAnswer}},
    )
    async def answer_compatible(request: Request) -> Response:
        """`{image_base64, question, optional_context}` → `{answer, retrieved}`."""
        request_id = _request_id(request)
        body = await read_body(request, settings.max_body_bytes)
        asked, image = as_request(validate_json(CompatibleRequest, body), settings.image)
        deadline = service.answerer.deadline(asked)
        with admission.admit(asked.priority):
            found = await service.answerer.answer(asked, image, request_id=request_id, deadline=deadline)
        _log_answer(found)
        return _json(compatible_answer(found).model_dump_json(), request_id)

    @api.get("/v1/documents/{document_id}", tags=["citations"], response_model=DocumentView)
    async def document(request: Request, document_id: str, version: str | None = None) -> Response:
        """Metadata and table of contents of a document, as it is now or in the version that was cited."""

        async def shown() -> Response:
            view = document_view(await service.document(document_id, version))
            return Response(view.model_dump_json(), media_type="application/json")

        return await _shown(request, document_id, shown(), elsewhere)

    @api.get("/v1/documents/{document_id}/pages/{number}", tags=["citations"], response_model=TextView)
    async def page(
        request: Request,
        document_id: str,
        number: int,
        start: int | None = None,
        end: int | None = None,
        version: str | None = None,
    ) -> Response:
        """A page with the cited span marked; HTML for browsers, JSON otherwise."""

        async def shown() -> Response:
            return _view(request, page_view(await service.document(document_id, version), number, start, end))

        return await _shown(request, document_id, shown(), elsewhere)

    @api.get("/v1/documents/{document_id}/sections/{section_id}", tags=["citations"], response_model=TextView)
    async def section(
        request: Request,
        document_id: str,
        section_id: str,
        start: int | None = None,
        end: int | None = None,
        version: str | None = None,
    ) -> Response:
        """A section with the cited span marked; HTML for browsers, JSON otherwise."""

        async def shown() -> Response:
            return _view(request, section_view(await service.document(document_id, version), section_id, start, end))

        return await _shown(request, document_id, shown(), elsewhere)

    @api.get("/v1/images/{image_id}", tags=["citations"], response_class=Response)
    async def image(request: Request, image_id: str) -> Response:
        """A figure, or the thumbnail of a frame."""

        async def shown() -> Response:
            found = await service.image(image_id)
            return Response(found.data, media_type=found.media_type, headers={"Cache-Control": _SHORT_CACHE})

        return await _shown(request, image_id, shown(), elsewhere)

    @api.get("/v1/status", tags=["health"])
    async def status() -> Status:
        """Release served, mean batch of the retriever, replies being generated."""
        return await service.status()

    @api.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:
        """Whether this process is alive. Says nothing about the stages: see /readyz."""
        return {"status": "alive"}

    @api.get("/readyz", tags=["health"])
    async def readyz() -> Response:
        """200 when every stage answers; 503 and what each says otherwise."""
        state = await service.readiness()
        body = {"ready": state.ready, "release": state.release, "stages": state.stages}
        return JSONResponse(body, status_code=200 if state.ready else 503, headers={"Cache-Control": "no-store"})

    @api.exception_handler(LinesideError)
    async def lineside_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, LinesideError)
        return _error(request, error.status, error.code, str(error), error)

    @api.exception_handler(HTTPException)
    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _error(
            request, error.status_code, "not_found" if error.status_code == 404 else "http", str(error.detail)
        )

    @api.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.exception("unexpected", request_id=_request_id(request), path=request.url.path)
        return _error(request, 500, "internal", "an unexpected error; it is in the service's log under this request id")

    return api


async def _events(
    service: Service,
    admission: Admission,
    asked: AnswerRequest,
    image: bytes | None,
    request_id: str,
    deadline: Deadline,
) -> AsyncIterator[bytes]:
    """Closed by the server when the client goes away, which closes the pipeline and frees the engine."""
    try:
        with admission.admit(asked.priority):
            stream = service.answerer.stream(asked, image, request_id=request_id, deadline=deadline)
            async with aclosing(stream) as events:
                async for event in events:
                    yield sse.encode_event(event)
                    if hasattr(event, "answer"):
                        _log_answer(event.answer)
    except LinesideError as error:
        log.warning("stream_failed", request_id=request_id, code=error.code, message=str(error))
        yield sse.encode_error(request_id, error)


def _request_id(request: Request) -> str:
    known = getattr(request.state, "request_id", None)
    if known is None:
        given = request.headers.get("x-request-id", "")
        known = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.state.request_id = known
    return str(known)


def _json(body: str, request_id: str) -> Response:
    return Response(body, media_type="application/json", headers={"X-Request-ID": request_id})


async def _shown(request: Request, name: str, here: Awaitable[Response], elsewhere: Elsewhere | None) -> Response:
    """What is cited, from here or else from elsewhere; a service that was itself asked for another looks no further."""
    try:
        return await here
    except NotFound:
        if elsewhere is None or FORWARDED_BY in request.headers or name in (".", ".."):
            raise
    accept = "text/html" if _wants_html(request) else "application/json"
    path = quote(request.scope["path"])
    target = f"{path}?{request.url.query}" if request.url.query else path
    found = await elsewhere.fetch(name, target, accept)
    headers = {"Cache-Control": _SHORT_CACHE, "Vary": "Accept", "X-Content-Type-Options": "nosniff"}
    return Response(found.data, media_type=found.media_type, headers=headers | _NOTHING_RUNS)


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _view(request: Request, view: TextView) -> Response:
    headers = {"Cache-Control": _SHORT_CACHE, "Vary": "Accept"}
    if _wants_html(request):
        return HTMLResponse(as_html(view), headers=headers | _NOTHING_RUNS)
    return Response(view.model_dump_json(), media_type="application/json", headers=headers)


def _error(request: Request, status: int, code: str, message: str, error: LinesideError | None = None) -> Response:
    request_id = _request_id(request)
    headers = {"X-Request-ID": request_id}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if status >= 500:
        log.warning("request_failed", request_id=request_id, path=request.url.path, code=code, message=message)
    body = ErrorBody(request_id=request_id, code=code, message=message)
    return Response(body.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


def _log_answer(answer: Answer) -> None:
    log.info(
        "answered",
        request_id=answer.request_id,
        release=answer.release,
        mode=answer.mode,
        status=answer.status,
        elapsed_ms=answer.elapsed_ms,
        stages_ms=answer.stages_ms,
        degraded=[f"{d.stage}: {d.reason}" for d in answer.degraded],
    )
